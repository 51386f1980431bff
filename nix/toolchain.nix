# The compiler: exactly the channel that rustup users get from rust-toolchain.toml. Each of these is one folder with no more
# than its users need: a component of Rust is 10 to 150 MB, and in no cache of nixpkgs.
{
  lib,
  fenix,
  platforms,
}:
let
  inherit (fenix) stable;
  # rustc and clippy without a standard library: fenix would copy both once more to add the host's.
  compiler = [
    stable.cargo
    stable.rustc-unwrapped
  ];
  standardLibrary = target: fenix.targets.${target}.stable.rust-std;
  everyTarget = map (platform: standardLibrary platform.target) (lib.attrValues platforms);
in
{
  # For programs of one target. rust-lld links, so the host's own library is not among it.
  forTarget = target: fenix.combine (compiler ++ [ (standardLibrary target) ]);
  forEveryTarget = fenix.combine (compiler ++ everyTarget);
  withLinters = fenix.combine (
    compiler
    ++ [
      stable.clippy-unwrapped
      stable.rustfmt
    ]
    ++ everyTarget
  );
}
