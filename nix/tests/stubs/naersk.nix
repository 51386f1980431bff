# naersk, as far as this project uses it: what it was told.
{
  cargo,
  rustc,
  stdenv,
}:
{
  buildPackage =
    arguments:
    arguments
    // {
      type = "derivation";
      outPath = "/naersk/${arguments.name}";
      inherit arguments stdenv;
      toolchain = rustc;
    };
}
