#!/usr/bin/env bash
# Rebuilds a release and says in one word what came out: the output `outcome` is reproduced, differs or unknown, and so is
# the line in the job's summary, whatever went wrong. Only other bytes set the output `differs`.
#
# Usage: reverify.sh verify|rebuild-published BACKEND TAG
set -euo pipefail
usage='usage: reverify.sh verify|rebuild-published BACKEND TAG'
how=${1:?$usage}
backend=${2:?$usage}
tag=${3:?$usage}
summary=${GITHUB_STEP_SUMMARY:?not set}
verdict=$(mktemp -d)/verdict.md

status=0
case $how in
  verify) target/debug/release-helper verify --backend "$backend" --report "$verdict" -- "$tag" || status=$? ;;
  rebuild-published) "$(dirname "$0")/rebuild-published.sh" "$tag" || status=$? ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
case $status in
  0) outcome=reproduced ;;
  1) outcome=differs ;;
  *) outcome=unknown ;;
esac
{
  echo "outcome=$outcome"
  [[ $outcome != differs ]] || echo "differs=true"
} >>"${GITHUB_OUTPUT:?not set}"
printf '%s: **%s** (%s with %s)\n\n' "$tag" "$outcome" "$how" "$backend" >>"$summary"
if [[ -s $verdict ]]; then
  cat "$verdict" >>"$summary"
elif [[ $outcome == unknown ]]; then
  echo "Could not tell, so nobody is told that it differs: the log of this job says what was missing." >>"$summary"
fi
exit "$status"
