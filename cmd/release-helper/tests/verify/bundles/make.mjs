// Attestations by a Sigstore of our own (@sigstore/mock): one that is right, and one for every way to be wrong.
// node make.mjs DIRECTORY, run where @sigstore/mock is installed; what to attest comes as JSON on stdin:
// { sha256, others, repository, tag, commit }: the artifact, and others of the same statement. Writes trusted_root.json and CASE.json for each case.
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.cwd(), "index.js"));
const { initializeCA, initializeCTLog, initializeTLog } = require("@sigstore/mock");
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const directory = process.argv[2];
const IN_TOTO = "application/vnd.in-toto+json";
const keys = (namedCurve = "P-256") => crypto.generateKeyPairSync("ec", { namedCurve });
const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest();
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

/** A Fulcio, its certificate log, and a Rekor, with new keys. */
async function instance() {
  const ctLog = await initializeCTLog(keys());
  const tlog = await initializeTLog("https://rekor.sigstore.dev", keys());
  return { ctLog, tlog, ca: await initializeCA(keys("P-384"), ctLog) };
}

const real = await instance();
const other = await instance();
const { ctLog: otherCtLog } = other;
const unlogged = await initializeCA(keys("P-384"), undefined);
const expired = await initializeCA(keys("P-384"), real.ctLog, new Date(Date.now() - 3_600_000));
const wronglyLogged = await initializeCA(keys("P-384"), otherCtLog);

const always = { start: "2020-01-01T00:00:00Z" };
const log = (publicKey) => ({
  baseUrl: "https://log.example",
  hashAlgorithm: "SHA2_256",
  publicKey: { rawBytes: base64(publicKey), keyDetails: "PKIX_ECDSA_P256_SHA_256", validFor: always },
  logId: { keyId: base64(sha256(publicKey)) },
});
const authority = (ca) => ({
  subject: { organization: "sigstore.mock", commonName: "sigstore" },
  uri: "https://fulcio.example",
  certChain: { certificates: [{ rawBytes: base64(ca.rootCertificate) }] },
  validFor: always,
});
write("trusted_root", {
  mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
  tlogs: [log(real.tlog.publicKey)],
  ctlogs: [log(real.ctLog.publicKey)],
  // Those that log nothing, or elsewhere, or made a certificate too long ago are trusted: that alone must be noticed.
  certificateAuthorities: [real.ca, unlogged, wronglyLogged, expired].map(authority),
  timestampAuthorities: [],
});

function write(name, value) {
  fs.writeFileSync(path.join(directory, `${name}.json`), typeof value === "string" ? value : JSON.stringify(value));
}

/** What Fulcio writes into a certificate for a job of GitHub Actions. */
function extensions(claims) {
  const values = { 8: claims.issuer, 9: claims.signer, 11: claims.runner, 12: claims.source, 13: claims.commit, 14: claims.ref };
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  return present.map(([number, value]) => ({ oid: `1.3.6.1.4.1.57264.1.${number}`, value }));
}

