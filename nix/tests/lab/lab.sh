# Sourced by run and elsewhere: a root folder in which the flake builds, without a binary cache and off the network.
# shellcheck shell=bash source=nix/tests/roots.sh disable=SC2317 # functions are called through `verdict`
. "$(dirname "${BASH_SOURCE[0]}")/../roots.sh"

checkouts "${1:-}" crane fenix naersk corepkgs ekala-lib nixpkgs.lib
inputs=$1
shift
make_root lab trixie binutils curl diffutils file findutils g++ gcc git jq make openssh-client openssh-server patchelf perl \
  python3 python3-tomli-w rsync xutils-dev xz-utils zstd
lab=$roots/lab

setting= # what is done before each command, within the lab
enter_lab() { enter lab "$setting $*"; }
nix() { # subcommand, output, further arguments
  local status=0
  enter_lab "nix $1 'path:/project$2' --override-input nixpkgs path:/inputs/nixpkgs --no-write-lock-file \
    --option allow-import-from-derivation false ${*:3}" 2>"$scratch/stderr" || status=$?
  # Without what Nix says of the replaced input itself, and it of others' packages.
  grep -v -e '^trace: Package ' -e 'not writing modified lock file' -e '^• ' -e "^    '" -e '^  → ' "$scratch/stderr" >&2 || true
  return "$status"
}
build() { # output, further arguments: prints the output's folder as seen from outside the lab
  local output
  output=$(nix build "#$1" --no-link --print-out-paths -L "${@:2}" 2>"$scratch/build") || { cat "$scratch/build" >&2; return 1; }
  cat "$scratch/build" >>"$scratch/log"
  echo "$lab$output"
}
builds() { build "$@" >/dev/null; }
digest() { if [ -f "$1" ]; then sha256sum <"$1" | cut -c1-16; else echo -; fi; }

# nixpkgs has a stand-in, with nixpkgs' own library. The others are found in the store by the content hashes of flake.lock,
# or Nix fails: the network is off.
rm -rf "$lab/inputs"
mkdir -p "$lab/inputs/crates"
cp -r "$project/nix/tests/lab/nixpkgs" "$lab/inputs/nixpkgs"
cp -r "$inputs/corepkgs" "$lab/inputs/nixpkgs/core"
cp -r "$inputs/ekala-lib" "$lab/inputs/nixpkgs/ekala-lib"
cp -r "$inputs/nixpkgs.lib/lib" "$lab/inputs/nixpkgs/lib"
echo '{ lib = ../ekala-lib; }' >"$lab/inputs/nixpkgs/core/pins.nix"
cp -r "$inputs"/{crane,fenix,naersk} "$lab/inputs/"
if command -v nixfmt >/dev/null; then cp "$(command -v nixfmt)" "$lab/opt/nixfmt"; fi

# The helper's crates, from cargo's own cache, under the names crane gives them.
cargo fetch --quiet --locked --manifest-path "$project/Cargo.toml"
sed -n 's/^checksum = "\(.*\)"$/\1/p' "$project/Cargo.lock" | sort >"$scratch/checksums"
sha256sum "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/*.crate | sort | join - "$scratch/checksums" |
  while read -r _ crate; do cp "$crate" "$lab/inputs/crates/cargo-src-$(basename "$crate" .crate)"; done
fill_store() { # what no build can download
  enter_lab 'for name in crane fenix naersk; do nix store add-path --name source /inputs/$name; done
    nix-store --add-fixed sha256 /inputs/crates/*' >/dev/null
}
fill_store
