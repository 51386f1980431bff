#!/usr/bin/env bash
# Checks a published release the way a stranger would: public URLs, no account, none of our programs.
# Needs curl, sha256sum and gh (for the attestations; it asks for no login when it is given the bundle).
#
# Usage: GITHUB_REPOSITORY=owner/name verify-published.sh TAG
set -euo pipefail
tag=${1:?usage: verify-published.sh TAG}
repository=${GITHUB_REPOSITORY:?not set, such as owner/name}
server=${GITHUB_SERVER_URL:-https://github.com}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

get() {
  # A release that was published a second ago may not be at every edge of the network yet.
  curl --fail --silent --show-error --location --retry 6 --retry-all-errors --retry-max-time 120 \
    --remote-name-all "${@/#/$server/$repository/releases/download/$tag/}"
}

get SHA256SUMS
mapfile -t assets < <(cut -c 67- SHA256SUMS)
get "${assets[@]}"
sha256sum --strict --check SHA256SUMS

# An attestation says which workflow of which repository made these bytes, and from which tag.
for asset in "${assets[@]}"; do
  [[ $asset == *.json ]] && continue
  gh attestation verify "$asset" --bundle "$asset.sigstore.json" --repo "$repository" \
    --signer-workflow "$repository/.github/workflows/release.yml" --source-ref "refs/tags/$tag"
done

program=./tsuku-dltest-linux-amd64
chmod +x "$program"
told=$("$program" --version 2>&1)
[[ $told == "tsuku-dltest $tag" ]] || { echo "error: $program says $told, not tsuku-dltest $tag" >&2; exit 1; }
"$program" libc.so.6
