//! Extension modules as people publish them: from wheels of PyPI, kept in the target directory.

use std::path::Path;
use std::process::Command;

use crate::skipped::skipped;

/// Pinned, so that the tests see the same bytes everywhere: two releases of a small module for Linux and for both
/// machines of macOS.
pub(crate) const MARKUPSAFE: [&str; 2] = ["markupsafe==2.1.4", "markupsafe==2.1.5"];

const EXTRACT: &str = r#"
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith(".so"))
open(sys.argv[2], "wb").write(wheel.read(name))
"#;

/// The extension module in the wheel of `requirement` for `platform`; None, after saying so, where it cannot be had.
pub(crate) fn module(requirement: &str, platform: &str) -> Option<Vec<u8>> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{requirement}-{platform}.so"));
    if !file.exists() {
        let directory = tempfile::tempdir().unwrap();
        let python = |arguments: &[&str]| Command::new("python3").args(arguments).output();
        let to = directory.path().to_str().unwrap();
        let only = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--disable-pip-version-check"];
        let download =
            [&["-m", "pip", "download", "--quiet"], &only[..], &["--platform", platform, "--dest", to, requirement]];
        let extracted = directory.path().join("module");
        let steps = [download.concat(), vec!["-c", EXTRACT, to, extracted.to_str().unwrap()]];
        for step in steps {
            match python(&step) {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    let reason = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
                    skipped(&format!("{requirement} for {platform} cannot be had: {reason}"));
                    return None;
                }
                Err(error) => {
                    skipped(&format!("python3: {error}"));
                    return None;
                }
            }
        }
        // Tests run side by side: the name appears when the file is complete.
        let beside = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::copy(extracted, beside.path()).unwrap();
        beside.persist(&file).unwrap();
    }
    Some(std::fs::read(file).unwrap())
}

/// Two releases of a module for one platform.
pub(crate) fn pair(platform: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    module(MARKUPSAFE[0], platform).zip(module(MARKUPSAFE[1], platform))
}

pub(crate) const LINUX: &str = "manylinux2014_x86_64";
pub(crate) const MACOS: &str = "macosx_10_9_universal2";
