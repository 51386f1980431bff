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
  verify = app "verify" "verify" "Rebuilds a published release and compares it, bit for bit";
  rehearse = app "rehearse" "rehearse" "Plays a whole release through on this machine";
}
