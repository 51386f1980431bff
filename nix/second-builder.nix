# The same artifact by another builder, naersk. It exists to agree: checks.nix compares the bytes.
{
  recipe,
  naersk,
}:
platform:
let
  shared = recipe platform;
in
(naersk {
  cargo = shared.toolchain;
  rustc = shared.toolchain;
}).buildPackage
  (
    shared.attributes
    // {
      inherit (shared) version src;
      name = platform.asset; # naersk adds the version
      root = ../.; # where naersk reads Cargo.toml and Cargo.lock while evaluating
      cargoBuildOptions = options: options ++ shared.cargoArguments;
      singleStep = true;

      # naersk would vendor every crate of the workspace's lock; the artifact has none. These three are its own variables
      # (docs/nix.md, "Updating the pins").
      cratesio_sources = "";
      git_sources = "";
      cargoconfig = "/dev/null";
      autoCrateSpecificOverrides = false;
      remapPathPrefix = false;
    }
  )
