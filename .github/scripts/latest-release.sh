#!/usr/bin/env bash
# Sets the output `tag` to the tag of the latest release, or to the one that is given.
# Needs gh and GH_TOKEN, for the rate limit alone: what it asks for is public.
#
# Usage: latest-release.sh [TAG]
set -euo pipefail
tag=${1:-$(gh release view --repo "${GITHUB_REPOSITORY:?not set}" --json tagName --jq .tagName)}
echo "tag=$tag" >>"${GITHUB_OUTPUT:?not set}"
