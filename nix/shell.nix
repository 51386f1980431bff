# `nix develop`: everything the README asks for.
{
  lib,
  pkgs,
  toolchains,
  ...
}:
pkgs.mkShell {
  packages = [
    toolchains.withLinters
    pkgs.actionlint
    pkgs.git
    pkgs.nixfmt
    pkgs.shellcheck
  ]
  ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
    pkgs.musl # a loader and libc for the -musl artifacts
    pkgs.qemu-user # runs the other machine's artifacts
  ];
}
