//! Holds what was published against the contract, against what it says of itself, and against what was rebuilt.

use std::path::Path;

use anyhow::Result;

use super::options::Whose;
use super::published::Published;
use super::rebuild::Rebuild;
use super::verdict::{Answer, Row};
use crate::domain::artifact::{self, Container};
use crate::domain::contract::{self, Contract, Platform};
use crate::domain::provenance::Attested;
use crate::domain::record::Record;
use crate::domain::releases::Sums;
use crate::plumbing::digest;

/// The contract that the release is held to, and how the one in `tree` is another.
pub(super) fn contract(whose: Whose, tree: &Path) -> Result<(Contract, Vec<String>)> {
    let theirs = Contract::of_tree(tree);
    if whose == Whose::Tag {
        return Ok((theirs?, Vec::new()));
    }
    let own = Contract::embedded()?;
    let fault = match theirs {
        Ok(theirs) => own.difference(&theirs).map(|difference| format!("the tag has another contract: {difference}")),
        Err(error) => Some(format!("the tag has a contract that this helper cannot read: {error:#}")),
    };
    Ok((own, fault.into_iter().collect()))
}

/// How the set of assets is not the contract's.
pub(super) fn wrong_set(contract: &Contract, published: &Published) -> Vec<String> {
    let missing = contract.assets().into_iter().filter(|name| !published.files.contains_key(name));
    let missing = missing.filter(|name| *name != contract.sums).map(|name| format!("{name} is missing"));
    let known: Vec<String> = contract.assets().into_iter().chain(contract.companions()).collect();
    let foreign = published
        .files
        .keys()
        .filter(|name| !known.contains(name))
        .map(|name| format!("{name} does not belong to the release"));
    missing.chain(foreign).collect()
}

/// The published sums. What is wrong with them goes to `faults`, except for what is said in the rows of the platforms
/// called `told`.
pub(super) fn sums(
    contract: &Contract,
    published: &Published,
    told: &[String],
    faults: &mut Vec<String>,
) -> Option<Sums> {
    let name = &contract.sums;
    let Some(bytes) = published.files.get(name) else {
        faults.push(format!("{name} is missing"));
        return None;
    };
    let sums = match Sums::parse(&String::from_utf8_lossy(bytes)) {
        Ok(sums) => sums,
        Err(error) => {
            let found = artifact::describe(bytes);
            faults.push(format!("{name} cannot be read ({found}): {error:#}"));
            return None;
        }
    };
    let is_told = |asset: &str| contract.platform_of_asset(asset).is_some_and(|platform| told.contains(&platform.name));
    for (listed, sha256) in sums.iter() {
        match published.files.get(listed) {
            None => faults.push(format!("{name} lists {listed}, which is missing")),
            Some(bytes) if !is_told(listed) && digest::sha256(bytes) != sha256 => {
                faults.push(format!("{name} says {sha256} of {listed}, its bytes have {}", digest::sha256(bytes)));
            }
            Some(_) => {}
        }
    }
    let unlisted = published.files.keys().filter(|file| *file != name && sums.get(file).is_none());
    faults.extend(unlisted.filter(|file| !is_told(file)).map(|file| format!("{name} does not list {file}")));
    Some(sums)
}

/// The row of `platform`; `reasons` holds what is known to be wrong already.
pub(super) fn row(
    platform: &Platform,
    published: &Published,
    sums: Option<&Sums>,
    rebuild: &Rebuild,
    commit: &str,
    reasons: &mut Vec<String>,
) -> Row {
    let bytes = published.files.get(&platform.asset);
    let artifact = rebuild.artifacts.iter().find(|artifact| artifact.platform == platform.name);
    let record = rebuild.records.iter().find(|record| record.asset == platform.asset);
    let mut comparison = None;
    match bytes {
        None => reasons.push("the release has no such asset".to_owned()),
        Some(bytes) => {
            let sha256 = digest::sha256(bytes);
            if let Some(listed) = sums.map(|sums| sums.get(&platform.asset)) {
                match listed {
                    None => reasons.push("the sums do not list it".to_owned()),
                    Some(listed) if listed != sha256 => {
                        reasons.push(format!("the sums say {listed}, its bytes have {sha256}"));
                    }
                    Some(_) => {}
                }
            }
            if let Container::Foreign(what) = Container::of(bytes) {
                reasons.push(format!("it is {what}, no program: is a proxy or a login page in between?"));
            }
            check_record(platform, published, &sha256, commit, record, reasons);
            let broken = rebuild.broken.iter().filter(|(name, _)| *name == platform.name);
            reasons.extend(broken.map(|(_, clause)| format!("what was rebuilt breaks the contract: {clause}")));
            if let Some(artifact) = artifact.filter(|artifact| artifact.bytes != *bytes) {
                let compared = artifact::compare(bytes, &artifact.bytes);
                reasons.push(format!("published (A) against rebuilt (B): {}", compared.summary()));
                match compared.same_unsigned {
                    Some(true) => reasons.push("with the signatures set aside they are the same".to_owned()),
                    Some(false) => reasons.push("with the signatures set aside they still differ".to_owned()),
                    None => {}
                }
                comparison = Some(compared);
            }
        }
    }
    let verdict = match (reasons.is_empty(), artifact) {
        (false, _) => Answer::Differs,
        (true, Some(_)) => Answer::Reproduced,
        (true, None) => {
            let obstacle = rebuild.obstacles.iter().find(|(name, _)| *name == platform.name);
            reasons.push(obstacle.map_or_else(|| "it was not built".to_owned(), |(_, text)| text.clone()));
            Answer::NotRebuiltHere
        }
    };
    Row {
        platform: platform.name.clone(),
        asset: platform.asset.clone(),
        verdict,
        attested: Attested::No("there is no such asset".to_owned()),
        reasons: std::mem::take(reasons),
        size: bytes.map(Vec::len),
        published: bytes.map(|bytes| digest::sha256(bytes)),
        rebuilt: artifact.map(|artifact| artifact.sha256.clone()),
        record: record.cloned(),
        comparison,
    }
}

