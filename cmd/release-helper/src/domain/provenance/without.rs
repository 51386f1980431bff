//! A helper built without the feature `attestations`: it checks none, and says so. `cargo rehearse` is such a one, since a
//! rehearsal's release has no attestations, and the library for them takes longer to compile than all the rest.

use anyhow::Result;

use super::attested::{Attested, Claim};

/// Checks nothing.
pub struct Checker;

impl Checker {
    /// One that believes nobody.
    pub fn public_good() -> Result<Self> {
        Ok(Self)
    }

    /// As [`Checker::public_good`].
    pub fn with_root(_: &str) -> Result<Self> {
        Ok(Self)
    }

    /// That an attestation, if there is one, was not checked.
    pub fn attested(&self, _: &[u8], bundle: Option<&[u8]>, _: Option<&Claim>) -> Attested {
        match bundle {
            None => Attested::No("there is no attestation".to_owned()),
            Some(_) => {
                Attested::NotChecked("this helper was built without: use `cargo release-helper verify`".to_owned())
            }
        }
    }
}
