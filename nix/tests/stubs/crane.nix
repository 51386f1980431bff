# crane, as far as this project uses it: what it was told, and in which scope.
{
  mkLib = scope: {
    overrideToolchain =
      toolchain:
      let
        build =
          function: arguments:
          arguments
          // {
            type = "derivation";
            outPath = "/crane/${arguments.pname}";
            inherit function arguments;
            inherit (scope) scopeName;
            toolchain = toolchain scope;
          }
          // arguments.passthru or { };
      in
      builtins.listToAttrs (
        map
          (name: {
            inherit name;
            value = build name;
          })
          [
            "buildDepsOnly"
            "buildPackage"
            "cargoClippy"
            "cargoFmt"
            "cargoTest"
          ]
      );
  };
}