/** A bundle of the kind that actions/attest makes. */
async function bundle(changes = {}) {
  const repository = changes.repository ?? asked.repository;
  const ref = changes.ref ?? `refs/tags/${asked.tag}`;
  const workflow = changes.workflow ?? "release.yml";
  const signer = changes.signer ?? `https://github.com/${repository}/.github/workflows/${workflow}@${changes.signerRef ?? ref}`;
  const claims = {
    issuer: "https://token.actions.githubusercontent.com",
    runner: "github-hosted",
    source: `https://github.com/${changes.source ?? repository}`,
    commit: asked.commit,
    signer,
    ref,
    ...changes.claims,
  };
  const [tlog, ca] = [changes.tlog ?? real.tlog, changes.ca ?? real.ca];
  const pair = keys();
  const certificate = await ca.issueCertificate({
    publicKey: pair.publicKey.export({ format: "der", type: "spki" }),
    subjectAltName: signer,
    extensions: extensions(claims),
  });
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: changes.subject ?? [asked.sha256, ...asked.others].map((sha256) => ({ name: "artifact", digest: { sha256 } })),
    predicateType: changes.predicateType ?? "https://slsa.dev/provenance/v1",
    predicate: {},
  };
  const payload = Buffer.from(JSON.stringify(statement));
  const payloadType = changes.payloadType ?? IN_TOTO;
  const head = `DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `;
  const signingKey = changes.anotherKey ? keys().privateKey : pair.privateKey;
  const sig = base64(crypto.sign("sha256", Buffer.concat([Buffer.from(head), payload]), signingKey));
  const envelope = { payload: base64(payload), payloadType, signatures: [{ sig }] };
  const pem = `-----BEGIN CERTIFICATE-----\n${base64(certificate).match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;
  // As Rekor keeps it (sigstore/rekor, pkg/types/dsse/v0.0.1).
  const body = {
    apiVersion: "0.0.1",
    kind: "dsse",
    spec: {
      envelopeHash: { algorithm: "sha256", value: sha256(JSON.stringify(envelope)).toString("hex") },
      payloadHash: { algorithm: "sha256", value: sha256(payload).toString("hex") },
      signatures: [{ signature: sig, verifier: base64(pem) }],
    },
  };
  const entry = Object.values(await tlog.log(body))[0];
  const proof = entry.verification.inclusionProof;
  return {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: {
      certificate: { rawBytes: base64(certificate) },
      tlogEntries: [
        {
          logIndex: `${entry.logIndex}`,
          logId: { keyId: base64(Buffer.from(entry.logID, "hex")) },
          kindVersion: { kind: "dsse", version: "0.0.1" },
          integratedTime: `${entry.integratedTime}`,
          inclusionPromise: { signedEntryTimestamp: entry.verification.signedEntryTimestamp },
          inclusionProof: {
            logIndex: `${proof.logIndex}`,
            rootHash: base64(Buffer.from(proof.rootHash, "hex")),
            treeSize: `${proof.treeSize}`,
            hashes: [],
            checkpoint: { envelope: proof.checkpoint },
          },
          canonicalizedBody: entry.body,
        },
      ],
    },
    dsseEnvelope: envelope,
  };
}

/** A right bundle, changed afterwards. */
async function changed(change) {
  const right = await bundle();
  change(right, right.verificationMaterial.tlogEntries[0]);
  return right;
}

const flip = (text) => base64(Buffer.from(text, "base64").map((byte, index, all) => (index === all.length - 5 ? byte ^ 1 : byte)));
const later = await initializeTLog("https://rekor.sigstore.dev", keys(), new Date());
const right = await bundle();

// Right.
write("right-release", right);
write("right-reusable-workflow", await bundle({ workflow: "build-rust.yml" }));
write("right-in-another-case", await bundle({ repository: asked.repository.toUpperCase() }));
write("right-among-other-subjects", await bundle({
  subject: [{ name: "b", digest: { sha256: "0".repeat(64) } }, { name: "a", digest: { sha256: asked.sha256 } }],
}));

// By a reusable workflow of another repository, which has revisions of its own. Right for whoever names that repository.
const elsewhere = (revision, changes = {}) =>
  bundle({ signer: `https://github.com/octo/workflows/.github/workflows/${changes.workflow ?? "build-rust.yml"}@${revision}`, ...changes });
write("elsewhere-at-a-tag", await elsewhere("refs/tags/v7"));
write("elsewhere-at-a-commit", await elsewhere("3".repeat(40)));
write("elsewhere-other-workflow", await elsewhere("refs/tags/v7", { workflow: "ci.yml" }));
write("elsewhere-other-source", await elsewhere("refs/tags/v7", { source: "mallory/tsuku-dltest" }));
write("elsewhere-other-commit", await elsewhere("refs/tags/v7", { claims: { commit: "1".repeat(40) } }));
write("elsewhere-other-tag", await elsewhere("refs/tags/v7", { ref: "refs/tags/v9.9.9" }));
write("elsewhere-own-runner", await elsewhere("refs/tags/v7", { claims: { runner: "self-hosted" } }));

// Another claim, truly signed.
write("claim-other-bytes", await bundle({ subject: [{ name: "artifact", digest: { sha256: "0".repeat(64) } }] }));
write("claim-no-subject", await bundle({ subject: [] }));
write("claim-digest-of-another-kind", await bundle({ subject: [{ name: "artifact", digest: { sha1: asked.sha256.slice(0, 40) } }] }));
write("claim-other-repository", await bundle({ repository: "mallory/tsuku-dltest" }));
write("claim-repository-with-a-longer-name", await bundle({ repository: `${asked.repository}-2` }));
write("claim-other-source", await bundle({ source: "mallory/tsuku-dltest" }));
write("claim-no-source", await bundle({ claims: { source: undefined } }));
write("claim-other-workflow", await bundle({ workflow: "ci.yml" }));
write("claim-workflow-of-a-like-name", await bundle({ workflow: "x/release.yml" }));
write("claim-branch", await bundle({ ref: "refs/heads/main" }));
write("claim-other-tag", await bundle({ ref: "refs/tags/v9.9.9" }));
write("claim-signer-at-another-tag", await bundle({ signerRef: "refs/tags/v9.9.9" }));
write("claim-longer-tag", await bundle({ ref: `refs/tags/${asked.tag}-rc.1` }));
write("claim-other-commit", await bundle({ claims: { commit: "1".repeat(40) } }));
write("claim-no-commit", await bundle({ claims: { commit: undefined } }));
write("claim-other-issuer", await bundle({ claims: { issuer: "https://accounts.google.com" } }));
write("claim-no-issuer", await bundle({ claims: { issuer: undefined } }));
write("claim-own-runner", await bundle({ claims: { runner: "self-hosted" } }));
write("claim-a-person", await bundle({ signer: "https://github.com/login/oauth" }));
write("claim-that-acts", await bundle({ signer: "https://x\u001b[2J/\u202e" }).catch(() => ({})));
write("claim-other-predicate", await bundle({ predicateType: "https://example.org/i-like-it" }));
write("claim-other-payload", await bundle({ payloadType: "text/plain" }));

