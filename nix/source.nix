# What each build may see of the repository. A file that is not named here cannot cause a rebuild.
{ lib, binary }:
let
  root = ../.;
  program = root + "/cmd/${binary}";
  tree =
    files:
    lib.fileset.toSource {
      inherit root;
      fileset = lib.fileset.unions files;
    };

  inherit ((lib.importTOML (program + "/Cargo.toml")).package) version;

  # The workspace's lock without the program, byte for byte as cargo wrote it: `--locked` accepts a tree with fewer
  # packages, and a new version of the program is no news to the helper.
  separator = "\n[[package]]\n";
  blocks = lib.splitString separator (lib.readFile (root + "/Cargo.lock"));
  isOf = name: block: builtins.match "name = \"${name}\"\n.*" block != null;
in
{
  inherit version;
  inherit ((lib.importTOML (root + "/rust-toolchain.toml")).toolchain) channel;

  # As release-helper's `source::stage` has it.
  dltest = tree [
    (root + "/Cargo.toml")
    (root + "/release.toml")
    (root + "/rust-toolchain.toml")
    (lib.fileset.difference program (
      lib.fileset.unions [
        (program + "/benches")
        (program + "/tests")
      ]
    ))
  ];
  # From the manifest, as `source::stage` has it: a tree in which only that was stamped builds too.
  dltestLock = ''
    version = 4

    [[package]]
    name = "${binary}"
    version = "${version}"
  '';

  helper = tree [
    (root + "/Cargo.toml")
    (root + "/release.toml")
    (root + "/cmd/release-helper")
  ];
  # The test tool beside it is no part of either.
  helperLock = lib.concatStringsSep separator (lib.filter (block: !isOf binary block && !isOf "darwin-stand-in" block) blocks);

  # What states the version.
  stated = tree [
    (root + "/Cargo.lock")
    (root + "/release.toml")
    (program + "/Cargo.toml")
  ];

  workspace = tree [
    (root + "/.cargo")
    (root + "/Cargo.lock")
    (root + "/Cargo.toml")
    (root + "/cmd")
    (root + "/release.toml")
    (root + "/rustfmt.toml")
  ];

  nix = tree [
    (root + "/flake.nix")
    (root + "/nix")
  ];
}
