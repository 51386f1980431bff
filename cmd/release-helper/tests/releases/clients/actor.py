"""PyGithub as an actor of the fault campaign: each line on stdin is a task in JSON, each line on stdout says whether it went
well. Whatever the server answers is one of the two."""

import json
import sys

from github import Auth, Github

for line in sys.stdin:
    task = json.loads(line)
    try:
        hub = Github(
            auth=Auth.Token(task["token"]), base_url=task["url"], retry=0, timeout=20,
            seconds_between_requests=None, seconds_between_writes=None,
        )
        repo = hub.get_repo(task["repository"], lazy=True)
        release = repo.get_release(int(task["release"]))
        if task["do"] == "upload":
            release.upload_asset(task["file"], name=task["name"], content_type="application/octet-stream")
        elif task["do"] == "edit" and release.draft:
            release.update_release(release.title, "edited by PyGithub", draft=True)
        else:
            list(release.get_assets())
        outcome = "ok"
    except Exception as failure:  # noqa: BLE001 - every failure is an outcome here
        outcome = type(failure).__name__
    print(outcome, flush=True)
