{
  description = "tsuku-dltest: reports whether libraries load; built for six platforms, bit for bit reproducible";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-26.05-darwin";
    crane.url = "github:ipetkov/crane";
    # The last commit whose stable toolchain is the channel of rust-toolchain.toml (docs/nix.md, "Updating the pins").
    fenix = {
      url = "github:nix-community/fenix/e8a633e2794e74b3354cc8199ae53af649340036";
      inputs.nixpkgs.follows = "nixpkgs";
      inputs.rust-analyzer-src.follows = "";
    };
    naersk = {
      url = "github:nix-community/naersk";
      inputs.nixpkgs.follows = "nixpkgs";
      inputs.fenix.follows = "fenix";
    };
  };

  outputs =
    inputs:
    let
      perSystem = import ./nix inputs;
    in
    {
      packages = perSystem (project: project.packages);
      apps = perSystem (project: project.apps);
      checks = perSystem (project: project.checks);
      devShells = perSystem (project: {
        default = project.shell;
      });
      formatter = perSystem (project: project.formatter);
      overlays.default = import ./nix/overlay.nix inputs.self;
    };
}
