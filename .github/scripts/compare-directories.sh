#!/usr/bin/env bash
# Compares every artifact that was built here with the asset of its name, and says of each that differs where and why.
#
# Usage: compare-directories.sh BUILT ASSETS
set -euo pipefail
built=${1:?usage: compare-directories.sh BUILT ASSETS}
assets=${2:?usage: compare-directories.sh BUILT ASSETS}

verdict=0
for artifact in "$built"/*; do
  echo "${artifact##*/}"
  release-helper compare "$artifact" "$assets/${artifact##*/}" || verdict=1
done
exit "$verdict"
