# What can be said of the Nix files without nixpkgs, by any Nix since 2.8: `report` is one line for each test.
let
  stubs = {
    nixpkgs = {
      outPath = ./stubs/nixpkgs.nix;
      lib = import ./stubs/lib.nix;
    };
    crane = import ./stubs/crane.nix;
    naersk = ./stubs/naersk.nix;
    fenix = ./stubs/fenix.nix;
  };
  outputs = (import ../../flake.nix).outputs (stubs // { self = outputs; });
  contract = import ../platforms.nix;
  release = builtins.fromTOML (builtins.readFile ../../release.toml);

  systems = [
    "aarch64-darwin"
    "aarch64-linux"
    "x86_64-darwin"
    "x86_64-linux"
  ];
  platforms = [
    "darwin-amd64"
    "darwin-arm64"
    "linux-amd64"
    "linux-amd64-musl"
    "linux-arm64"
    "linux-arm64-musl"
  ];

  inherit (builtins)
    all
    attrNames
    elem
    elemAt
    filter
    length
    mapAttrs
    ;
  sorted = builtins.sort builtins.lessThan;
  contains = part: whole: length (builtins.split part whole) > 1;
  onEachSystem = f: all f systems;
  # `f system platform artifact`, for all of them.
  onEachArtifact =
    f:
    onEachSystem (
      system: all (name: f system contract.platforms.${name} outputs.packages.${system}.${name}) platforms
    );

  startedBy = interpreter: platform: ''
    #!/bash
    program=/crane/tsuku-dltest-${platform}/bin/tsuku-dltest-${platform}
    if ${interpreter} --verify "$program" >/dev/null 2>&1; then
      exec "$program" "$@"
    fi
    exec /glibc/lib/${baseNameOf interpreter} "$program" "$@"
  '';

  lockText = builtins.readFile ../../flake.lock;
  problems = import ./lock.nix;
  damaged = edit: problems (builtins.toJSON (edit (builtins.fromJSON lockText)));
  withNode =
    name: edit:
    damaged (
      lock:
      lock
      // {
        nodes = lock.nodes // {
          ${name} = edit lock.nodes.${name};
        };
      }
    );
  withLocked = name: change: withNode name (node: node // { locked = node.locked // change; });

  nixpkgs = system: import stubs.nixpkgs { inherit system; };
  overlayOf = scope: outputs.overlays.default scope { };
  overlaid = system: overlayOf (nixpkgs system);

  source = import ../source.nix {
    inherit (stubs.nixpkgs) lib;
    inherit (contract) binary;
  };
  packagesIn =
    lock:
    map (match: elemAt match 0) (
      filter builtins.isList (builtins.split "\nname = \"([^\"]+)\"\n" lock)
    );
  workspaceLock = builtins.readFile ../../Cargo.lock;

  tests = {
    "platforms.nix says what release.toml says and nothing else" =
      removeAttrs contract [
        "platformOf"
        "platforms"
      ] == release
      &&
        mapAttrs (
          _: platform:
          removeAttrs platform [
            "name"
            "asset"
            "isMusl"
            "isDarwin"
            "system"
          ]
        ) contract.platforms == release.platform;

    "there are six platforms and four systems" =
      attrNames contract.platforms == platforms && contract.nix-systems == systems;

    "an asset is named after the program and its platform" =
      contract.platforms.linux-arm64-musl.asset == "tsuku-dltest-linux-arm64-musl";

    "every system has six platforms under two names, the default, the helper and the sums" =
      onEachSystem
        (
          system:
          attrNames outputs.packages.${system} == sorted (
            platforms
            ++ map (name: "dltest-${name}") platforms
            ++ [
              "default"
              "release-helper"
              "SHA256SUMS"
            ]
          )
        );

    "both names of a platform are one derivation" = onEachArtifact (
      system: platform: artifact:
      artifact.outPath == outputs.packages.${system}."dltest-${platform.name}".outPath
    );

    "the default is the host's own artifact, on Linux with a loader to start it by" =
      mapAttrs (_: packages: packages.default.text or packages.default.outPath) outputs.packages == {
        x86_64-linux = startedBy "/lib64/ld-linux-x86-64.so.2" "linux-amd64";
        aarch64-linux = startedBy "/lib/ld-linux-aarch64.so.1" "linux-arm64";
        x86_64-darwin = "/crane/tsuku-dltest-darwin-amd64";
        aarch64-darwin = "/crane/tsuku-dltest-darwin-arm64";
      };

    "the first app is the program" = onEachSystem (
      system:
      outputs.apps.${system}.default.program == "${outputs.packages.${system}.default}/bin/tsuku-dltest"
    );

    "every system has the same apps, checks, shell and formatter" = onEachSystem (
      system:
      attrNames outputs.apps.${system} == [
        "build"
        "default"
        "rehearse"
        "release-helper"
        "verify"
      ]
      && attrNames outputs.devShells.${system} == [ "default" ]
      && outputs.formatter.${system}.name == "nixfmt-tree"
      &&
        attrNames outputs.checks.${system} == sorted (
          map (name: "contract-${name}") platforms
          ++ map (name: "crane-equals-naersk-${name}") platforms
          ++ [
            "clippy"
            "clippy-dltest"
            "fmt"
            "nixfmt"
            "tests"
            "toolchain"
            "version"
          ]
        )
    );

    "every app describes itself" = onEachSystem (
      system:
      all (app: app.type == "app" && app.meta.description != "") (
        builtins.attrValues outputs.apps.${system}
      )
    );

    "an artifact is built for its own target, whatever the host" = onEachArtifact (
      system: platform: artifact:
      contains "--locked --package tsuku-dltest --target ${platform.target} --config cmd/tsuku-dltest/link.toml$" artifact.cargoExtraArgs
    );

    "an artifact may refer to no store path, and nothing edits it after the build" = onEachArtifact (
      _: _: artifact:
      artifact.allowedReferences == [ ] && artifact.dontFixup
    );

    "nothing but the linker makes or signs an artifact" = onEachArtifact (
      _: _: artifact:
      (artifact.nativeBuildInputs or [ ]) == [ ] && !contains "sign" artifact.postInstall
    );

    "musl artifacts are built in pkgsStatic's scope on Linux" = onEachArtifact (
      system: platform: artifact:
      artifact.scopeName == (
        if
          platform.isMusl
          && elem system [
            "aarch64-linux"
            "x86_64-linux"
          ]
        then
          "pkgsStatic"
        else
          "pkgs"
      )
    );

    "crane and naersk get the same toolchain, source, flags and phases" = onEachSystem (
      system:
      all (
        name:
        let
          crane = outputs.packages.${system}.${name}.arguments;
          naersk = outputs.packages.${system}.${name}.second-builder.arguments;
          shared = [
            "allowedReferences"
            "dontFixup"
            "postInstall"
            "postPatch"
            "src"
            "strictDeps"
            "version"
          ];
          only = builtins.intersectAttrs (
            builtins.listToAttrs (
              map (name: {
                inherit name;
                value = null;
              }) shared
            )
          );
        in
        only crane == only naersk
        && attrNames (only crane) == shared
        && builtins.concatStringsSep " " (naersk.cargoBuildOptions [ ]) == crane.cargoExtraArgs
      ) platforms
    );

    "an artifact's toolchain is a compiler and the library of its target" = onEachArtifact (
      _: platform: artifact:
      artifact.toolchain.components == [
        "cargo"
        "rustc-unwrapped"
        "rust-std-${platform.target}"
      ]
    );

    "an artifact tells the toolchain that builds it" = onEachArtifact (
      _: _: artifact:
      artifact.arguments.passthru.toolchain.components == artifact.toolchain.components
    );

    "an artifact needs no C compiler, from either builder" = onEachArtifact (
      _: _: artifact:
      artifact.stdenv.name == "stdenvNoCC" && artifact.second-builder.stdenv.name == "stdenvNoCC"
    );

    "an artifact is named after its platform, whatever scope builds it" = onEachArtifact (
      _: platform: artifact:
      artifact.name == "${platform.asset}-${source.version}"
    );

    "every package says its home, its license and the systems it is built on" = onEachSystem (
      system:
      all (
        package:
        package.meta.homepage != "" && package.meta.license == "MIT" && package.meta.platforms == systems
      ) (builtins.attrValues (removeAttrs outputs.packages.${system} [ "SHA256SUMS" ]))
    );

    "no program is compiled to write TOML" = onEachSystem (
      system: outputs.packages.${system}.release-helper.writeTOML == "remarshal"
    );

    "the artifact's lock names the program alone, as cargo writes it" =
      source.dltestLock
      == "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n\n[[package]]\nname = \"tsuku-dltest\"\nversion = \"${source.version}\"\n";

    "the helper's lock names everything but the programs beside it" =
      packagesIn source.helperLock == filter (
        name:
        !elem name [
          "darwin-stand-in"
          "dltest-protocol"
          "tsuku-dltest"
        ]
      ) (packagesIn workspaceLock);

    "the overlay offers the program and the helper as they are built here" =
      let
        overlay = overlaid "aarch64-linux";
      in
      overlay.tsuku-dltest.text == startedBy "/lib/ld-linux-aarch64.so.1" "linux-arm64"
      && overlay.tsuku-release-helper.outPath == "/crane/release-helper";

    "the overlay gives pkgsStatic the musl artifact" =
      (overlayOf (nixpkgs "aarch64-linux").pkgsStatic).tsuku-dltest.outPath
      == "/crane/tsuku-dltest-linux-arm64-musl";

    # What `tryEval` catches was thrown: a missing attribute it does not.
    "the overlay says so where there is no artifact, or nothing to build it on" =
      all (attempt: !(builtins.tryEval attempt).success)
        [
          (overlaid "riscv64-linux").tsuku-dltest
          (overlaid "riscv64-linux").tsuku-release-helper
        ];

    "flake.lock is what flake.nix and docs/nix.md say" = problems lockText == [ ];

    "a lock with another revision of an input is refused" =
      withLocked "crane" { rev = "0000000000000000000000000000000000000000"; }
      == [ "docs/nix.md does not name the rev of crane" ];

    "a lock with another revision than flake.nix names is refused" =
      elem "fenix is locked to another revision than flake.nix names"
        (withLocked "fenix" { rev = "0000000000000000000000000000000000000000"; });

    "a lock with another content hash is refused" =
      withLocked "nixpkgs" { narHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; }
      == [ "docs/nix.md does not name the narHash of nixpkgs" ];

    "a lock to a branch instead of a revision is refused" = elem "naersk is not locked to a revision" (
      withLocked "naersk" { rev = "master"; }
    );

    "a lock to somebody else's fork is refused" =
      withLocked "crane" { owner = "somebody"; } == [ "crane is locked to another repository" ];

    "a lock in which naersk brings its own fenix is refused" =
      withNode "naersk" (
        node:
        node
        // {
          inputs = node.inputs // {
            fenix = "fenix_2";
          };
        }
      ) == [ "naersk does not follow what flake.nix says" ];

    "a lock with an input too many is refused" =
      damaged (
        lock:
        lock
        // {
          nodes = lock.nodes // {
            extra = lock.nodes.crane;
          };
        }
      ) == [ "something is locked that flake.nix does not name" ];

    "a lock with an input too few is refused" = elem "naersk is not locked" (
      damaged (lock: lock // { nodes = removeAttrs lock.nodes [ "naersk" ]; })
    );
  };
in
{
  inherit outputs tests;
  report = builtins.concatStringsSep "\n" (
    map (name: "${if tests.${name} then "ok" else "FAILED"}: ${name}") (attrNames tests)
  );
}
