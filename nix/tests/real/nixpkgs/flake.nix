# A real nixpkgs tree (copied to ./core) with ./default.nix around it.
{
  outputs = _: { lib = import ./core/lib; };
}
