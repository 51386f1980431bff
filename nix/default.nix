# For each system: what the flake offers there. Every system offers all six platforms, since rust-lld links them anywhere.
{
  nixpkgs,
  crane,
  fenix,
  naersk,
  ...
}:
let
  inherit (nixpkgs) lib;
  contract = import ./platforms.nix;
  source = import ./source.nix {
    inherit lib;
    inherit (contract) binary;
  };

  projectOn =
    system:
    let
      pkgs = import nixpkgs {
        inherit system;
        config.allowDeprecatedx86_64Darwin = true; # 26.05 is the last to support it, and says so
      };

      # fenix's outputs over this very package set: its own would be evaluated beside it, and warn on Intel Macs.
      toolchains = (import (fenix + "/flake.nix")).outputs {
        self = fenix;
        nixpkgs = {
          inherit lib;
          legacyPackages.${system} = pkgs;
        };
        rust-analyzer-src = { };
      };

      toolchain = import ./toolchain.nix {
        inherit lib;
        inherit (contract) platforms;
        fenix = toolchains.packages.${system};
      };
      craneIn = scope: (crane.mkLib scope).overrideToolchain (_: toolchain);

      release-helper = pkgs.callPackage ./release-helper.nix {
        inherit source;
        craneLib = craneIn pkgs;
      };

      recipe = pkgs.callPackage ./recipe.nix { inherit contract source; };
      second-builder = pkgs.callPackage ./second-builder.nix {
        inherit recipe;
        naersk = pkgs.callPackage naersk {
          cargo = toolchain;
          rustc = toolchain;
          clippy = toolchain;
        };
      };
      artifactIn =
        scope:
        scope.callPackage ./dltest.nix {
          inherit recipe second-builder;
          inherit (contract) binary;
          craneLib = craneIn scope;
        };
      scopeOf =
        platform: if platform.isMusl && pkgs.stdenv.hostPlatform.isLinux then pkgs.pkgsStatic else pkgs;

      project = {
        inherit
          lib
          pkgs
          contract
          source
          toolchain
          release-helper
          ;
        artifacts = lib.mapAttrs (_: platform: artifactIn (scopeOf platform) platform) contract.platforms;
        craneLib = craneIn pkgs;
      };
    in
    {
      packages = import ./packages.nix project;
      apps = import ./apps.nix project;
      checks = import ./checks.nix project;
      shell = import ./shell.nix project;
      formatter = pkgs.nixfmt-tree;
    };

  projects = lib.genAttrs contract.systems projectOn;
in
select: lib.mapAttrs (_: select) projects
