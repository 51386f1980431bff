//! The file that says whose keys count, and which of them are one person's: ssh-keygen's `allowed_signers`
//! (ssh-keygen(1), ALLOWED SIGNERS), in which the key of a line may also be minisign's: `NAME minisign RWQ…`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::jobs::verify::attest::NAMESPACE;
use crate::plumbing::error::Hint;
use crate::plumbing::files;
use crate::plumbing::foreign;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::process::Call;

/// What a key's type begins with, of those that ssh-keygen knows.
const SSH_TYPES: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];
/// The principal that ssh-keygen is asked about: one name for the lines of the person in question.
const PRINCIPAL: &str = "rebuilder";

/// The people whose statements count, by name.
pub(super) struct Keys(BTreeMap<String, Person>);

/// One person: one voice, with however many keys and names.
#[derive(Default)]
struct Person {
    /// Options and key, as in the file, of each ssh key.
    ssh: Vec<String>,
    /// minisign's public keys.
    minisign: Vec<String>,
}

/// A line of the file.
struct Line {
    names: Vec<String>,
    /// The key itself, whatever stands beside it.
    key: String,
    /// Options and key.
    rest: String,
    is_minisign: bool,
}

impl Keys {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?;
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let line = Line::parse(line).with_context(|| format!("{} line {}", path.display(), number + 1));
                lines.push(line.hint(
                    "a line is `NAME namespaces=\"tsuku-dltest-rebuild\" ssh-ed25519 KEY` or `NAME minisign KEY`",
                )?);
            }
        }
        Ok(Self::of(lines))
    }

    /// Lines that share a name or a key are one person's.
    fn of(lines: Vec<Line>) -> Self {
        let mut groups: Vec<Vec<Line>> = Vec::new();
        for line in lines {
            let belongs = |group: &Vec<Line>| group.iter().any(|other| other.is_same_person(&line));
            let (same, mut others): (Vec<_>, Vec<_>) = groups.into_iter().partition(belongs);
            let mut group: Vec<Line> = same.into_iter().flatten().collect();
            group.push(line);
            others.push(group);
            groups = others;
        }
        let mut people: BTreeMap<String, Person> = BTreeMap::new();
        for group in groups {
            let person = people.entry(foreign::line(&group[0].names[0])).or_default();
            for line in group {
                if line.is_minisign { person.minisign.push(line.key) } else { person.ssh.push(line.rest) }
            }
        }
        Self(people)
    }

    /// Whether any of the keys is minisign's.
    pub(super) fn has_minisign(&self) -> bool {
        self.0.values().any(|person| !person.minisign.is_empty())
    }

    /// Whose ssh signature of `statement` the one at `signature` is.
    pub(super) fn ssh_signer(&self, statement: &[u8], signature: &Path) -> Result<Option<&str>> {
        let scratch = Scratch::new()?;
        for (name, person) in self.0.iter().filter(|(_, person)| !person.ssh.is_empty()) {
            let allowed = scratch.path().join("allowed_signers");
            let lines: String = person.ssh.iter().map(|rest| format!("{PRINCIPAL} {rest}\n")).collect();
            files::write(&allowed, lines.as_bytes())?;
            let copy = scratch.path().join("statement");
            files::write(&copy, statement)?;
            let mut command = Command::new("ssh-keygen");
            command.args(["-Y", "verify", "-n", NAMESPACE, "-I", PRINCIPAL, "-f"]);
            command.arg(&allowed).arg("-s").arg(signature);
            let statement = std::fs::File::open(&copy).context("cannot read the statement")?;
            let call = Call::new(command).input(statement).hint("install OpenSSH's client programs");
            if call.outcome()?.status.success() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Whose minisign signature of the file at `statement` the one at `signature` is.
    pub(super) fn minisign_signer(&self, statement: &Path, signature: &Path) -> Result<Option<&str>> {
        for (name, person) in &self.0 {
            for key in &person.minisign {
                let mut command = Command::new("minisign");
                command.arg("-Vqm").arg(statement).arg("-x").arg(signature).args(["-P", key]);
                let call = Call::new(command).hint("install minisign: a statement is signed with it");
                if call.outcome()?.status.success() {
                    return Ok(Some(name));
                }
            }
        }
        Ok(None)
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self> {
        let words = words(line)?;
        let names: Vec<String> =
            words[0].trim_matches('"').split(',').map(str::to_lowercase).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            bail!("names nobody");
        }
        let is_type = |word: &&String| *word == "minisign" || SSH_TYPES.iter().any(|start| word.starts_with(start));
        let place = words.iter().skip(1).position(|word| is_type(&word)).context("has no key")? + 1;
        let options = words[1..place].join(" ");
        let authority = "cert-authority";
        if words[1..place].iter().any(|word| word.split(',').any(|option| option.eq_ignore_ascii_case(authority))) {
            bail!("is a cert-authority: whoever holds its key could speak with any number of voices");
        }
        let key = words.get(place + 1).context("has no key")?.clone();
        let rest = format!("{options} {} {key}", words[place]).trim_start().to_owned();
        Ok(Self { names, key, rest, is_minisign: words[place] == "minisign" })
    }

    fn is_same_person(&self, other: &Self) -> bool {
        self.key == other.key || self.names.iter().any(|name| other.names.contains(name))
    }
}

/// The words of a line; what stands in double quotes is one word, or part of one.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in line.chars() {
        match character {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    if is_quoted {
        bail!("has a quote without an end");
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() { bail!("is empty") } else { Ok(words) }
}

/// A small file that somebody else may have put there: no device, no pipe, no gigabytes.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>> {
    const MOST: u64 = 4 * 1024 * 1024;
    let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_file() || metadata.len() > MOST {
        bail!("it is no file, or too long for one of these");
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(MOST).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(text: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Keys::read(file.path()).unwrap().0.into_keys().collect()
    }

    #[test]
    fn lines_that_share_a_name_or_a_key_are_one_person() {
        assert_eq!(people("a ssh-ed25519 K1\nb ssh-ed25519 K2\n"), ["a", "b"]);
        assert_eq!(people("a ssh-ed25519 K1\na minisign K2\n"), ["a"]);
        assert_eq!(people("a ssh-ed25519 K1\nA@work,A ssh-rsa K2 laptop\n"), ["a"]);
        assert_eq!(people("a ssh-ed25519 K1\nb namespaces=\"x y\" ssh-ed25519 K1 other comment\n"), ["a"]);
        assert_eq!(people("a ssh-rsa K1\nb ssh-rsa K2\n# c ssh-rsa K3\n\na,b minisign K4\n"), ["a"]);
        assert_eq!(people("\"a\" ssh-rsa K1\na minisign K2\n"), ["a"]);
        // What stands in quotes is one word, an escaped quote included: no key.
        assert_eq!(people("a command=\"x ssh-rsa K9 y\" ssh-ed25519 K1\nb ssh-rsa K9\n"), ["a", "b"]);
        assert_eq!(people("a command=\"x \\\" ssh-rsa K9\" ssh-ed25519 K1\nb ssh-rsa K9\n"), ["a", "b"]);
        assert_eq!(people("a command=\"x \\\\\" ssh-ed25519 K1\nb ssh-rsa K9\n"), ["a", "b"]);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 << 20).unwrap();
        assert_eq!(read_small(file.path()).unwrap().len(), 4 << 20);
        file.as_file().set_len((4 << 20) + 1).unwrap();
        assert!(read_small(file.path()).is_err() && read_small(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_certificate_authority_and_lines_that_make_no_sense_are_refused() {
        let refusal = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            format!("{:#}", Keys::read(file.path()).err().unwrap())
        };
        assert!(refusal("*@example.org cert-authority ssh-ed25519 K").contains("any number of voices"));
        assert!(
            refusal("# x\na namespaces=\"n\",CERT-AUTHORITY ssh-ed25519 K").contains("line 2: is a cert-authority")
        );
        assert!(refusal("a").contains("has no key"));
        assert!(refusal("a ssh-ed25519").contains("has no key"));
        assert!(refusal("a namespaces=\"x ssh-ed25519 K").contains("quote"));
        assert!(refusal(", ssh-ed25519 K").contains("names nobody"));
    }
}
