#!/usr/bin/env bash
# Fetches the script that installs Nix, and refuses another one than it was. The script in turn holds the digests of
# what it downloads. 2.35.2 is the last version for Intel Macs (docs/releasing.md, "Runners and their end").
set -euo pipefail
version=2.35.2
sha256=9adda97297d9e8ab360df95c729eabff4f4f93d6db091953c3a68f29e3fb130c
installer=${RUNNER_TEMP:?not set: this is for a job}/nix-installer

curl --fail --silent --show-error --location --retry 6 --retry-all-errors --retry-max-time 120 \
  --output "$installer" "https://releases.nixos.org/nix/nix-$version/install"
if ! echo "$sha256  $installer" | shasum -a 256 --check --status; then
  echo "error: the installer of Nix $version has another digest than $sha256" >&2
  exit 1
fi
