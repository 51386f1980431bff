//! Provenance: what GitHub's attestation says about an artifact, and whether it is true. Checked offline, against keys
//! that are compiled in: the bundle's signature, the certificate's chain to Fulcio, its inclusion in the log Rekor, and
//! that the release's own workflow made these bytes from the tag's commit. <https://docs.sigstore.dev/about/bundle/>

mod attested;
#[cfg(feature = "attestations")]
mod ring;
#[cfg(feature = "attestations")]
mod sigstore;
#[cfg(not(feature = "attestations"))]
mod without;

pub use attested::{Attested, Claim, WORKFLOWS};
#[cfg(feature = "attestations")]
pub use sigstore::Checker;
#[cfg(not(feature = "attestations"))]
pub use without::Checker;
