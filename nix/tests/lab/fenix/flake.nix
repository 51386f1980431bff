# The lab's fenix (copied to ./lab), offered on every system, so that every system's outputs can be evaluated.
{
  outputs =
    _:
    let
      lab = (import ./lab/flake.nix).outputs { self = lab; };
    in
    {
      packages = builtins.mapAttrs (_: _: lab.packages.x86_64-linux) {
        x86_64-linux = null;
        aarch64-linux = null;
        x86_64-darwin = null;
        aarch64-darwin = null;
      };
    };
}
