"""A release made with PyGithub: python pygithub_release.py URL OWNER/REPO TAG DIR, the token in GITHUB_TOKEN."""

import os
import pathlib
import sys

from github import Auth, Github, GithubException

url, repository, tag, directory = sys.argv[1:]
hub = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=url, retry=0)
repo = hub.get_repo(repository)
assert repo.full_name == repository

draft = repo.create_git_release(tag, tag, "by PyGithub", draft=True)
assert draft.draft
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

listed = list(draft.get_assets())
assert [one.id for one in listed] == [asset.id]
downloaded = pathlib.Path(directory, "downloaded.bin")
listed[0].download_asset(str(downloaded))
assert downloaded.read_bytes() == path.read_bytes()

published = draft.update_release(tag, "by PyGithub", draft=False)
assert not published.draft
assert repo.get_release(tag).id == draft.id
print("PyGithub: created, uploaded, listed, downloaded, published")
