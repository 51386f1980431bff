# The lab's nixpkgs: nixpkgs' own library, and ./default.nix.
{
  outputs = _: { lib = import ./lib; };
}
