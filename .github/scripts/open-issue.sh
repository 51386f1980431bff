#!/usr/bin/env bash
# Opens an issue with the given title, or adds to the open one of that title, and points to this run of the workflow.
# Needs gh and GH_TOKEN with `issues: write`.
#
# Usage: open-issue.sh TITLE
set -euo pipefail
title=${1:?usage: open-issue.sh TITLE}
run="${GITHUB_SERVER_URL:?not set}/${GITHUB_REPOSITORY:?not set}/actions/runs/${GITHUB_RUN_ID:?not set}"
body="The run that found it, with a verdict per platform in its summary: $run

What to do: docs/releasing.md, \"When the weekly re-verification fails\"."

number=$(gh issue list --repo "$GITHUB_REPOSITORY" --state open --limit 200 --json number,title |
  jq --arg title "$title" 'map(select(.title == $title)) | first | .number // empty')
if [[ -n $number ]]; then
  gh issue comment "$number" --repo "$GITHUB_REPOSITORY" --body "$body"
else
  gh issue create --repo "$GITHUB_REPOSITORY" --title "$title" --body "$body"
fi
