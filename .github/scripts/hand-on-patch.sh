#!/usr/bin/env bash
# Sets the output `patch` to the changes in the checkout.
set -euo pipefail
{
  echo "patch<<end-of-patch"
  git diff
  echo "end-of-patch"
} >>"${GITHUB_OUTPUT:?not set}"
