# fenix, as far as this project uses it: a toolchain is the list of its components.
{
  outputs =
    {
      self,
      nixpkgs,
      rust-analyzer-src,
    }:
    {
      packages = builtins.mapAttrs (system: _: {
        combine = components: {
          inherit components;
          outPath = "/toolchain";
        };
        stable = builtins.listToAttrs (
          map
            (name: {
              inherit name;
              value = name;
            })
            [
              "cargo"
              "rustc"
              "clippy"
              "rustfmt"
            ]
        );
        targets = builtins.listToAttrs (
          map
            (name: {
              inherit name;
              value.stable.rust-std = "rust-std-${name}";
            })
            [
              "x86_64-unknown-linux-gnu"
              "x86_64-unknown-linux-musl"
              "aarch64-unknown-linux-gnu"
              "aarch64-unknown-linux-musl"
              "x86_64-apple-darwin"
              "aarch64-apple-darwin"
            ]
        );
      }) nixpkgs.legacyPackages;
    };
}
