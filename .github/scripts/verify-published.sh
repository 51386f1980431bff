#!/usr/bin/env bash
# Checks a published release the way a stranger would: public URLs, no account, none of our programs.
# Needs curl, shasum and gh (for the attestations).
#
# Usage: GITHUB_REPOSITORY=owner/name verify-published.sh TAG COMMIT
set -euo pipefail
tag=${1:?usage: verify-published.sh TAG COMMIT}
commit=${2:?usage: verify-published.sh TAG COMMIT}
repository=${GITHUB_REPOSITORY:?not set, such as owner/name}
server=${GITHUB_SERVER_URL:-https://github.com}
here=$(cd "$(dirname "$0")" && pwd)
# The six names, from the contract: what the release itself lists may be too little.
artifacts=()
while read -r platform; do artifacts+=("tsuku-dltest-$platform"); done < \
  <(sed -n 's/^\[platform\.\(.*\)\]$/\1/p' "$here/../../release.toml")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

get() {
  # A release that was published a second ago may not be at every edge of the network yet.
  curl --fail --silent --show-error --location --retry 6 --retry-all-errors --retry-max-time 120 \
    --remote-name-all "${@/#/$server/$repository/releases/download/$tag/}"
}

get SHA256SUMS
for artifact in "${artifacts[@]}"; do
  for asset in "$artifact" "$artifact.build.json" "$artifact.sigstore.json"; do
    grep -q "^[0-9a-f]\{64\}  $asset\$" SHA256SUMS || { echo "error: SHA256SUMS does not list $asset" >&2; exit 1; }
    get "$asset"
  done
done
shasum -a 256 --check SHA256SUMS
"$here/verify-attestation.sh" "$tag" "$commit" "${artifacts[@]}"

program=./tsuku-dltest-linux-amd64
chmod +x "$program"
told=$("$program" --version 2>&1)
[[ $told == "tsuku-dltest $tag" ]] || { echo "error: $program says $told, not tsuku-dltest $tag" >&2; exit 1; }
"$program" libc.so.6
