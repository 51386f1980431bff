# What `nix run` offers: the program, the helper, and the helper's two main jobs by name. The pinned compiler is on the
# helper's PATH, so that it works on a machine without Rust; it looks for the checkout around the current directory.
{
  lib,
  pkgs,
  toolchains,
  program,
  release-helper,
  ...
}:
let
  path = lib.makeBinPath [
    toolchains.forEveryTarget
    pkgs.gitMinimal
  ];
  app = program: description: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };
  job =
    name: subcommand:
    app "${pkgs.writeShellScript name ''
      export PATH=${path}:$PATH
      exec ${lib.getExe release-helper} ${subcommand} "$@"
    ''}";
in
{
  default = app (lib.getExe program) program.meta.description;
  release-helper = job "release-helper" "" release-helper.meta.description;
  # `nix run .#build -- v1.2.3 linux-amd64` takes the tag from the checkout around the current directory. Without one, as
  # in `nix run github:OWNER/NAME/v1.2.3#build -- v1.2.3`, the flake's own tree is the tag's.
  build = app "${pkgs.writeShellScript "build" ''
    export PATH=${path}:$PATH
    root=$(git rev-parse --show-toplevel 2>/dev/null) && [ -e "$root/release.toml" ] || root=${../.}
    exec ${lib.getExe release-helper} build --backend nix --root "$root" --tag "$@"
  ''}" "Builds the artifacts of a tag, with the tag's version injected";
  verify = job "verify" "verify" "Rebuilds a published release and compares it, bit for bit";
  rehearse = job "rehearse" "rehearse" "Plays a whole release through on this machine";
}
