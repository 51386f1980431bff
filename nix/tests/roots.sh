# Sourced by lab/run and real/run: Debian root folders with a Nix in them, and the project as git has it. Needs root.
# shellcheck shell=bash disable=SC2317 # functions are called through `verdict`
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
roots=${NIX_TEST_ROOTS:-/var/tmp/tsuku-dltest-nix} # made once, about 1 GB each

absent() { echo "nothing was shown: $1" >&2; exit 2; }
[ "$(id -u)" = 0 ] || absent "root folders are made and entered by root"
command -v debootstrap >/dev/null || absent "debootstrap is not installed (apt-get install debootstrap)"

scratch=$(mktemp -d)
at_end() { rm -rf "$scratch"; }
trap at_end EXIT

failed=0
fail() { echo "FAILED: $1"; failed=1; }
verdict() { # name, then a command that tells
  local name=$1
  shift
  if "$@" 2>"$scratch/said"; then
    echo "ok: $name"
  else
    fail "$name"
    tail -n 20 "$scratch/said"
  fi
}

# The project as git has it, changes included: `path:` flakes take all that is in a folder.
tree=$scratch/project
mkdir "$tree"
(cd "$project" && git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar c --null -T - | tar x -C "$tree")

# The checkouts of other people's repositories: never fetched, never part of this one.
checkouts() { # folder, names
  local folder=$1 missing=()
  shift
  for name in "$@"; do [ -d "$folder/$name" ] || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] || absent "${folder:-the folder of checkouts} has no ${missing[*]} (docs/nix.md, \"Tests\", says what each is)"
}

# A root folder of a Debian suite, with Nix and the packages that are named.
make_root() { # name, suite, packages
  local root=$roots/$1 suite=$2 mirror
  shift 2
  if [ ! -e "$root/ready" ]; then
    echo "making $root (a few minutes)" >&2
    rm -rf "$root"
    mkdir -p "$root"
    mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    {
      # Every suite since is bootstrapped as sid is.
      debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${mirror:+"$mirror"} /usr/share/debootstrap/scripts/sid
      chroot "$root" apt-get install --yes --no-install-recommends nix-bin "$@"
    } >"$scratch/debootstrap" 2>&1 || { tail -n 20 "$scratch/debootstrap" >&2; absent "$root could not be made"; }
    touch "$root/ready"
  fi
  mkdir -p "$root"/{nix,etc/nix,project,opt/rust,inputs}
  # All of the sandbox' paths, none beside Nix' own: that one, /bin/sh, would be made in /usr/bin, over the root's.
  cat >"$root/etc/nix/nix.conf" <<'CONF'
experimental-features = nix-command flakes
build-users-group =
sandbox = true
sandbox-paths = /usr /bin=/usr/bin /lib=/usr/lib /lib64=/usr/lib64 /opt /etc/ssl /etc/alternatives
substituters =
CONF
}

# Runs a command in a root folder: the project at /project, Rust at /opt/rust. NIX_FOLDER stands in for the root's own /nix.
rust=$(rustc --print sysroot)
enter() { # name, command
  root=$roots/$1 tree=$tree rust=$rust nix=${NIX_FOLDER:-$roots/$1/nix} unshare --mount --propagation private bash -c '
    set -e
    mount --bind "$root" "$root"
    mount --bind "$tree" "$root/project"
    mount --bind "$rust" "$root/opt/rust"
    mount --bind "$nix" "$root/nix"
    cd "$root"
    mount --rbind /dev dev
    mount --rbind /sys sys
    mount -t proc proc proc
    mkdir -p .outside
    pivot_root . .outside
    umount -l /.outside
    cd /project
    exec bash -c "$1"
  ' _ "$2"
}
