//! What surrounds a build: no token, no other user's settings, and walls behind the refusals.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::jobs::verify::attest::Statement;
use release_helper::plumbing::confine::Strength;

use crate::common::*;
use crate::hostile::Site;
use crate::tagged::{Tagged, edit, put};

const SECRET: &str = "ghs_aSecretThatNobodyMayLearn";

/// Says that `test` cannot run here, and whether that is so.
fn open_ground(test: &str) -> bool {
    let strength = Strength::here();
    if *strength != Strength::Full {
        // Past libtest, which keeps the output of a test that passes: `.ci/run` counts this line.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: builds are {strength}");
    }
    *strength != Strength::Full
}

/// A program that is found in the stead of another one, notes the environment and goes on with the real one.
fn spy(directory: &Path, name: &str) {
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    let real = real.map_or_else(|| "false".into(), |path| path.display().to_string());
    let script = format!(
        "#!/bin/sh\necho called=$0 >> '{0}/environments'; env >> '{0}/environments'\nexec {real} \"$@\"\n",
        directory.display()
    );
    fs::write(directory.join(name), script).unwrap();
    fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn search_path(first: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths([first.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

#[test]
fn finding_5_no_child_gets_the_token() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["git", "rustc", "rustup", "nix", "ssh-keygen", "minisign"] {
        spy(directory.path(), name);
    }
    let helper = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-helper"));
        command.args(arguments).env("PATH", search_path(directory.path())).env("GITHUB_TOKEN", SECRET);
        command
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", SECRET)
            .env("CARGO_REGISTRY_TOKEN", SECRET)
            .env("AWS_KEY", SECRET);
        command
    };
    let server = Site::honest().serve();
    let mut verify = server.command(&[]);
    verify.env("PATH", search_path(directory.path())).env("GITHUB_TOKEN", SECRET);
    assert_eq!(verify.output().unwrap().status.code(), Some(0));
    let statements = tempfile::tempdir().unwrap();
    for name in ["a/a.json.sig", "a/a.json.minisig"] {
        put(statements.path(), name, "no signature\n");
    }
    let statement = serde_json::to_string(&Statement::of(&judge(&release()))).unwrap();
    put(statements.path(), "a/a.json", &statement);
    let keys = "alice namespaces=\"tsuku-dltest-rebuild\" ssh-ed25519 \
                AAAAC3NzaC1lZDI1NTE5AAAAIJ4Yc6UQ0bBpPZd2cJtFhzBnTmEfg3d5mZt8x3K1o0aB\n\
                bob minisign RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n";
    put(statements.path(), "keys", keys);
    let [place, keys] = ["a", "keys"].map(|name| statements.path().join(name).display().to_string());
    let arguments = ["tally", &place, "--tag", "v1.2.3", "--commit", &world().commit, "--keys", &keys];
    let _ = helper(&arguments).output().unwrap();
    let out = statements.path().join("dist");
    let _ = helper(&["build", "linux-amd64", "--backend", "nix", "--out", out.to_str().unwrap()]).output().unwrap();
    let seen = fs::read_to_string(directory.path().join("environments")).unwrap();
    for name in ["git", "rustc", "nix", "ssh-keygen"] {
        assert!(seen.contains(&format!("called={}/{name}", directory.path().display())), "{name} was not called");
    }
    assert!(!seen.contains(SECRET), "a program got the token: {seen}");
}

#[test]
fn a_compiler_that_names_a_place_beside_us_is_not_started() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "rustc", "#!/bin/sh\necho toolchain\n");
    fs::set_permissions(directory.path().join("rustc"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut build = Command::new(env!("CARGO_BIN_EXE_release-helper"));
    build.args(["build", "linux-amd64", "--backend", "cargo", "--out"]).arg(directory.path().join("out"));
    build.env("PATH", search_path(directory.path())).current_dir(world().repository.path());
    let output = build.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("rustc says that it lies in toolchain"), "{told}");
}

#[test]
fn finding_6_the_settings_of_other_users_in_a_shared_directory_are_not_read() {
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let marker = shared.path().join("ran");
    put(shared.path(), "wrapper", &format!("#!/bin/sh\ntouch '{}'\nexec \"$@\"\n", marker.display()));
    fs::set_permissions(shared.path().join("wrapper"), fs::Permissions::from_mode(0o755)).unwrap();
    let setting = format!("[build]\nrustc-wrapper = \"{}/wrapper\"\n", shared.path().display());
    put(shared.path(), ".cargo/config.toml", &setting);
    put(shared.path(), "Cargo.toml", "[workspace]\nmembers = [\"x\"]\n");
    put(shared.path(), "rust-toolchain", "[toolchain]\npath = \"/evil\"\n");
    let server = Site::honest().serve();
    let output = server.command(&[]).env("TMPDIR", shared.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!marker.exists(), "the other user's program was started");
}

#[test]
fn a_directory_that_others_can_change_is_no_place_to_work() {
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = Site::honest().serve().command(&[]).env("TMPDIR", shared.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("can be changed by other users") && told.contains("hint: set TMPDIR"), "{told}");
    assert_eq!(shared.path().read_dir().unwrap().count(), 0);
}

/// A machine with secrets, and those who listen on it.
struct Machine {
    directory: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    victim: std::process::Child,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), ".ssh/id_ed25519", SECRET);
        put(directory.path(), ".bashrc", "precious");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
        let victim = Command::new("sleep").arg("600").env("GITHUB_TOKEN", SECRET).spawn().unwrap();
        Self { directory, tcp, udp, _unix: unix, victim }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// A program that tries everything and says what it got: `read-key: yes` or `read-key: no`.
    fn burglar(&self) -> String {
        let home = self.home();
        let home = home.display();
        let (tcp, udp) = (self.tcp.local_addr().unwrap(), self.udp.local_addr().unwrap());
        let victim = self.victim.id();
        // `SECRET` is not in here: the report is searched for it.
        format!(
            r#"
use std::fs;
use std::net::{{TcpStream, UdpSocket}};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{{SocketAddr, UnixDatagram, UnixStream}};
use std::process::Command;

fn main() {{
    let here = std::env::temp_dir();
    let kill = |signal: &str| Command::new("kill").args([signal, "{victim}"]).status().is_ok_and(|status| status.success());
    let abstract_name = SocketAddr::from_abstract_name("burglar").unwrap();
    let tries = [
        ("read-key", fs::read("{home}/.ssh/id_ed25519").is_ok()),
        ("list-home", fs::read_dir("{home}").is_ok()),
        ("link-key", fs::hard_link("{home}/.ssh/id_ed25519", here.join("key")).is_ok()),
        ("read-through-a-link", {{
            let _ = std::os::unix::fs::symlink("{home}/.ssh/id_ed25519", here.join("link"));
            fs::read(here.join("link")).is_ok()
        }}),
        ("token-of-mine", std::env::vars().any(|(name, _)| name.contains("TOKEN"))),
        ("environment-of-another", fs::read("/proc/{victim}/environ").is_ok()),
        ("memory-of-another", fs::File::open("/proc/{victim}/mem").is_ok()),
        ("write-home", fs::write("{home}/written", "x").is_ok()),
        ("append-to-bashrc", fs::OpenOptions::new().append(true).open("{home}/.bashrc").is_ok()),
        ("remove-bashrc", fs::rename("{home}/.bashrc", "{home}/gone").is_ok()),
        ("make-directory", fs::create_dir("{home}/made").is_ok()),
        ("read-passwd", fs::read("/etc/passwd").is_ok()),
        ("connect", TcpStream::connect("{tcp}").is_ok()),
        ("listen", std::net::TcpListener::bind("127.0.0.1:0").is_ok()),
        ("send", UdpSocket::bind("127.0.0.1:0").is_ok_and(|socket| socket.send_to(b"x", "{udp}").is_ok())),
        ("unix-socket", UnixStream::connect("{home}/socket").is_ok()),
        ("abstract-socket", UnixDatagram::bind_addr(&abstract_name).is_ok()),
        ("look-at-another", kill("-0")),
        ("kill-another", kill("-CONT")),
    ];
    let report: String = tries.iter().map(|(name, done)| format!("{{name}}: {{}}, ", if *done {{ "yes" }} else {{ "no" }})).collect();
    println!("cargo:rustc-env=REPORT={{report}}");
}}
"#
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// The answers in what a burglar reported, or in a program that holds the report.
fn answers(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).into_owned();
    let Some(start) = text.find("read-key: ") else { return Vec::new() };
    let is_report = |char: char| char.is_ascii_lowercase() || [':', '-', ' ', ','].contains(&char);
    let report = text[start..].split(|char| !is_report(char)).next().unwrap_or_default();
    report.trim_end_matches([',', ' ']).split(", ").map(str::to_owned).collect()
}

/// Builds the tree as `build` does, which trusts its own tree and refuses no build script.
fn build(tree: &Path, home: &Path, out: &Path) -> Command {
    let platform = release_helper::domain::contract::Contract::embedded().unwrap().host().unwrap().name.clone();
    let real = |name: &str, default: &str| {
        std::env::var_os(name)
            .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(default), PathBuf::from)
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_release-helper"));
    command
        .args(["build", &platform, "--backend", "cargo", "--root"])
        .arg(tree)
        .arg("--out")
        .arg(out)
        .env("GITHUB_TOKEN", SECRET)
        .env("RUSTUP_HOME", real("RUSTUP_HOME", ".rustup"))
        .env("CARGO_HOME", real("CARGO_HOME", ".cargo"))
        .env("HOME", home);
    command
}

#[test]
fn behind_the_refusal_stands_a_wall_that_a_build_script_does_not_pass() {
    const NAME: &str = "behind_the_refusal_stands_a_wall_that_a_build_script_does_not_pass";
    if open_ground(NAME) {
        return;
    }
    let machine = Machine::new();
    let script = machine.burglar();
    let tag = Tagged::new(|root| {
        put(root, "cmd/tsuku-dltest/build.rs", &script);
        put(root, "cmd/tsuku-dltest/link.toml", "");
        put(root, "cmd/tsuku-dltest/src/main.rs", "fn main() { println!(\"{}\", env!(\"REPORT\")); }\n");
        put(root, "Cargo.toml", "[workspace]\nmembers = [\"cmd/*\"]\n");
        let manifest = "[package]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
        put(root, "cmd/tsuku-dltest/Cargo.toml", manifest);
    });
    assert!(tag.refusal().contains("it is not built"));

    // In the open it gets all it wants: the tries are real.
    let burglar = machine.home().join("burglar");
    put(&machine.home(), "burglar.rs", &script);
    let status = Command::new("rustc")
        .args(["--edition=2024", "-o"])
        .args([&burglar, &machine.home().join("burglar.rs")])
        .env("TMPDIR", machine.home())
        .status()
        .unwrap();
    if !status.success() {
        let _ = writeln!(std::io::stderr(), "skipped: {NAME}: there is no C compiler to link a build script with");
        return;
    }
    let temporary = tempfile::tempdir_in(machine.home()).unwrap();
    let mut free = Command::new(&burglar);
    free.env("GITHUB_TOKEN", SECRET).env("TMPDIR", temporary.path());
    let got = answers(&free.output().unwrap().stdout);
    // Some systems keep processes of one user apart, and not every one has a program called kill.
    let guarded = ["memory-of-another: no", "environment-of-another: no", "look-at-another: no", "kill-another: no"];
    assert_eq!(got.len(), 19);
    assert!(got.iter().all(|answer| answer.ends_with(": yes") || guarded.contains(&answer.as_str())), "{got:?}");
    fs::remove_file(machine.home().join("written")).unwrap();
    fs::remove_dir(machine.home().join("made")).unwrap();
    fs::rename(machine.home().join("gone"), machine.home().join(".bashrc")).unwrap();
    while machine.tcp.accept().is_ok() {}
    while machine.udp.recv(&mut [0; 8]).is_ok() {}

    let out = tempfile::tempdir().unwrap();
    let output = build(&tag.root(), &machine.home(), out.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let artifact = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    let got = answers(&fs::read(artifact).unwrap());
    assert_eq!(got.len(), 19);
    assert!(got.iter().all(|answer| answer.ends_with(": no")), "{got:?}");
    assert!(machine.tcp.accept().is_err() && machine.udp.recv(&mut [0; 8]).is_err());
    assert_eq!(fs::read_to_string(machine.home().join(".bashrc")).unwrap(), "precious");
    assert!(!machine.home().join("written").exists() && !machine.home().join("made").exists());
}

#[test]
fn the_compiler_reads_nothing_outside_for_a_source() {
    if open_ground("the_compiler_reads_nothing_outside_for_a_source") {
        return;
    }
    let machine = Machine::new();
    let key = machine.home().join(".ssh/id_ed25519");
    let key = key.display();
    put(&machine.home(), "module.rs", "pub const EVIL: u8 = 1;\n");
    for line in [
        format!("const _: &[u8] = include_bytes!(\"{key}\");"),
        format!("const _: &str = include_str!(\"{key}\");"),
        format!("#[path = \"{}/module.rs\"] mod evil;", machine.home().display()),
        format!("include!(\"{}/module.rs\");", machine.home().display()),
        format!("core::arch::global_asm!(\".incbin \\\"{key}\\\"\");"),
        "const _: &[u8] = include_bytes!(\"/proc/self/environ\");".to_owned(),
        "const _: &[u8] = include_bytes!(\"/etc/passwd\");".to_owned(),
        "const _: &str = env!(\"GITHUB_TOKEN\");".to_owned(),
        "const _: &str = env!(\"SSH_AUTH_SOCK\");".to_owned(),
    ] {
        let tag = Tagged::new(|root| {
            edit(root, "cmd/tsuku-dltest/src/main.rs", "const USAGE", &format!("{line}\nconst USAGE"));
        });
        let refusal = tag.refusal();
        assert!(refusal.contains("cargo failed"), "{line}: {refusal}");
        assert!(!refusal.contains(SECRET), "{line}");
    }
}

#[test]
fn what_was_open_before_is_closed_for_a_build() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "secret", SECRET);
    let tag = Tagged::new(|root| {
        let script = "use std::io::Read;\nuse std::os::fd::FromRawFd;\nfn main() {\n    let mut text = String::new();\n    \
                      let open = unsafe { std::fs::File::from_raw_fd(7) }.read_to_string(&mut text).is_ok();\n    \
                      println!(\"cargo:rustc-env=REPORT=descriptor-{open}-{text}\");\n}\n";
        put(root, "cmd/tsuku-dltest/build.rs", script);
        put(root, "cmd/tsuku-dltest/link.toml", "");
        put(root, "cmd/tsuku-dltest/src/main.rs", "fn main() { println!(\"{}\", env!(\"REPORT\")); }\n");
        put(root, "Cargo.toml", "[workspace]\nmembers = [\"cmd/*\"]\n");
        put(
            root,
            "cmd/tsuku-dltest/Cargo.toml",
            "[package]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\nedition = \"2021\"\n",
        );
    });
    let (out, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inner = build(&tag.root(), home.path(), out.path());
    let mut outer = Command::new("sh");
    outer.args(["-c", "exec 7<\"$0\" && exec \"$@\""]).arg(directory.path().join("secret"));
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = outer.output().unwrap();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("linker `cc` not found"), "{told}");
        let _ =
            writeln!(std::io::stderr(), "skipped: what_was_open_before_is_closed_for_a_build: there is no C compiler");
        return;
    }
    let artifact = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    let text = String::from_utf8_lossy(&fs::read(artifact).unwrap()).into_owned();
    assert!(text.contains("descriptor-false-") && !text.contains(SECRET));
}

