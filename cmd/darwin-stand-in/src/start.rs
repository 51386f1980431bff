//! From the command line to the program's entry.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;

use crate::ending::{self, refused};
use crate::{image, system};

const USAGE: &str = "usage: darwin-stand-in [OPTION]... PROGRAM [ARGUMENT]...
Runs a macOS program of this machine's kind.

  --lazy               bind functions when they are first called, as macOS 11 does
  --through EMULATOR   start processes through this, where this program was started so
  --argv0 TEXT         tell the program that this is its name
";

/// How this process was started, and so how its children have to be.
pub(crate) struct Options {
    pub(crate) lazy: bool,
    pub(crate) through: Option<OsString>,
    /// The program, absolute.
    pub(crate) program: CString,
    argv0: OsString,
    arguments: Vec<OsString>,
}

/// The program's argument vectors, for it and for constructors.
pub(crate) struct Vectors {
    pub(crate) argc: c_int,
    pub(crate) argv: *const *const c_char,
    pub(crate) apple: *const *const c_char,
}

// SAFETY: written once, and never changed by this program.
unsafe impl Sync for Vectors {}
// SAFETY: as above.
unsafe impl Send for Vectors {}

static OPTIONS: OnceLock<Options> = OnceLock::new();
static VECTORS: OnceLock<Vectors> = OnceLock::new();

/// How this process was started.
pub(crate) fn options() -> &'static Options {
    OPTIONS.get().expect("set first of all")
}

/// What its program was given.
pub(crate) fn vectors() -> &'static Vectors {
    VECTORS.get().expect("set before anything of the program runs")
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    ending::prepare();
    system::limit_processor_time();
    // SAFETY: the vector of the process, which has `argc` strings.
    let words = (1..argc as usize).map(|at| unsafe { CStr::from_ptr(*argv.add(at)) });
    let options = OPTIONS.get_or_init(|| parse(words.map(|word| OsStr::from_bytes(word.to_bytes()).to_owned())));
    let mut argv = vec![c_string(&options.argv0)];
    argv.extend(options.arguments.iter().map(c_string));
    let apple = [CString::new([b"executable_path=", options.program.as_bytes()].concat()).expect("no NUL")];
    VECTORS.get_or_init(|| Vectors { argc: argv.len() as c_int, argv: vector(argv), apple: vector(apple.into()) });
    system::prepare();
    match image::start(&options.program) {
        Ok(status) => system::exit(status),
        Err(why) => refused(format_args!("{}: {why}", options.program.to_string_lossy())),
    }
}

fn parse(mut words: impl Iterator<Item = OsString>) -> Options {
    let (mut lazy, mut through, mut argv0) = (false, None, None);
    let program = loop {
        let word = words.next().unwrap_or_else(usage);
        match word.as_bytes() {
            b"--lazy" => lazy = true,
            b"--through" => through = Some(words.next().unwrap_or_else(usage)),
            b"--argv0" => argv0 = Some(words.next().unwrap_or_else(usage)),
            [b'-', ..] => usage(),
            _ => break word,
        }
    };
    let mut path = PathBuf::from(&program);
    if path.is_relative() {
        path = std::env::current_dir().map(|directory| directory.join(&path)).unwrap_or(path);
    }
    let program = c_string(&path.into_os_string());
    if program.as_bytes().len() >= system::PATH_MAX {
        refused(format_args!("the path of the program is too long"));
    }
    let argv0 = argv0.unwrap_or_else(|| OsString::from_vec(program.as_bytes().to_vec()));
    Options { lazy, through, program, argv0, arguments: words.collect() }
}

fn usage<T>() -> T {
    eprint!("{USAGE}");
    std::process::exit(2)
}

fn c_string(text: &OsString) -> CString {
    CString::new(text.as_bytes()).expect("arguments hold no NUL")
}

/// A vector as C has it; it stays for ever.
fn vector(strings: Vec<CString>) -> *const *const c_char {
    let mut pointers: Vec<_> = strings.into_iter().map(|string| string.into_raw().cast_const()).collect();
    pointers.push(ptr::null());
    pointers.leak().as_ptr()
}
