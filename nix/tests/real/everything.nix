# The paths of all derivations of all outputs on all systems, from the inputs in /inputs: one evaluation, for the clock.
let
  inputs = {
    nixpkgs = {
      outPath = /inputs/nixpkgs;
      lib = import /inputs/nixpkgs/core/lib;
    };
    crane = (import /inputs/crane/flake.nix).outputs { };
    fenix = /inputs/fenix;
    naersk = /inputs/naersk;
    self = outputs;
  };
  outputs = (import ../../../flake.nix).outputs inputs;
  inherit (builtins) attrValues concatMap concatStringsSep;
  perSystem = set: concatMap attrValues (attrValues set);
in
concatStringsSep "\n" (
  map (package: package.drvPath) (
    perSystem outputs.packages
    ++ perSystem outputs.checks
    ++ perSystem outputs.devShells
    ++ attrValues outputs.formatter
  )
  ++ map (app: app.program) (perSystem outputs.apps)
)
