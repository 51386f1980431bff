// Octokit as an actor of the fault campaign: each line on stdin is a task in JSON, each line on stdout says whether it went
// well. Whatever the server answers is one of the two.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Octokit } = await import(createRequire(process.cwd() + "/").resolve("@octokit/rest"));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  const [owner, repo] = task.repository.split("/");
  const octokit = new Octokit({ auth: task.token, baseUrl: task.url, log: quiet });
  const release_id = Number(task.release);
  let outcome = "ok";
  try {
    const { data: release } = await octokit.rest.repos.getRelease({ owner, repo, release_id });
    if (task.do === "upload") {
      await octokit.rest.repos.uploadReleaseAsset({
        url: release.upload_url, owner, repo, release_id, name: task.name, data: readFileSync(task.file),
        headers: { "content-type": "application/octet-stream" },
      });
    } else if (task.do === "edit" && release.draft) {
      await octokit.rest.repos.updateRelease({ owner, repo, release_id, body: "edited by Octokit" });
    } else {
      const { data: assets } = await octokit.rest.repos.listReleaseAssets({ owner, repo, release_id });
      if (assets.length > 0) {
        const headers = { accept: "application/octet-stream" };
        await octokit.rest.repos.getReleaseAsset({ owner, repo, asset_id: assets[0].id, headers });
      }
    }
  } catch (failure) {
    outcome = failure.constructor.name;
  }
  console.log(outcome);
}
