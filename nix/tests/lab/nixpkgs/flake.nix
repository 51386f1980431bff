# The lab's nixpkgs (copied to ./lab) with ./default.nix around it.
{
  outputs = _: { lib = import ./lab/lib; };
}
