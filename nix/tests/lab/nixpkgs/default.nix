# A package set of nixpkgs' shape for x86_64-linux that builds without a binary cache: its stdenv takes gcc and the Unix
# tools from the root folder's /usr. nixpkgs' library (./lib), the stdenv's scripts, its stages and its builders (./core) are
# real; pkgsStatic is a real cross set. What would be downloaded comes from the root folder.
{
  system ? "x86_64-linux",
  overlays ? [ ],
  ...
}:
assert system == "x86_64-linux";
let
  core = ./core;

  # Without a stdenv. A builder's last act must be the shell's own: Nix kills what closes its output before it exits, as
  # coreutils do, and on a busy machine that is a failure.
  script =
    name: text:
    derivation {
      inherit name system;
      builder = "/bin/bash";
      args = [
        "-c"
        ''
          set -e
          PATH=/bin
          ${text}
          exit 0
        ''
      ];
    };

  # A folder whose bin has links to programs of the root folder.
  tool =
    name: programs:
    script name ''
      mkdir -p $out/bin
      for program in ${toString programs}; do ln -s /usr/bin/$program $out/bin/$program; done
    ''
    // {
      meta = { };
      pname = name;
      version = "host";
      override = _: tool name programs;
      overrideAttrs = _: tool name programs;
      __spliced = { };
    };

  # What unpacks to a component of Rust: as the real one, it has an install.sh. The files are those that rustup's own list
  # names, in the root folder's /opt/rust.
  component =
    url:
    let
      parts = builtins.match "(.+)-[0-9.]+-([^.]+)[.]tar[.].z" (baseNameOf url);
      list = "/opt/rust/lib/rustlib/manifest-${builtins.elemAt parts 0}*-${builtins.elemAt parts 1}";
    in
    script (baseNameOf url) ''
      mkdir $out
      echo '#!/bin/bash
      mkdir -p "''${1#--prefix=}" && sed -n s/^file://p ${list} | tar c -C /opt/rust -T - | tar x -C "''${1#--prefix=}"' >$out/install.sh
      chmod +x $out/install.sh
    '';

  fromHost = final: prev: {
    lib = import ./lib // prev.lib // { version = "26.05pre-lab"; };
    fetchurl =
      arguments:
      if final.lib.hasPrefix "https://static.rust-lang.org/" (arguments.url or "") then
        component arguments.url
      else
        final.stdenv.fetchurlBoot arguments;

    cacert = tool "cacert" [ ];
    curl = tool "curl" [ "curl" ];
    file = tool "file" [ "file" ];
    formats = { }; # naersk takes them, and needs none here
    git = tool "git" [ "git" ];
    gitMinimal = final.git;
    jq = tool "jq" [ "jq" ];
    lndir = tool "lndir" [ "lndir" ];
    xorg.lndir = final.lndir;
    patchelf = tool "patchelf" [ "patchelf" ];
    perl = tool "perl" [ "perl" ];
    python3 = tool "python3" [ "python3" ];
    rsync = tool "rsync" [ "rsync" ];
    zlib = tool "zlib" [ ];
    zstd = tool "zstd" [ "zstd" ];

    glibc = final.runCommand "glibc" { } "mkdir $out; ln -s /usr/lib/x86_64-linux-gnu $out/lib";
    nixfmt = final.runCommand "nixfmt" { } "mkdir -p $out/bin; ln -s /opt/nixfmt $out/bin/nixfmt";
    # As nixpkgs' own, it does not need /lib64.
    runtimeShell = "${
      final.runCommand "bash" { nativeBuildInputs = [ final.patchelf ]; } ''
        mkdir -p $out/bin
        cp /usr/bin/bash $out/bin
        patchelf --set-interpreter ${final.glibc}/lib/ld-linux-x86-64.so.2 $out/bin/bash
      ''
    }/bin/bash";
    remarshal = final.writeTextFile {
      name = "remarshal";
      destination = "/bin/remarshal";
      executable = true;
      text = ''
        #!/usr/bin/python3
        import json, sys, tomli_w
        options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
        assert (options["-if"], options["-of"]) == ("json", "toml")
        def clean(value):
            if isinstance(value, dict):
                return {key: clean(item) for key, item in value.items() if item is not None}
            return [clean(item) for item in value] if isinstance(value, list) else value
        with open(options["-i"]) as source, open(options["-o"], "wb") as target:
            tomli_w.dump(clean(json.load(source)), target)
      '';
    };
  };

  native =
    {
      lib,
      localSystem,
      config,
      overlays,
      ...
    }:
    let
      mk =
        { cc, fetchurl }:
        import (core + "/stdenv/generic") {
          inherit config cc;
          buildPlatform = localSystem;
          hostPlatform = localSystem;
          targetPlatform = localSystem;
          preHook = ''
            export NIX_ENFORCE_PURITY=
            export NIX_ENFORCE_NO_NATIVE=0
          '';
          initialPath = [
            "/usr"
            "/"
          ];
          shell = "/bin/bash";
          fetchurlBoot = fetchurl;
        };
    in
    [
      (_: rec {
        __raw = true;
        stdenv = mk {
          cc = null;
          fetchurl = null;
        };
        stdenvNoCC = stdenv;
        bintools = import (core + "/build-support/bintools-wrapper") {
          inherit lib stdenvNoCC;
          name = "bintools";
          nativePrefix = "/usr";
          nativeTools = true;
          nativeLibc = true;
          runtimeShell = "/bin/bash";
          expand-response-params = "";
        };
        cc =
          import (core + "/build-support/cc-wrapper") {
            inherit lib stdenvNoCC bintools;
            name = "cc-native";
            nativePrefix = "/usr";
            nativeTools = true;
            nativeLibc = true;
            runtimeShell = "/bin/bash";
            expand-response-params = "";
          }
          // {
            bintools = bintools // {
              dynamicLinker = "/lib64/ld-linux-x86-64.so.2";
            };
            cc.lib = tool "gcc-lib" [ ];
          };
        fetchurl = import (core + "/pkgs/fetchurl") {
          inherit lib stdenvNoCC config;
          curl = null;
        };
      })
      (previous: {
        inherit config overlays;
        stdenv = mk { inherit (previous) cc fetchurl; } // {
          inherit (previous) fetchurl;
        };
      })
    ];

  # As nixpkgs makes a cross set: the tools for another platform, then what they make. There is no compiler for it.
  stages =
    arguments@{
      lib,
      localSystem,
      crossSystem,
      config,
      overlays,
      crossOverlays ? [ ],
      ...
    }:
    let
      natives = native arguments;
    in
    if crossSystem == localSystem then
      natives
    else
      lib.init natives
      ++ [
        (previous: lib.last natives previous // { allowCustomOverrides = true; })
        (previous: {
          inherit config overlays;
          selfBuild = false;
          allowCustomOverrides = true;
          stdenv = previous.stdenv.override { targetPlatform = crossSystem; };
        })
        (
          buildPackages:
          let
            bare = buildPackages.stdenv.override {
              buildPlatform = localSystem;
              hostPlatform = crossSystem;
              targetPlatform = crossSystem;
              cc = null;
              hasCC = false;
            };
            stdenvNoCC = if crossSystem.isStatic then buildPackages.stdenvAdapters.makeStatic bare else bare;
          in
          {
            inherit config stdenvNoCC;
            overlays = overlays ++ crossOverlays;
            selfBuild = false;
            stdenv = stdenvNoCC.override {
              cc = throw "the lab has no compiler for ${crossSystem.config}";
              hasCC = true;
            };
          }
        )
      ];
in
import (core + "/default.nix") {
  localSystem = { inherit system; };
  stdenvStages = stages;
  overlays = [ fromHost ] ++ overlays;
}
