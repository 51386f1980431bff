"""A release made with PyGithub: python pygithub_release.py URL OWNER/REPO TAG DIR, the token in GITHUB_TOKEN.

Prints a line `cell: COMMAND` for each command of the table in docs/releasing.md.
"""

import os
import pathlib
import sys
import urllib.request

from github import Auth, Github, GithubException

url, repository, tag, directory = sys.argv[1:]
hub = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=url, retry=0)
repo = hub.get_repo(repository)
assert repo.full_name == repository

draft = repo.create_git_release(tag, tag, "by PyGithub", draft=True)
assert draft.draft
print("cell: create a draft")
assert [release.id for release in repo.get_releases()] == [draft.id]

path = pathlib.Path(directory, "upload.bin")
path.write_bytes(b"bytes of an asset " * 50)
asset = draft.upload_asset(str(path), name="asset.bin", content_type="application/octet-stream")
assert (asset.name, asset.size, asset.state) == ("asset.bin", path.stat().st_size, "uploaded")
try:
    draft.upload_asset(str(path), name="asset.bin", content_type="application/octet-stream")
    raise AssertionError("a second asset of the same name was taken")
except GithubException as refusal:
    assert refusal.status == 422, refusal
    assert refusal.data["errors"][0]["code"] == "already_exists"

print("cell: upload")

listed = list(draft.get_assets())
assert [one.id for one in listed] == [asset.id]
downloaded = pathlib.Path(directory, "downloaded.bin")
listed[0].download_asset(str(downloaded))
assert downloaded.read_bytes() == path.read_bytes()

print("cell: download from a draft")
edited = draft.update_release(tag, "new notes", draft=True)
assert edited.body == "new notes"
print("cell: edit")

published = draft.update_release(tag, "by PyGithub", draft=False)
assert not published.draft
print("cell: publish")
assert repo.get_release(tag).id == draft.id
print("cell: view by tag")
assert repo.get_release(draft.id).tag_name == tag
print("cell: by id")
assert repo.get_latest_release().id == draft.id
print("cell: view the latest")
for number in range(35):
    repo.create_git_release(f"v0.0.{number}", "many", "", draft=True)
assert len(list(repo.get_releases())) == 36
print("cell: list")
print("cell: several pages")
assert [one.name for one in repo.get_tags()] == [tag]
print("cell: list tags")
assert hub.get_rate_limit().rate.remaining > 0
archive = repo.get_archive_link("tarball", tag)
with urllib.request.urlopen(archive) as answer:
    assert answer.read(2) == b"\x1f\x8b"
print("cell: source archive")
listed[0].delete_asset()
assert list(published.get_assets()) == []
print("cell: delete an asset")
published.delete_release()
try:
    repo.get_release(draft.id)
    raise AssertionError("it is still there")
except GithubException as refusal:
    assert refusal.status == 404, refusal
print("cell: delete")
