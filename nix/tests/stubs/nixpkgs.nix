# A package set with the names this project uses. A package is a name; a derivation is its arguments.
{ system, ... }:
let
  lib = import ./lib.nix;
  package = name: {
    type = "derivation";
    outPath = "/${name}";
    inherit name;
  };
  derivation =
    name: arguments: script:
    package name // arguments // { inherit script; };
  scope =
    scopeName:
    let
      self =
        lib.genAttrs [
          "actionlint"
          "gitMinimal"
          "glibc"
          "installShellFiles"
          "musl"
          "nixfmt"
          "nixfmt-tree"
          "qemu-user"
          "shellcheck"
        ] package
        // {
          inherit lib scopeName;
          runtimeShell = "/bash";
          stdenv = package "stdenv" // {
            buildPlatform = { inherit system; };
            hostPlatform = {
              inherit system;
              isLinux = builtins.match ".*-linux" system != null;
              isMusl = scopeName != "pkgs";
            };
          };
          stdenvNoCC = package "stdenvNoCC";
          pkgsStatic = scope "pkgsStatic";
          callPackage =
            file: arguments:
            let
              function = if builtins.isFunction file then file else import file;
            in
            function (builtins.intersectAttrs (builtins.functionArgs function) self // arguments);
          runCommand = derivation;
          writeText = name: text: package name // { inherit text; };
          writeTextFile = arguments: package arguments.name // arguments;
          writeShellScript = name: script: package name // { inherit script; };
          mkShell = derivation "shell";
        };
    in
    self;
in
scope "pkgs"
