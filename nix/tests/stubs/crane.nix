# crane, as far as this project uses it: what it was told, in which scope, with which settings of its own.
{
  mkLib =
    scope:
    let
      library =
        settings:
        let
          build =
            function: arguments:
            arguments
            // {
              type = "derivation";
              outPath = "/crane/${arguments.pname}";
              inherit function arguments;
              inherit (scope) scopeName;
              toolchain = settings.toolchain scope;
              stdenv = settings.stdenvSelector scope;
              inherit (settings) writeTOML;
            }
            // arguments.passthru or { };
          self =
            settings
            // builtins.mapAttrs (name: _: build name) {
              buildDepsOnly = null;
              buildPackage = null;
              cargoClippy = null;
              cargoFmt = null;
              cargoTest = null;
            }
            // {
              overrideScope = change: library (settings // change self settings);
              overrideToolchain = toolchain: library (settings // { inherit toolchain; });
            };
        in
        self;
    in
    library {
      stdenvSelector = scope: scope.stdenv;
      writeTOML = "crane-utils";
      writeTOMLViaRemarshal = "remarshal";
    };
}
