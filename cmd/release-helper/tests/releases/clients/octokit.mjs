// A release made with GitHub's own client: node octokit.mjs URL OWNER/REPO TAG, the token in GITHUB_TOKEN. Prints a line
// `cell: COMMAND` for each command of the table in docs/releasing.md.
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
const cell = (name) => console.log(`cell: ${name}`);
cell("create a draft");
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
cell("upload");

const assets = await octokit.paginate(octokit.rest.repos.listReleaseAssets, { owner, repo, release_id: draft.id, per_page: 10 });
assert.equal(assets.length, 35);
const { data: downloaded } = await octokit.rest.repos.getReleaseAsset({
  owner, repo, asset_id: assets[7].id, headers: { accept: "application/octet-stream" },
});
assert.deepEqual(Buffer.from(downloaded), bytes);
cell("download from a draft");
await octokit.rest.repos.deleteReleaseAsset({ owner, repo, asset_id: assets[34].id });
cell("delete an asset");
const { data: edited } = await octokit.rest.repos.updateRelease({ owner, repo, release_id: draft.id, body: "new" });
assert.equal(edited.body, "new");
cell("edit");

const { data: published } = await octokit.rest.repos.updateRelease({
  owner, repo, release_id: draft.id, draft: false, make_latest: "true",
});
assert.equal(published.draft, false);
cell("publish");
const { data: byTag } = await octokit.rest.repos.getReleaseByTag({ owner, repo, tag });
assert.equal(byTag.id, draft.id);
assert.equal(byTag.assets.length, 34);
cell("view by tag");
assert.equal((await octokit.rest.repos.getRelease({ owner, repo, release_id: draft.id })).data.tag_name, tag);
cell("by id");
assert.equal((await octokit.rest.repos.getLatestRelease({ owner, repo })).data.id, draft.id);
cell("view the latest");

for (let number = 0; number < 35; number++) {
  await octokit.rest.repos.createRelease({ owner, repo, tag_name: `v0.0.${number}`, draft: true });
}
assert.equal((await octokit.paginate(octokit.rest.repos.listReleases, { owner, repo, per_page: 10 })).length, 36);
cell("list");
cell("several pages");
const { data: tags } = await octokit.rest.repos.listTags({ owner, repo });
assert.deepEqual(tags.map(({ name }) => name), [tag]);
cell("list tags");
const { data: archive } = await octokit.rest.repos.downloadTarballArchive({ owner, repo, ref: tag });
assert.equal(Buffer.from(archive).readUInt16BE(0), 0x1f8b);
cell("source archive");
const { viewer } = await octokit.graphql("query ($withUrl: Boolean!) { viewer { login url @include(if: $withUrl) } }", {
  withUrl: false,
});
assert.deepEqual(viewer, { login: "github-actions[bot]" });
await assert.rejects(octokit.graphql("{ viewer { shoeSize } }"), /Field 'shoeSize' doesn't exist on type 'User'/);
await octokit.rest.git.createRef({ owner, repo, ref: "refs/tags/v9.0.0", sha: tags[0].commit.sha });
await octokit.rest.git.deleteRef({ owner, repo, ref: "tags/v9.0.0" });
await octokit.rest.repos.deleteRelease({ owner, repo, release_id: draft.id });
await assert.rejects(octokit.rest.repos.getRelease({ owner, repo, release_id: draft.id }), { status: 404 });
cell("delete");