#[test]
fn the_users_own_settings_of_cargo_and_rustc_change_nothing() {
    let server = Site::honest().serve();
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("ran");
    put(directory.path(), "wrapper", &format!("#!/bin/sh\ntouch '{}'\nexec \"$@\"\n", marker.display()));
    fs::set_permissions(directory.path().join("wrapper"), fs::Permissions::from_mode(0o755)).unwrap();
    let wrapper = directory.path().join("wrapper").display().to_string();
    let mut command = server.command(&[]);
    for (name, value) in [
        ("RUSTFLAGS", "-Cdebuginfo=2"),
        ("CARGO_ENCODED_RUSTFLAGS", "-Cdebuginfo=2"),
        ("CARGO_BUILD_RUSTFLAGS", "-Cdebuginfo=2"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", &wrapper),
        ("CARGO_TARGET_DIR", &wrapper),
        ("CARGO_BUILD_TARGET", "evil"),
        ("RUSTC_WRAPPER", &wrapper),
        ("RUSTC_WORKSPACE_WRAPPER", &wrapper),
        ("CARGO_BUILD_RUSTC_WRAPPER", &wrapper),
        ("RUSTC_BOOTSTRAP", "1"),
        ("RUSTC", &wrapper),
        ("RUSTUP_TOOLCHAIN", "evil"),
        ("LD_LIBRARY_PATH", "/evil"),
        ("SOURCE_DATE_EPOCH", "1"),
    ] {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!marker.exists(), "a wrapper was started");
}

#[test]
fn a_temporary_directory_that_is_not_utf_8_is_left_empty() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    let odd = place.path().join(std::ffi::OsStr::from_bytes(b"odd-\xff\xfe"));
    if fs::create_dir(&odd).is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: a_temporary_directory_that_is_not_utf_8_is_left_empty: no such names here"
        );
        return;
    }
    let server = Site::honest().serve();
    let output = server.command(&[]).env("TMPDIR", &odd).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!([Some(0), Some(2)].contains(&output.status.code()), "{told}");
    assert!(output.status.success() || told.contains("hint: "), "{told}");
    assert_eq!(fs::read_dir(&odd).unwrap().count(), 0, "{told}");
}
