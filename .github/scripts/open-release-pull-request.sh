#!/usr/bin/env bash
# Commits PATCH on a branch of its own, with a heading for the version in CHANGELOG.md, and opens a pull request for it. Needs git,
# gh and GH_TOKEN with `contents: write` and `pull-requests: write`.
#
# Usage: PATCH=… open-release-pull-request.sh TAG BASE
set -euo pipefail
tag=${1:?usage: open-release-pull-request.sh TAG BASE}
base=${2:?usage: open-release-pull-request.sh TAG BASE}
branch=release/$tag

if [[ -z ${PATCH:-} ]]; then
  echo "the tree states the version of $tag already: nothing to do" >&2
  exit 0
fi
git switch --quiet --create "$branch"
git apply --whitespace=nowarn <<<"$PATCH"
sed -i "s/^## \[Unreleased\]$/&\n\n## [${tag#v}] - $(date -u +%F)/" CHANGELOG.md
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --all --message "release: state version ${tag#v}"
# The token stays out of .git/config and of the command line: the helper's shell expands it.
# shellcheck disable=SC2016
git -c credential.helper= -c credential.helper='!f() { echo username=x; echo "password=$GH_TOKEN"; }; f' \
  push --force origin "HEAD:refs/heads/$branch"
gh pr create --base "$base" --head "$branch" --title "release: $tag" --body "The tree states version ${tag#v}, so that \
whoever builds the tag needs nothing else. Once this is merged and ci has succeeded on $base:

    git switch $base && git pull
    git tag --annotate $tag
    git push --atomic origin $base $tag"
