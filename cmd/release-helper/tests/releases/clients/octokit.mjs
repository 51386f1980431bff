// A release made with GitHub's own client: node octokit.mjs URL OWNER/REPO TAG, the token in GITHUB_TOKEN.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Octokit } = await import(createRequire(process.cwd() + "/").resolve("@octokit/rest"));
const [, , baseUrl, repository, tag] = process.argv;
const [owner, repo] = repository.split("/");
const octokit = new Octokit({ auth: process.env.GITHUB_TOKEN, baseUrl });

const { data: draft, status } = await octokit.rest.repos.createRelease({
  owner, repo, tag_name: tag, name: tag, body: "by Octokit", draft: true,
});
assert.equal(status, 201);
assert.equal(draft.draft, true);
await assert.rejects(octokit.rest.repos.getReleaseByTag({ owner, repo, tag }), { status: 404 });

const bytes = Buffer.from("bytes of an asset ".repeat(50));
for (let number = 0; number < 35; number++) {
  const { data } = await octokit.rest.repos.uploadReleaseAsset({
    url: draft.upload_url, owner, repo, release_id: draft.id, name: `asset-${number}.bin`, data: bytes,
    headers: { "content-type": "application/octet-stream" },
  });
  assert.equal(data.state, "uploaded");
  assert.equal(data.size, bytes.length);
}
await assert.rejects(
  octokit.rest.repos.uploadReleaseAsset({
    url: draft.upload_url, owner, repo, release_id: draft.id, name: "asset-0.bin", data: bytes,
  }),
  (error) => error.status === 422 && error.response.data.errors[0].code === "already_exists",
);

const assets = await octokit.paginate(octokit.rest.repos.listReleaseAssets, { owner, repo, release_id: draft.id, per_page: 10 });
assert.equal(assets.length, 35);
const { data: downloaded } = await octokit.rest.repos.getReleaseAsset({
  owner, repo, asset_id: assets[7].id, headers: { accept: "application/octet-stream" },
});
assert.deepEqual(Buffer.from(downloaded), bytes);
await octokit.rest.repos.deleteReleaseAsset({ owner, repo, asset_id: assets[34].id });

const { data: published } = await octokit.rest.repos.updateRelease({
  owner, repo, release_id: draft.id, draft: false, make_latest: "true",
});
assert.equal(published.draft, false);
const { data: byTag } = await octokit.rest.repos.getReleaseByTag({ owner, repo, tag });
assert.equal(byTag.id, draft.id);
assert.equal(byTag.assets.length, 34);
assert.equal((await octokit.rest.repos.getLatestRelease({ owner, repo })).data.id, draft.id);
console.log("octokit: created, uploaded 35, listed, downloaded, deleted one, published");
