#!/usr/bin/env bash
# Releases made with GitHub's command line: gh.sh GH ASSETS, where GH_HOST and so on are set already (`--tls` prints how),
# and ASSETS is a directory with two files. Prints a line `cell: COMMAND` for each command of the table in docs/releasing.md.
set -euo pipefail

gh=$1 assets=$2
first=
for asset in "$assets"/*; do
    second=$(basename "$asset")
    first=${first:-$second}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cell() { echo "cell: $1"; }
# Reads to the end: a writer whose reader goes away early fails.
has() { grep "$@" >/dev/null; }
fails() { ! "$@" >"$work/out" 2>&1 || { echo "did not fail: $*" >&2; exit 1; }; }
is() { [ "$1" = "$2" ] || { echo "got '$1', not '$2'" >&2; exit 1; }; }
json() { "$gh" release view "$1" --json "$2" --jq "$3"; }

fails "$gh" release view v9.9.9
has "release not found" "$work/out"
fails "$gh" release create v9.9.9 --verify-tag --notes none

"$gh" release create v1.2.3 --verify-tag --draft --title "One two three" --notes "first" "$assets/$first"
cell "create a draft"
is "$(json v1.2.3 isDraft .isDraft)" true
is "$(json v1.2.3 assets '.assets[].name')" "$first"
cell "view a draft by its tag"
"$gh" release list | has "Draft"
cell "list"

"$gh" release upload v1.2.3 "$assets/$second"
fails "$gh" release upload v1.2.3 "$assets/$second"
"$gh" release upload v1.2.3 "$assets/$second" --clobber
is "$(json v1.2.3 assets '[.assets[].state] | unique[]')" uploaded
cell "upload"
"$gh" release download v1.2.3 --dir "$work/draft"
diff -r "$assets" "$work/draft"
cell "download from a draft"

"$gh" release edit v1.2.3 --notes "second" --title "New title"
is "$(json v1.2.3 body .body)/$(json v1.2.3 name .name)" "second/New title"
cell "edit"
"$gh" release delete-asset v1.2.3 "$second" --yes
is "$(json v1.2.3 assets '.assets | length')" 1
cell "delete an asset"
"$gh" release upload v1.2.3 "$assets/$second"
"$gh" release edit v1.2.3 --draft=false --latest
is "$(json v1.2.3 isDraft,publishedAt '.isDraft or .publishedAt == null')" false
cell "publish"

"$gh" release view v1.2.3 | has "$first"
cell "view by tag"
is "$("$gh" release view --json tagName --jq .tagName)" v1.2.3
cell "view the latest"
"$gh" release download v1.2.3 --pattern "$first" --dir "$work/one"
cmp "$assets/$first" "$work/one/$first"
"$gh" release download --pattern "*" --dir "$work/latest"
diff -r "$assets" "$work/latest"
cell "download"
"$gh" release download v1.2.3 --archive=tar.gz --dir "$work/source"
tar -tzf "$work"/source/*.tar.gz | has README.md
cell "source archive"

id=$("$gh" api "repos/{owner}/{repo}/releases/tags/v1.2.3" --jq .id)
is "$("$gh" api "repos/{owner}/{repo}/releases/$id" --jq .tag_name)" v1.2.3
echo '{"body": "third"}' | "$gh" api --method PATCH "repos/{owner}/{repo}/releases/$id" --input - --jq .body | has --line-regexp third
cell "by id"
is "$("$gh" api "repos/{owner}/{repo}/tags" --jq '[.[].name] | index("v1.2.3") != null')" true
cell "list tags"
"$gh" api graphql -f query='{ viewer { login } }' --jq .data.viewer.login | has bot
fails "$gh" api graphql -f query='{ viewer { shoeSize } }'
has "Field 'shoeSize' doesn't exist on type 'User'" "$work/out"

# More than a page: 100 at a time by GraphQL, 30 by REST.
for number in $(seq 1 120); do
    echo "{\"tag_name\": \"v0.0.$number\", \"draft\": true}" >"$work/body"
    curl --silent --fail --cacert "$SSL_CERT_FILE" --header "Authorization: Bearer $GITHUB_TOKEN" --data "@$work/body" \
        --output "$work/answer" "https://$GH_HOST/repos/${GH_REPO#*/}/releases"
done
is "$("$gh" release list --limit 1000 | wc -l)" 121
is "$("$gh" api --paginate "repos/{owner}/{repo}/releases" --jq '.[].id' | sort -u | wc -l)" 121
cell "several pages"

"$gh" release create v2.0.0 --notes "a tag that publishing makes" --prerelease "$assets/$first"
is "$(json v2.0.0 isPrerelease .isPrerelease)" true
"$gh" release delete v2.0.0 --yes --cleanup-tag
fails "$gh" release view v2.0.0
fails "$gh" api "repos/{owner}/{repo}/git/ref/tags/v2.0.0"
cell "delete"
