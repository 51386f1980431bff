#!/usr/bin/env bash
# Verifies each file's attestation, FILE.sigstore.json beside it: made by our workflow, from this tag, at this commit.
# Needs gh, which asks for no login when it is given the bundle.
#
# Usage: GITHUB_REPOSITORY=owner/name verify-attestation.sh TAG COMMIT FILE...
set -euo pipefail
tag=${1:?usage: verify-attestation.sh TAG COMMIT FILE...}
commit=${2:?usage: verify-attestation.sh TAG COMMIT FILE...}
repository=${GITHUB_REPOSITORY:?not set, such as owner/name}
shift 2

for file in "${@:?usage: verify-attestation.sh TAG COMMIT FILE...}"; do
  gh attestation verify "$file" --bundle "$file.sigstore.json" --repo "$repository" \
    --signer-workflow "$repository/.github/workflows/build-rust.yml" \
    --source-ref "refs/tags/$tag" --source-digest "$commit" --deny-self-hosted-runners
done