// Not signed by whom it must be.
write("signed-with-another-key", await bundle({ anotherKey: true }));
write("signed-signature-changed", await changed((bundle) => {
  bundle.dsseEnvelope.signatures[0].sig = flip(bundle.dsseEnvelope.signatures[0].sig);
}));
write("signed-payload-changed", await changed((bundle) => {
  const text = Buffer.from(bundle.dsseEnvelope.payload, "base64").toString().replace("artifact", "artefact");
  bundle.dsseEnvelope.payload = base64(text);
}));
write("signed-twice", await changed((bundle) => bundle.dsseEnvelope.signatures.push(bundle.dsseEnvelope.signatures[0])));
write("signed-by-nobody", await changed((bundle) => { bundle.dsseEnvelope.signatures = []; }));

// A certificate of another authority, or of none.
write("certificate-of-another-authority", await bundle({ ca: other.ca }));
write("certificate-without-log", await bundle({ ca: unlogged }));
write("certificate-in-another-log", await bundle({ ca: wronglyLogged }));
write("certificate-expired", await bundle({ ca: expired }));
write("certificate-changed", await changed((bundle) => {
  bundle.verificationMaterial.certificate.rawBytes = flip(bundle.verificationMaterial.certificate.rawBytes);
}));
write("certificate-missing", await changed((bundle) => { delete bundle.verificationMaterial.certificate; }));
write("certificate-is-a-key", await changed((bundle) => {
  delete bundle.verificationMaterial.certificate;
  bundle.verificationMaterial.publicKey = { hint: "mine" };
}));
write("certificate-of-another-bundle", await changed((bundle) => {
  bundle.verificationMaterial.certificate = right.verificationMaterial.certificate;
}));

// Not in the log.
write("log-unknown", await bundle({ tlog: later }));
write("log-missing", await changed((bundle) => { bundle.verificationMaterial.tlogEntries = []; }));
write("log-promise-changed", await changed((_, entry) => {
  entry.inclusionPromise.signedEntryTimestamp = flip(entry.inclusionPromise.signedEntryTimestamp);
}));
write("log-proof-missing", await changed((_, entry) => { delete entry.inclusionProof; }));
write("log-root-changed", await changed((_, entry) => { entry.inclusionProof.rootHash = base64(sha256("another")); }));
write("log-checkpoint-missing", await changed((_, entry) => { delete entry.inclusionProof.checkpoint; }));
write("log-checkpoint-changed", await changed((_, entry) => {
  entry.inclusionProof.checkpoint.envelope = entry.inclusionProof.checkpoint.envelope.replace("\n1\n", "\n2\n");
}));
write("log-time-changed", await changed((_, entry) => { entry.integratedTime = `${Number(entry.integratedTime) - 60}`; }));
write("log-entry-of-another-bundle", await changed((bundle) => {
  bundle.verificationMaterial.tlogEntries = right.verificationMaterial.tlogEntries;
}));

// No bundle at all.
write("form-message-signature", await changed((bundle) => {
  bundle.messageSignature = {
    messageDigest: { algorithm: "SHA2_256", digest: base64(Buffer.from(asked.sha256, "hex")) },
    signature: bundle.dsseEnvelope.signatures[0].sig,
  };
  delete bundle.dsseEnvelope;
}));
write("form-unknown", await changed((bundle) => { bundle.mediaType = "application/vnd.dev.sigstore.bundle.v9+json"; }));
write("form-empty", "");
write("form-null", "null");
write("form-html", "<!doctype html><html>Please log in</html>");
write("form-cut", JSON.stringify(right).slice(0, 3000));
write("form-two-in-one", JSON.stringify(right) + JSON.stringify(right));
write("form-deep", "[".repeat(100_000));
