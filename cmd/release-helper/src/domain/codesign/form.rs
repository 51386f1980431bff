//! The forms that a signature can have, and how to choose one.

use std::fmt;

/// How to sign.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The identifier in the signature. If it is absent, it is made of the file's name as `codesign` does
    /// (thin files only).
    pub identifier: Option<String>,
    /// Whose form the signature gets.
    pub style: Style,
}

/// Whose form a signature gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// That of `codesign -s -`. Pages have 16 KiB on 64-bit ARM, as since macOS 26, and 4 KiB elsewhere,
    /// unless a size is given.
    Codesign(Option<PageSize>),
    /// That of a linker: the given one, else the one whose form the existing signature has, else the one that made
    /// the file.
    Linker(Option<Linker>),
    /// That of the existing signature, which must be a form this module can write.
    Preserve,
}

impl Signing {
    /// What `codesign -s - --identifier IDENTIFIER` does.
    pub fn adhoc(identifier: impl Into<String>) -> Self {
        Self { identifier: Some(identifier.into()), style: Style::Codesign(None) }
    }
}

/// Who would have written the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `codesign -s -`: CodeDirectory, empty requirements, empty CMS wrapper.
    Codesign {
        /// The size of the pages that are hashed.
        page_size: PageSize,
    },
    /// A linker: CodeDirectory only, flag `linker-signed`.
    Linker(Linker),
}

/// The size of the pages that are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4096 bytes, which every kernel accepts.
    Small,
    /// 16384 bytes, which only kernels with pages of that size accept.
    Large,
}

impl PageSize {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Small => 4096,
            Self::Large => 16384,
        }
    }
}

/// The tools that sign what they link or rewrite. They agree on everything but offsets, rounding and `execSegLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linker {
    /// Apple's classic linker, up to version 820.
    Ld64,
    /// Apple's linker since Xcode 15, version 1015 and later.
    LdPrime,
    /// Apple's `strip` and `install_name_tool`, and late versions of the classic linker.
    Cctools,
    /// LLVM's linker, `llvm-objcopy` and `llvm-strip`.
    Lld,
    /// Go's linker.
    Go,
    /// A tool that names itself `ld 0.0.0` in the load commands and leaves `execSegLimit` zero.
    Ld0,
}

impl Linker {
    /// All of them; where the forms of two coincide, the earlier one is recognised.
    pub const ALL: [Self; 6] = [Self::Ld64, Self::Go, Self::LdPrime, Self::Cctools, Self::Lld, Self::Ld0];

    /// The name it has in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ld64 => "ld64",
            Self::LdPrime => "ld-prime",
            Self::Cctools => "cctools",
            Self::Lld => "lld",
            Self::Go => "go",
            Self::Ld0 => "ld-0",
        }
    }

    /// The one with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|linker| linker.name() == name)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Codesign { .. } => "codesign",
            Self::Linker(linker) => linker.name(),
        })
    }
}
