# The lab's nixpkgs for every system: a foreign one has its own platform, and the tools of x86_64-linux. The packages that
# this project names and the lab lacks are empty.
{ system, ... }:
let
  inherit (import ./lab { system = "x86_64-linux"; }) lib;
  platform = lib.systems.elaborate system;
  overlay =
    final: prev:
    let
      empty = name: final.runCommand name { } "touch $out";
    in
    lib.genAttrs [
      "actionlint"
      "git"
      "gitMinimal"
      "nixfmt"
      "nixfmt-tree"
      "qemu-user"
      "shellcheck"
    ] empty
    // {
      stdenv = prev.stdenv // {
        hostPlatform = platform;
        buildPlatform = platform;
        cc = prev.stdenv.cc // {
          cc.lib = empty "gcc-lib";
        };
      };
      mkShell = { packages }: final.runCommand "shell" { inherit packages; } "touch $out";

      # What the real fenix asks for while it lists its packages.
      darwin.libiconv = empty "libiconv";
      libiconv = empty "libiconv";
      makeRustPlatform = _: { buildRustPackage = _: empty "rust-analyzer"; };
      vscode-utils.buildVscodeExtension = _: empty "rust-analyzer";
    };
in
import ./lab {
  system = "x86_64-linux";
  overlays = [ overlay ];
}
