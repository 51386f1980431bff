#!/usr/bin/env bash
# Refuses what is not a full commit hash: the jobs of a run must all check out the same tree, and a name can move.
#
# Usage: demand-commit.sh COMMIT...
set -euo pipefail
for commit in "${@:?usage: demand-commit.sh COMMIT...}"; do
  if ! [[ $commit =~ ^[0-9a-f]{40}$ ]]; then
    echo "error: '$commit' is not a commit's hash of 40 digits" >&2
    echo "hint: give one as the input ref; the tools' own commit needs the context job.workflow_sha" >&2
    exit 1
  fi
done
