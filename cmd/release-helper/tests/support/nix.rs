//! A program that stands in for Nix, as if everything had been built before, and a toolchain that is not the pinned one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use release_helper::domain::toolchain::Toolchain;

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts `nix` into `directory`. Its packages are the folder `package`, their toolchain lies at `sysroot`.
pub fn stand_in(directory: &Path, package: &Path, sysroot: &Path) {
    let output = |path: &Path| format!(r#"{{"outputs": {{"out": "{}"}}}}"#, path.display());
    let script = format!(
        "separator='['\nfor argument; do\n  case $argument in\n    *#*.toolchain) output='{}' ;;\n    *#*) output='{}' ;;\n    \
         show-config) echo '{{\"sandbox\": {{\"value\": \"relaxed\"}}}}'; exit ;;\n    *) continue ;;\n  esac\n  \
         printf '%s%s' \"$separator\" \"$output\"\n  separator=,\ndone\necho ']'",
        output(sysroot),
        output(package)
    );
    program(&directory.join("nix"), &script);
}

/// A toolchain at `place` that is `real`, but that its compiler says another version of itself.
pub fn another(real: &Toolchain, place: &Path) {
    let said = Command::new(real.rustc()).args(["--version", "--verbose"]).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap().replace(&real.version, "1.94.7");
    fs::create_dir_all(place.join("bin")).unwrap();
    program(&place.join("bin/rustc"), &format!("printf %s '{said}'"));
    symlink(real.cargo(), place.join("bin/cargo")).unwrap();
    symlink(real.sysroot().join("lib"), place.join("lib")).unwrap();
}
