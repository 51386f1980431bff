# The compiler: exactly the channel that rustup users get from rust-toolchain.toml, able to build for every platform.
{
  lib,
  fenix,
  platforms,
}:
let
  inherit (fenix) stable;
in
fenix.combine (
  [
    stable.cargo
    stable.rustc
    stable.clippy
    stable.rustfmt
  ]
  ++ map (platform: fenix.targets.${platform.target}.stable.rust-std) (lib.attrValues platforms)
)
