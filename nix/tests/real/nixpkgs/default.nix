# A nixpkgs tree of 2024, cut to its core (./core), made fit for today's crane, fenix and naersk. Its stdenv, pkgsStatic,
# cross sets, fetchers and hooks are the real ones. Empty stand-ins: leaf packages that the tree lacks, and what Darwin's
# stdenv is bootstrapped from.
{ system, ... }@arguments:
let
  lib = import ./core/lib;
  isDarwin = lib.hasSuffix "-darwin" system;

  leaves = final: prev: {
    formats.toml = _: { generate = name: _: final.empty name; };
    vscode-utils.buildVscodeExtension = _: final.empty "rust-analyzer";
    inherit (final.xorg) lndir;
    mkShell = final.callPackage ./core/pkgs/build-support/mkshell { };
    empty = name: final.runCommand name { } "mkdir $out";
  };
  missing =
    final: _:
    lib.genAttrs [
      "actionlint"
      "moreutils"
      "nixfmt"
      "nixfmt-tree"
      "qemu-user"
      "remarshal"
      "rsync"
      "shellcheck"
    ] final.empty;

  # One stage: no bootstrap, so what a bootstrap would have brought.
  booted =
    final: prev:
    lib.genAttrs [
      "curl"
      "git"
      "gitMinimal"
      "jq"
      "libiconv"
      "zstd"
    ] final.empty
    // {
      bash = final.empty "bash" // {
        shellPath = "/bin/bash";
      };
      darwin = prev.darwin // {
        signingUtils = final.empty "signing-utils";
      };
      fetchurl = prev.fetchurl.override { curl = final.empty "curl"; };
    };
  madeUp =
    {
      lib,
      localSystem,
      config,
      overlays,
      ...
    }:
    let
      tool =
        name:
        derivation {
          inherit name system;
          builder = "/bin/sh";
        };
      generic =
        cc:
        import ./core/pkgs/stdenv/generic {
          inherit config cc;
          buildPlatform = localSystem;
          hostPlatform = localSystem;
          targetPlatform = localSystem;
          initialPath = [ (tool "tools") ];
          shell = "${tool "bash"}/bin/bash";
          fetchurlBoot = _: tool "source";
        };
    in
    [
      (_: {
        inherit config overlays;
        stdenv = generic (
          tool "clang"
          // {
            isClang = true;
            isGNU = false;
            nativeLibc = false;
            targetPrefix = "";
            bintools = tool "bintools" // {
              targetPrefix = "";
            };
            cc = tool "clang-unwrapped";
          }
        );
      })
    ];
in
import ./core (
  removeAttrs arguments [ "system" ]
  // {
    localSystem = { inherit system; };
    overlays = [
      leaves
      missing
    ]
    ++ lib.optional isDarwin booted
    ++ arguments.overlays or [ ];
  }
  // lib.optionalAttrs isDarwin { stdenvStages = madeUp; }
)
