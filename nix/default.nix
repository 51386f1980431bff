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
  meta = {
    homepage = "https://github.com/tsukumogami/tsuku";
    license = lib.licenses.mit;
    platforms = contract.nix-systems;
  };

  projectOn =
    system:
    let
      pkgs = import nixpkgs {
        inherit system;
        config.allowDeprecatedx86_64Darwin = true; # 26.05 is the last to support it, and says so
      };

      toolchains = import ./toolchain.nix {
        inherit lib;
        inherit (contract) platforms;
        fenix = import fenix {
          inherit system lib pkgs;
          rust-analyzer-src = { };
        };
      };

      craneIn =
        scope:
        (crane.mkLib scope).overrideScope (
          final: _: {
            # crane would compile a program to write TOML with.
            writeTOML = final.writeTOMLViaRemarshal;
          }
        );
      # An artifact is linked by rust-lld and has no crates: without a C compiler, which crane would fetch or build, and
      # without crane's hooks for crates.
      bare =
        craneLib:
        craneLib.overrideScope (
          _: _:
          {
            stdenvSelector = scope: scope.stdenvNoCC;
          }
          // lib.genAttrs [
            "configureCargoVendoredDepsHook"
            "inheritCargoArtifactsHook"
            "installCargoArtifactsHook"
            "removeReferencesToRustToolchainHook"
            "removeReferencesToVendoredSourcesHook"
            "replaceCargoLockHook"
          ] (_: null)
        );
      craneLib = craneIn pkgs;

      host = contract.platformOf {
        inherit system;
        isMusl = false;
      };

      release-helper = pkgs.callPackage ./release-helper.nix {
        inherit source meta;
        inherit (contract) binary;
        craneLib = craneLib.overrideToolchain (_: toolchains.forTarget host.target);
        linters = craneLib.overrideToolchain (_: toolchains.withLinters);
      };

      recipe = import ./recipe.nix { inherit contract source toolchains; };
      second-builder = import ./second-builder.nix {
        inherit recipe;
        naersk = toolchain: pkgs.callPackage naersk ({ stdenv = pkgs.stdenvNoCC; } // toolchain);
      };
      artifactIn =
        scope:
        import ./dltest.nix {
          inherit
            lib
            recipe
            second-builder
            meta
            ;
          craneLib = bare (craneIn scope);
        };
      ordinary = artifactIn pkgs;
      static = artifactIn pkgs.pkgsStatic;
      artifacts = lib.mapAttrs (
        _: platform:
        (if platform.isMusl && pkgs.stdenv.hostPlatform.isLinux then static else ordinary) platform
      ) contract.platforms;

      project = {
        inherit
          lib
          pkgs
          contract
          source
          toolchains
          release-helper
          artifacts
          ;
        craneLib = craneLib.overrideToolchain (_: toolchains.withLinters);
        program = pkgs.callPackage ./program.nix { } host artifacts.${host.name};
      };
    in
    {
      packages = import ./packages.nix project;
      apps = import ./apps.nix project;
      checks = import ./checks.nix project;
      shell = import ./shell.nix project;
      formatter = pkgs.nixfmt-tree;
    };

  projects = lib.genAttrs contract.nix-systems projectOn;
in
select: lib.mapAttrs (_: select) projects
