#!/usr/bin/env bash
# What people do with curl and wget: curl.sh CLIENT URL OWNER/NAME ID DIRECTORY, where CLIENT is one of the two, ID is a
# published release, the latest, and DIRECTORY has its files. Prints a line `cell: COMMAND` for each command of the table.
set -euo pipefail

client=$1 url=$2 repository=$3 id=$4 files=$5
for file in "$files"/*; do
    name=$(basename "$file")
    break
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cell() { echo "cell: $1"; }
# Reads to the end: a writer whose reader goes away early fails.
has() { grep "$@" >/dev/null; }
is() { [ "$1" = "$2" ] || { echo "got '$1', not '$2'" >&2; exit 1; }; }
releases=$url/repos/$repository/releases
page=$url/$repository/releases
size=$(stat --format %s "$files/$name")

if [ "$client" = curl ]; then
    get() { curl --silent --show-error --fail "$@"; }
    auth="Authorization: Bearer $GITHUB_TOKEN"
    get "$releases" | has '"draft":false'
    cell "list"
    get "$releases/tags/v1.2.3" | has '"tag_name":"v1.2.3"'
    cell "view by tag"
    get "$releases/$id" | has '"tag_name":"v1.2.3"'
    cell "by id"
    get "$releases/latest" | has '"tag_name":"v1.2.3"'
    is "$(get --output /dev/null --write-out '%{redirect_url}' "$page/latest")" "$page/tag/v1.2.3"
    cell "view the latest"
    get --remote-name --location "$page/download/v1.2.3/$name"
    cmp "$name" "$files/$name"
    rm "$name" # curl does not overwrite what the server names
    get --remote-name --remote-header-name --location "$page/latest/download/$name"
    cmp "$name" "$files/$name"
    cell "download"
    get --head --location "$page/latest/download/$name" | has --ignore-case "content-length: $size"
    get --head "$releases" | has '200 OK'
    cell "headers alone"
    head --bytes 10 "$files/$name" >part
    get --location --continue-at - --output part "$page/download/v1.2.3/$name"
    cmp part "$files/$name"
    is "$(get --location --range 2-5 "$page/download/v1.2.3/$name")" "$(head --bytes 6 "$files/$name" | tail --bytes 4)"
    cell "continue a download"
    get --location --etag-save tag --output first "$page/download/v1.2.3/$name"
    get --location --etag-compare tag --output second --write-out '%{http_code}' "$page/download/v1.2.3/$name" >code
    is "$(cat code)" 304
    cell "only if it changed"
    get --header "$auth" --data '{"tag_name":"v3.0.0","draft":true}' "$releases" >created
    draft=$(grep -o '"id":[0-9]*,"immutable' created | grep -o '[0-9]*')
    cell "create a draft"
    get --user "x:$GITHUB_TOKEN" --data-binary "@$files/$name" --header "Content-Type: application/octet-stream" \
        "$url/uploads/repos/$repository/releases/$draft/assets?name=$name" | has '"state":"uploaded"'
    cell "upload"
    get --header "$auth" --request PATCH --data '{"body":"new"}' "$releases/$draft" | has '"body":"new"'
    cell "edit"
    get --header "$auth" --request DELETE "$releases/$draft"
    cell "delete"
    is "$(curl --silent --header "$auth" --data '{"tag_name":' --output answer --write-out '%{http_code}' "$releases")" 400
    has "Problems parsing JSON" answer
    get "$url/repos/$repository/tags" | has '"name":"v1.2.3"'
    cell "list tags"
    get --location "$url/$repository/archive/refs/tags/v1.2.3.tar.gz" | tar -tz | has README.md
    get --location --output zip "$url/repos/$repository/zipball/v1.2.3"
    head --bytes 2 zip | has PK
    cell "source archive"
    get "$url/rate_limit" | has remaining
    # The signed address is for everybody who has it, and for nobody with another signature or a token beside it.
    signed=$(get --output /dev/null --write-out '%{redirect_url}' "$page/download/v1.2.3/$name")
    case $signed in "${url%:*}"*) echo "the bytes come from the same host: $signed" >&2; exit 1 ;; esac
    get --output signed "$signed"
    cmp signed "$files/$name"
    is "$(curl --silent --output /dev/null --write-out '%{http_code}' --header "$auth" "$signed")" 400
    is "$(curl --silent --output /dev/null --write-out '%{http_code}' "${signed}0")" 403
else
    get() { wget --quiet "$@"; }
    get --output-document - "$releases" | has '"draft":false'
    cell "list"
    get --output-document - "$releases/tags/v1.2.3" | has '"tag_name":"v1.2.3"'
    cell "view by tag"
    get "$page/latest/download/$name"
    cmp "$name" "$files/$name"
    cell "download"
    get --spider "$page/latest/download/$name"
    cell "headers alone"
    head --bytes 10 "$files/$name" >"$name"
    get --continue "$page/download/v1.2.3/$name"
    cmp "$name" "$files/$name"
    cell "continue a download"
    echo changed >"$name"
    touch --date 2020-01-01 "$name"
    wget --timestamping "$page/download/v1.2.3/$name" 2>/dev/null
    cmp "$name" "$files/$name"
    wget --timestamping "$page/download/v1.2.3/$name" 2>told || { cat told >&2; exit 1; }
    has "304 Not Modified" told
    cell "only if it changed"
    get --output-document archive "$url/$repository/archive/refs/tags/v1.2.3.tar.gz"
    tar -tzf archive | has README.md
    cell "source archive"
fi