/// Holds the published build record, if there is one, to the bytes, the tag's commit and the record made here.
pub(super) fn check_record(
    platform: &Platform,
    published: &Published,
    sha256: &str,
    commit: &str,
    ours: Option<&Record>,
    reasons: &mut Vec<String>,
) {
    let name = contract::record_name(&platform.asset);
    let Some(bytes) = published.files.get(&name) else { return };
    let theirs = match Record::parse(bytes) {
        Ok(record) => record,
        Err(error) => return reasons.push(format!("{name}: {error:#}")),
    };
    if theirs.sha256 != sha256 || theirs.asset != platform.asset {
        reasons.push(format!("{name} is about {} with sha256 {}", theirs.asset, theirs.sha256));
    }
    match &theirs.commit {
        None => reasons.push("it was built from files that are in no commit".to_owned()),
        Some(built) if built != commit => {
            reasons
                .push(format!("it was built from the commit {built}, but the tag means {commit}: the tag was moved"));
        }
        Some(_) => {}
    }
    if let Some(ours) = ours {
        let differences = theirs.differences(ours);
        reasons.extend(
            differences
                .into_iter()
                .filter(|text| !text.starts_with("commit "))
                .map(|text| format!("build record: {text}")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::Artifact;

    const NAME: &str = "linux-amd64";
    const PROGRAM: &[u8] = b"\x7fELF and so on";

    /// What became of the platform, whose asset is `PROGRAM`, after a rebuild that `change` is done to.
    fn row_after(change: impl FnOnce(&mut Rebuild)) -> (Answer, Vec<String>) {
        let contract = Contract::embedded().unwrap();
        let platform = contract.platform(NAME).unwrap();
        let mut rebuild = Rebuild {
            by: String::new(),
            artifacts: Vec::new(),
            records: Vec::new(),
            obstacles: Vec::new(),
            toolchain: None,
            broken: Vec::new(),
            confinement: String::new(),
        };
        for name in ["linux-arm64", NAME] {
            let (asset, bytes) = (contract.platform(name).unwrap().asset.clone(), PROGRAM.to_vec());
            rebuild.artifacts.push(Artifact {
                platform: name.to_owned(),
                asset,
                sha256: digest::sha256(&bytes),
                bytes,
            });
        }
        change(&mut rebuild);
        let names: Vec<_> = rebuild.platforms(&contract).unwrap().into_iter().map(|found| found.name.clone()).collect();
        assert!(rebuild.artifacts.iter().map(|artifact| &artifact.platform).eq(&names), "{names:?}");
        let published = Published {
            origin: String::new(),
            files: [(platform.asset.clone(), PROGRAM.to_vec())].into(),
            commit: None,
            repository: None,
            faults: Vec::new(),
        };
        let row = row(platform, &published, None, &rebuild, "", &mut Vec::new());
        (row.verdict, row.reasons)
    }

    #[test]
    fn the_verdict_on_a_platform_is_about_its_own_rebuild() {
        assert_eq!(row_after(|_| {}), (Answer::Reproduced, Vec::new()));
        // Of another platform.
        assert_eq!(row_after(|rebuild| rebuild.artifacts[0].bytes.push(0)).0, Answer::Reproduced);
        assert_eq!(row_after(|rebuild| rebuild.artifacts[1].bytes.push(0)).0, Answer::Differs);
        let broken = |name: &str| row_after(|rebuild| rebuild.broken.push((name.to_owned(), "a clause".to_owned())));
        assert_eq!(broken("linux-arm64").0, Answer::Reproduced);
        let reason = "what was rebuilt breaks the contract: a clause".to_owned();
        assert_eq!(broken(NAME), (Answer::Differs, vec![reason]));
    }

    #[test]
    fn a_platform_that_was_not_rebuilt_says_its_own_reason() {
        let without = |obstacles: &[(&str, &str)]| {
            row_after(|rebuild| {
                rebuild.artifacts.pop();
                rebuild.obstacles.extend(obstacles.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())));
            })
        };
        let own = without(&[("linux-arm64", "another reason"), (NAME, "no rust-std")]);
        assert_eq!(own, (Answer::NotRebuiltHere, vec!["no rust-std".to_owned()]));
        assert_eq!(without(&[]), (Answer::NotRebuiltHere, vec!["it was not built".to_owned()]));
    }
}
