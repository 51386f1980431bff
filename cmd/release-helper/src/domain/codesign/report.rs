//! What [`super::verify`] found, for people, scripts and the other rooms.

use serde::Serialize;

/// What a file's signatures say, and whether they hold.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Why the file as a whole has no valid signature: no Mach-O file, damaged fat header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// One entry for each image: one in a thin file, one per processor in a fat file.
    pub slices: Vec<Slice>,
}

impl Report {
    /// Whether every slice has a signature and all of it holds.
    pub fn holds(&self) -> bool {
        self.first_problem().is_none()
    }

    /// The first thing that is wrong, with the slice's name where there are several.
    pub fn first_problem(&self) -> Option<String> {
        let of_slice = |slice: &Slice| {
            let problem = slice.problem.as_ref()?;
            Some(if self.slices.len() > 1 { format!("{}: {problem}", slice.architecture) } else { problem.clone() })
        };
        self.problem.clone().or_else(|| self.slices.iter().find_map(of_slice))
    }

    /// The signature of a file with one image: what a thin artifact is signed with.
    pub fn signature(&self) -> Option<&Signature> {
        match self.slices.as_slice() {
            [only] => only.signature.as_ref(),
            _ => None,
        }
    }
}

/// One image of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Slice {
    /// `arm64`, `x86_64` and so on.
    pub architecture: String,
    /// Where it starts in the file.
    pub offset: u64,
    /// Its size in bytes, with the signature.
    pub size: u64,
    /// The first thing that is wrong with its signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The first page whose hash is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_page: Option<u64>,
    /// The signature, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// A signature.
#[derive(Clone, Debug, Serialize)]
pub struct Signature {
    /// Who writes signatures like this one to the last byte, slack aside: `codesign`, `ld64`, `ld-prime`, `cctools`,
    /// `lld`, `go`. None: nobody that is known, so some field differs that no verifier looks at.
    pub form: Option<String>,
    /// The identifier.
    pub identifier: String,
    /// The team, in signatures made with a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What the kernel knows the code by, in hexadecimal.
    pub cdhash: String,
    /// The flags of the CodeDirectory: `0x2` is ad-hoc, `0x20000` linker-signed.
    pub flags: u32,
    /// Whether it claims no signer.
    pub adhoc: bool,
    /// Whether it says that a linker made it.
    pub linker_signed: bool,
    /// Where it starts, relative to the image: also the end of what it signs.
    pub offset: u64,
    /// The room it takes in the file, in bytes.
    pub size: u64,
    /// How much of the room it uses, in bytes.
    pub length: u64,
    /// Whether the unused rest is zero.
    pub slack_is_zero: bool,
    /// Its blobs, in the order of the index.
    pub blobs: Vec<Blob>,
    /// Its CodeDirectories, in the order of the index.
    pub code_directories: Vec<CodeDirectory>,
    /// What holds as far as can be told, but no further.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An entry of the superblob.
#[derive(Clone, Debug, Serialize)]
pub struct Blob {
    /// 0 and from 0x1000: CodeDirectories; 2: requirements; 5 and 7: entitlements; 0x10000: CMS signature.
    pub slot: u32,
    /// Its magic number.
    pub magic: u32,
    /// Where it starts, relative to the signature.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// A CodeDirectory.
#[derive(Clone, Debug, Serialize)]
pub struct CodeDirectory {
    /// Its slot in the superblob.
    pub slot: u32,
    /// The version of the format.
    pub version: u32,
    /// Its flags.
    pub flags: u32,
    /// `sha1`, `sha256`, `sha256-truncated` or `sha384`.
    pub hash: &'static str,
    /// The start of its own hash, in hexadecimal.
    pub cdhash: String,
    /// The size of a page in bytes.
    pub page_size: u64,
    /// The number of pages.
    pub pages: u32,
    /// The number of bytes it signs.
    pub code_limit: u64,
    /// The number of Apple's platform, if it is part of a system.
    pub platform: u8,
    /// The hashes of the special slots that are used, in hexadecimal: slot, hash.
    pub special_slots: Vec<(u32, String)>,
    /// The executable segment, from version 0x20400 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_segment: Option<ExecSegment>,
}

/// What a CodeDirectory says about the segment with the code.
#[derive(Clone, Debug, Serialize)]
pub struct ExecSegment {
    /// Its offset in the image.
    pub base: u64,
    /// Its size; linkers disagree on it.
    pub limit: u64,
    /// Its flags: 1 is a main program.
    pub flags: u64,
}
