//! `tsuku-dltest PATH...`: loads each library with `dlopen` in a process of its own and reports as JSON whether it
//! loads. `docs/protocol.md` says what it promises.
//!
//! Nothing of the machine it was built on may reach the artifact, so it takes nothing from it: no std, no crates, no C
//! toolchain. All `unsafe` code is in [`sys`].
#![no_std]
#![no_main]

mod args;
mod describe;
mod driver;
mod job;
mod json;
mod loader;
mod output;
mod progress;
#[cfg(target_os = "linux")]
mod supervisor;
mod sys;
mod verdict;

use core::ffi::CStr;

use args::{Request, Words};
use job::Job;
use json::Sink as _;
use output::Output;
use sys::Arguments;

const USAGE: &str = "usage: tsuku-dltest [OPTION]... [--] PATH...
       tsuku-dltest [OPTION]... --stdin0 <PATHS
Loads each library with dlopen, in a process of its own, and prints a JSON array that says which ones load.

  --jobs N        load up to N libraries at a time (1 to 32; default: the processors)
  --timeout-ms N  give up on a library after N milliseconds (default: 2000)
  --isolation I   strict (default): a process for each library;
                  shared: a process serves on while its libraries load well
  --stdin0        take the paths from standard input, each ended by a NUL byte
  --json-lines    print an object on a line for each library as soon as it is known
  --version       print the version to standard error
  --help          print this to standard error

Exit status: 0 all loaded, 1 at least one did not, 2 wrong usage or no complete answer.
";

/// The one place the version is in: a verifier counts it.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!("tsuku-dltest v", env!("CARGO_PKG_VERSION"), "\n\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version holds no NUL"),
    };

/// Did not understand, or could not answer.
const NO_ANSWER: i32 = 2;

/// What can be answered without a loader; otherwise how to load.
fn answer(arguments: Arguments) -> Result<args::Options, i32> {
    let request = args::request(Words::new(arguments));
    if let Request::Load(options) = request {
        return Ok(options);
    }
    let mut error = last_words(sys::STDERR);
    let status = match request {
        Request::Load(_) => 0,
        Request::Version => {
            error.put(VERSION.to_bytes());
            0
        }
        Request::Help => {
            error.text(USAGE);
            0
        }
        Request::Nothing => {
            error.text(USAGE);
            NO_ANSWER
        }
        Request::Wrong(word, why) => {
            error.text("tsuku-dltest: ");
            error.visible(word.to_bytes());
            error.text(": ");
            error.text(why);
            error.text("\nhint: tsuku-dltest --help\n");
            NO_ANSWER
        }
    };
    Err(if error.flush() { status } else { NO_ANSWER })
}

/// The whole program once `dlopen` can be called; the exit status.
fn run(arguments: Arguments) -> i32 {
    let options = match answer(arguments.clone()) {
        Ok(options) => options,
        Err(status) => return status,
    };
    match Job::new(options, arguments) {
        Ok(job) => perform(&job),
        Err(error) => failure(sys::STDERR, "standard input", error),
    }
}

/// A stream for what a process says before it ends: losing it must not end the process sooner.
fn last_words(fd: i32) -> Output {
    sys::block_signals_of_writing();
    Output::new(fd)
}

/// What a child does for each library.
use loader::load;

#[cfg(target_os = "linux")]
use supervisor::run as perform;

/// A process cannot look after another's descendants there: no supervisor.
#[cfg(target_os = "macos")]
fn perform(job: &Job) -> i32 {
    match sys::take_over() {
        Ok((out, error)) => match driver::run(job, &job::Task::WHOLE, Output::new(out)) {
            (status, None) => status,
            (_, Some(lost)) => failure(error, "standard output", lost),
        },
        Err(error) => failure(sys::STDERR, "standard streams", error),
    }
}

/// Says that `what` failed, and how; the exit status.
fn failure(fd: i32, what: &str, error: sys::Errno) -> i32 {
    let mut stream = last_words(fd);
    stream.text("tsuku-dltest: ");
    stream.text(what);
    stream.text(": ");
    error.describe(&mut stream);
    stream.text("\n");
    stream.flush();
    NO_ANSWER
}

#[cfg_attr(link_recipe, panic_handler)]
#[cfg_attr(not(link_recipe), expect(dead_code))]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(NO_ANSWER)
}

/// Development builds unwind, as the tests beside them must, which core cannot do alone. (With a profile that does not,
/// cargo compiles every dependency twice.)
#[cfg(not(link_recipe))]
extern crate std;
