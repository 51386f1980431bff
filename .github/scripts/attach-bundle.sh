#!/usr/bin/env bash
# Puts the attestation beside each artifact of a directory, under the name that a release has it.
#
# Usage: attach-bundle.sh BUNDLE DIRECTORY
set -euo pipefail
bundle=${1:?usage: attach-bundle.sh BUNDLE DIRECTORY}
directory=${2:?usage: attach-bundle.sh BUNDLE DIRECTORY}

for artifact in "$directory"/*; do
  case $artifact in
    *.json) ;;
    *) cp "$bundle" "$artifact.sigstore.json" ;;
  esac
done
