#!/usr/bin/env bash
# Puts helper/release-helper, which another job has compiled, on the PATH of the job's next steps, if its SHA-256 is the
# one that that job told in its outputs: whoever can replace an artifact of the run can't change those.
#
# Usage: install-helper.sh DIGESTS, the outputs of that job as JSON: {"Linux-X64": "…"}
set -euo pipefail
digests=${1:?usage: install-helper.sh DIGESTS}
kind=${RUNNER_OS:?not set}-${RUNNER_ARCH:?not set}
sha256=$(sed -n "s/.*\"$kind\": *\"\([0-9a-f]\{64\}\)\".*/\1/p" <<<"$digests")
[[ -n $sha256 ]] || { echo "error: no digest of a helper for $kind in $digests" >&2; exit 1; }
place=${RUNNER_TEMP:?not set: this is for a job, type cargo release-helper on your own machine}/helper
mkdir -p "$place"
mv helper/release-helper "$place/"
rmdir helper
if ! echo "$sha256  $place/release-helper" | shasum -a 256 --check --status; then
  echo "error: the release-helper that was handed on is not the one that was compiled ($sha256)" >&2
  echo "hint: find out who replaced the artifact before anything else" >&2
  exit 1
fi
chmod +x "$place/release-helper"
echo "$place" >>"${GITHUB_PATH:?not set}"
