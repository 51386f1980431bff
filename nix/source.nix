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

  # What the helper carries of its own (src/build/expressions.rs).
  expressions = lib.fileset.unions [
    (root + "/flake.lock")
    (root + "/flake.nix")
    (lib.fileset.difference (root + "/nix") (root + "/nix/tests"))
  ];

  # The blocks of the workspace's lock whose package name pleases `keep`, byte for byte as cargo wrote them, so that
  # `--locked` accepts a tree with fewer packages, and a new version of the program is no news to the helper.
  lock =
    keep:
    let
      separator = "\n[[package]]\n";
      blocks = lib.splitString separator (lib.readFile (root + "/Cargo.lock"));
      name = block: lib.head (builtins.match "name = \"([^\"]+)\"\n.*" block);
    in
    lib.concatStringsSep separator (
      [ (lib.head blocks) ] ++ lib.filter (block: keep (name block)) (lib.tail blocks)
    );
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
  dltestLock = lock (_: false) + "\n[[package]]\nname = \"${binary}\"\nversion = \"${version}\"\n";

  helper = tree [
    (root + "/Cargo.toml")
    (root + "/release.toml")
    (root + "/cmd/release-helper")
    expressions
  ];
  # The packages for tests beside it are no part of either.
  helperLock = lock (
    name:
    !builtins.elem name [
      binary
      "darwin-stand-in"
      "dltest-protocol"
    ]
  );

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
    expressions
  ];

  nix = tree [
    (root + "/flake.nix")
    (root + "/nix")
  ];
}
