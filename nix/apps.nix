# What `nix run` offers: the helper, and its two main jobs by name. The pinned compiler is on their PATH, so that they
# work on a machine without Rust; they look for the checkout around the current directory.
{
  lib,
  pkgs,
  toolchain,
  release-helper,
  ...
}:
let
  path = lib.makeBinPath [
    toolchain
    pkgs.stdenv.cc
    pkgs.gitMinimal
  ];
  app = name: subcommand: description: {
    type = "app";
    program = "${pkgs.writeShellScript name ''
      export PATH=${path}:$PATH
      exec ${lib.getExe release-helper} ${subcommand} "$@"
    ''}";
    meta = { inherit description; };
  };
in
{
  release-helper = app "release-helper" "" release-helper.meta.description;
  # `nix run .#build -- v1.2.3 linux-amd64` takes the tag from the checkout around the current directory. Without one, as
  # in `nix run github:OWNER/NAME/v1.2.3#build -- v1.2.3`, the flake's own tree is the tag's.
  build = {
    type = "app";
    program = "${pkgs.writeShellScript "build" ''
      export PATH=${path}:$PATH
      root=$(git rev-parse --show-toplevel 2>/dev/null) && [ -e "$root/release.toml" ] || root=${../.}
      exec ${lib.getExe release-helper} build --backend nix --root "$root" --tag "$@"
    ''}";
    meta.description = "Builds the artifacts of a tag, with the tag's version injected";
  };
  verify = app "verify" "verify" "Rebuilds a published release and compares it, bit for bit";
  rehearse = app "rehearse" "rehearse" "Plays a whole release through on this machine";
}
