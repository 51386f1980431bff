//! The check itself, by Sigstore's own library.

use anyhow::{Context, Result, bail, ensure};
use sigstore_verify::crypto::{CertificateInfo, SubjectAltName, install_default_provider};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, SignatureContent, Statement};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::attested::{Attested, Claim, WORKFLOWS};
use super::ring;
use crate::plumbing::foreign;

/// The keys of the public Sigstore instance. `refresh-trusted-root` beside this file brings newer ones, and says where
/// they come from.
const PUBLIC_GOOD: &str = include_str!("trusted_root.json");
/// Who vouches for the identity of a job of GitHub Actions.
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// What a statement about a build is.
const SLSA: &str = "https://slsa.dev/provenance/v1";

/// Checks attestations against the keys of one Sigstore instance.
pub struct Checker(Verifier);

impl Checker {
    /// One that believes the public Sigstore instance.
    pub fn public_good() -> Result<Self> {
        Self::with_root(PUBLIC_GOOD)
    }

    /// One that believes the keys in `trusted_root`, a `trusted_root.json` of Sigstore.
    pub fn with_root(trusted_root: &str) -> Result<Self> {
        // The second time it is there already.
        let _ = install_default_provider(&ring::Ring);
        let root = TrustedRoot::from_json(trusted_root).context("it is no trusted root of Sigstore")?;
        Ok(Self(Verifier::new(&root).context("the trusted root of Sigstore cannot be used")?))
    }

    /// Whether `bundle`, if there is one, attests `artifact` as `claim` says.
    pub fn attested(&self, artifact: &[u8], bundle: Option<&[u8]>, claim: Option<&Claim>) -> Attested {
        let Some(bundle) = bundle else { return Attested::No("there is no attestation".to_owned()) };
        let Some(claim) = claim else {
            return Attested::NotChecked("name the repository with --repo".to_owned());
        };
        match self.check(artifact, bundle, claim) {
            Ok(()) => Attested::Yes,
            Err(error) => Attested::Wrong(foreign::line(&format!("{error:#}"))),
        }
    }

    fn check(&self, artifact: &[u8], bundle: &[u8], claim: &Claim) -> Result<()> {
        let bundle: Bundle = serde_json::from_slice(bundle).context("it is no bundle of Sigstore")?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            bail!("it is a signature without a statement");
        };
        let policy = VerificationPolicy::any_identity().require_issuer(ISSUER);
        let result = self.0.verify(artifact, &bundle, &policy)?;
        let is_whole = result.certificate_verified() && result.sct_verified() && result.tlog_verified();
        ensure!(is_whole, "not all of it was verified");
        let statement: Statement =
            serde_json::from_slice(envelope.payload.as_bytes()).context("it has no statement")?;
        ensure!(statement.predicate_type == SLSA, "it says {}, not {SLSA}", statement.predicate_type);
        claim.check(result.certificate().context("it has no certificate")?)
    }
}

impl Claim {
    /// Whether the certificate, which Fulcio gave to the job, says the same. What each value means:
    /// <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>
    fn check(&self, certificate: &CertificateInfo) -> Result<()> {
        let repository = format!("https://github.com/{}", self.repository);
        let reference = format!("refs/tags/{}", self.tag);
        let signer = match &certificate.identity {
            Some(SubjectAltName::Uri(uri)) => uri.as_str(),
            _ => bail!("its signer is no workflow"),
        };
        let is_own = |signer: &&String| signer.eq_ignore_ascii_case(&self.repository);
        let (wanted, revision) = match self.signer.as_ref().filter(|signer| !is_own(signer)) {
            None => (repository.clone(), Some(&reference)),
            Some(signer) => (format!("https://github.com/{signer}"), None),
        };
        let workflow = signer
            .split_once("/.github/workflows/")
            .filter(|(owner, _)| owner.eq_ignore_ascii_case(&wanted))
            .and_then(|(_, rest)| rest.split_once('@'))
            .filter(|(_, told)| revision.is_none_or(|revision| told == revision))
            .map(|(workflow, _)| workflow);
        ensure!(
            workflow.is_some_and(|workflow| WORKFLOWS.contains(&workflow)),
            "its signer is {signer}, not {wanted}/.github/workflows/{}@{}",
            WORKFLOWS[0],
            revision.map_or("any revision", String::as_str)
        );
        let claims = &certificate.ci_claims;
        let same = |name: &str, told: &Option<String>, wanted: &str| {
            let told = told.as_deref().unwrap_or("nothing");
            ensure!(told == wanted, "its {name} is {told}, not {wanted}");
            Ok(())
        };
        // GitHub's names are the same in any case; it writes them as their owner does.
        let told = claims.source_repository_uri.as_ref();
        if !told.is_some_and(|told| told.eq_ignore_ascii_case(&repository)) {
            same("repository", &claims.source_repository_uri, &repository)?;
        }
        same("reference", &claims.source_repository_ref, &reference)?;
        same("commit", &claims.source_repository_digest, &self.commit)?;
        same("runner", &claims.runner_environment, "github-hosted")
    }
}
