#!/usr/bin/env bash
# Types what a stranger with Nix types, and compares what comes out with the published SHA256SUMS. Nothing is injected: a
# tag whose tree states another version is built by the app that says so in the release's notes.
# Needs curl and nix. Exit status 0: the same bytes, 1: other bytes, 2: could not tell.
#
# Usage: GITHUB_REPOSITORY=owner/name rebuild-published.sh TAG
set -euo pipefail
tag=${1:?usage: rebuild-published.sh TAG}
repository=${GITHUB_REPOSITORY:?not set, such as owner/name}
server=${GITHUB_SERVER_URL:-https://github.com}
place=$(mktemp -d)
verdict=2
trap 'rm -rf "$place"; exit "$verdict"' EXIT

curl --fail --silent --show-error --location --retry 6 --retry-all-errors --retry-max-time 120 \
  --output "$place/published" "$server/$repository/releases/download/$tag/SHA256SUMS"

# github: asks an API that grants a shared address sixty questions an hour; git+https: asks none.
flake=github:$repository/$tag
for pause in 30 60 120 none; do
  if stated=$(nix eval --raw "$flake#linux-amd64.version"); then break; fi
  if [[ $pause == none ]]; then
    flake="git+$server/$repository?ref=refs/tags/$tag"
    echo "warning: GitHub's API refuses; building $flake instead" >&2
    stated=$(nix eval --raw "$flake#linux-amd64.version")
  else
    sleep "$pause"
  fi
done

if [[ v$stated == "$tag" ]]; then
  built=$(nix build --print-build-logs --no-link --print-out-paths "$flake#SHA256SUMS")
else
  echo "the tagged tree states version $stated, not ${tag#v}: building with the tag's version injected"
  nix run "$flake#build" -- "$tag" --out "$place/built"
  (cd "$place/built" && sha256sum -- * >SHA256SUMS)
  built=$place/built
fi

[[ $(wc -l <"$built/SHA256SUMS") -eq 6 ]] || { echo "error: not six artifacts were built" >&2; exit; }
differs=0
while read -r sum name; do
  if grep -q "^$sum  $name\$" "$place/published"; then
    echo "reproduced $name"
  else
    echo "differs    $name: built $sum, published $(grep "  $name\$" "$place/published" || echo 'no such asset')"
    differs=1
  fi
done <"$built/SHA256SUMS"
verdict=$differs
