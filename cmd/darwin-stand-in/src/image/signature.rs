//! The code signature, as the kernel checks it: its form when a file is mapped (xnu `cs_validate_codedirectory`), and each
//! page against its hash.

use std::ops::Range;

use object::macho;
use object::read::macho::{CodeDirectory, CodeSignature};
use sha2::{Digest as _, Sha256};

use crate::ending::killed;

const CS_HASHTYPE_SHA256: u8 = 2;
/// `CS_ALLOWED_MACHO`: the flags that a signature in a file may have.
const ALLOWED_FLAGS: u32 = 0x33f02;

/// Checks the signature that stands at `range`. `Err` says why the file would be refused; a page that is not what was signed
/// ends the process, as it does when it is touched.
pub(crate) fn check(bytes: &[u8], range: Range<usize>) -> Result<(), String> {
    let directory = directory(&bytes[range.clone()])?;
    let header = directory.header();
    let (flags, limit) = (header.flags.get(object::BigEndian).0, directory.code_limit());
    if flags & !ALLOWED_FLAGS != 0 {
        return Err(format!("code signature with flags {flags:#x}"));
    }
    // Pages of 16 KiB are for machines that have them.
    let larger = cfg!(target_arch = "aarch64") && header.page_size == 14;
    if header.page_size != 12 && !larger {
        return Err(format!("code signature with pages of 2^{} bytes", header.page_size));
    }
    if header.hash_type.0 != CS_HASHTYPE_SHA256 || header.hash_size != 32 {
        return Err("code signature without SHA-256".to_owned());
    }
    if limit != range.start as u64 {
        return Err(format!("code signature of {limit} bytes, not of all {} before it", range.start));
    }
    let pages = bytes[..range.start].chunks(1 << header.page_size);
    if header.n_code_slots.get(object::BigEndian) as usize != pages.len() {
        return Err("code signature with another number of pages".to_owned());
    }
    let identifier = directory.ident().map_err(|error| error.to_string())?;
    if identifier.is_empty() {
        return Err("code signature without an identifier".to_owned());
    }
    for (number, page) in pages.enumerate() {
        let signed = directory.code_hash(number as u32).map_err(|error| error.to_string())?;
        if Sha256::digest(page).as_slice() != signed {
            killed(format_args!("page {number} is not what was signed"));
        }
    }
    Ok(())
}

fn directory(signature: &[u8]) -> Result<CodeDirectory<'_>, String> {
    let signature = CodeSignature::parse(signature).map_err(|error| error.to_string())?;
    for blob in signature.blobs() {
        let blob = blob.map_err(|error| error.to_string())?;
        if blob.slot() == macho::CSSLOT_CODEDIRECTORY
            && let Some(directory) = blob.code_directory().map_err(|error| error.to_string())?
        {
            return Ok(directory);
        }
    }
    Err("code signature without a code directory".to_owned())
}
