# fenix, as far as this project uses it: a toolchain is the list of its components.
{
  system,
  lib,
  pkgs,
  rust-analyzer-src,
}:
{
  combine = components: {
    inherit components;
    outPath = "/toolchain";
  };
  stable = lib.genAttrs [
    "cargo"
    "clippy-unwrapped"
    "rustc-unwrapped"
    "rustfmt"
  ] (name: name);
  targets =
    lib.genAttrs
      [
        "x86_64-unknown-linux-gnu"
        "x86_64-unknown-linux-musl"
        "aarch64-unknown-linux-gnu"
        "aarch64-unknown-linux-musl"
        "x86_64-apple-darwin"
        "aarch64-apple-darwin"
      ]
      (target: {
        stable.rust-std = "rust-std-${target}";
      });
}
