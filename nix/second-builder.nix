# The same artifact by another builder, naersk. It exists to agree: checks.nix compares the bytes.
{
  recipe,
  naersk,
}:
platform:
let
  shared = recipe platform;
in
naersk.buildPackage (
  shared.attributes
  // {
    name = platform.asset;
    inherit (shared) version src;
    root = ../.; # where naersk reads Cargo.toml and Cargo.lock while evaluating
    cargoBuildOptions = options: options ++ shared.cargoArguments;
    singleStep = true;

    # naersk would vendor every crate of the workspace's lock; the artifact has none.
    cratesio_sources = "";
    git_sources = "";
    cargoconfig = "/dev/null";
    autoCrateSpecificOverrides = false;
    remapPathPrefix = false;
  }
)
