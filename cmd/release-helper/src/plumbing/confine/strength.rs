//! What is always reachable, and how strong the walls are.

/// The system's programs and libraries. Every user may read them; there are no secrets in them.
pub(super) const SYSTEM: [&str; 12] = [
    "/bin",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
];

/// How strong the walls are on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strength {
    /// Nothing outside can be read, written, signalled or talked to.
    Full,
    /// Almost: what is open.
    Partial(String),
    /// There are no walls: why.
    None(String),
}

impl std::fmt::Display for Strength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("confined"),
            Self::Partial(gap) => write!(f, "partly confined ({gap})"),
            Self::None(why) => write!(f, "not confined ({why})"),
        }
    }
}
