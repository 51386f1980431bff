#!/usr/bin/env bash
# Sets the output `tag` to the given tag, or to that of the latest release; leaves it empty before the first release.
# Needs gh and GH_TOKEN, for the rate limit alone: what it asks for is public.
#
# Usage: latest-release.sh [TAG]
set -euo pipefail
tag=${1:-}
if [[ -z $tag ]]; then
  said=$(mktemp)
  if ! tag=$(gh api "repos/${GITHUB_REPOSITORY:?not set}/releases/latest" --jq .tag_name 2>"$said"); then
    cat "$said" >&2
    grep -q 'HTTP 404' "$said"
    echo "there is no release yet: nothing to rebuild" >&2
    tag=
  fi
fi
if [[ -n $tag ]] && ! [[ $tag =~ ^v[0-9A-Za-z.+-]+$ ]]; then
  echo "error: '$tag' is not a release's tag" >&2
  exit 1
fi
echo "tag=$tag" >>"${GITHUB_OUTPUT:?not set}"
