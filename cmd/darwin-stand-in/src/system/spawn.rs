//! `posix_spawn`: by fork, and this program again, with the same view of the world.

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::ptr;

use super::errors::translate;
use super::{OPEN_MAX, PATH_MAX, host, signals};
use crate::ending::unknown;
use crate::start;

const SETPGROUP: c_short = 0x2;
const SETSIGDEF: c_short = 0x4;
const SETSIGMASK: c_short = 0x8;
const CLOEXEC_DEFAULT: c_short = 0x4000;
/// Bytes of arguments and environment, with the pointers to them (`ARG_MAX`).
const ARG_MAX: usize = 1 << 20;
/// What XNU's libc keeps for an action (`_psfa_action_t`), which can hold a path. It makes it for two at first.
const ACTION_SIZE: usize = 1040;

/// `posix_spawnattr_t` leads here.
#[derive(Default)]
pub(super) struct Attributes {
    flags: c_short,
    group: c_int,
    mask: u32,
    defaults: u32,
}

/// `posix_spawn_file_actions_t` leads here.
#[derive(Default)]
pub(super) struct Actions {
    duplicates: Vec<(c_int, c_int)>,
    /// As much memory as macOS would have for it.
    memory: Vec<[u8; ACTION_SIZE]>,
}

pub(super) unsafe extern "C" fn posix_spawn_file_actions_init(actions: *mut *mut Actions) -> c_int {
    let new = Actions { memory: vec![[1; ACTION_SIZE]; 2], ..Actions::default() };
    host!(actions.write(Box::into_raw(Box::new(new))));
    0
}

pub(super) unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    actions: *mut *mut Actions,
    from: c_int,
    to: c_int,
) -> c_int {
    if !(0..OPEN_MAX).contains(&from) || !(0..OPEN_MAX).contains(&to) {
        return translate(libc::EBADF);
    }
    let actions = host!(&mut **actions);
    actions.duplicates.push((from, to));
    if actions.duplicates.len() > actions.memory.len() {
        actions.memory.extend(vec![[1; ACTION_SIZE]; actions.memory.len()]);
    }
    0
}

pub(super) unsafe extern "C" fn posix_spawnattr_init(attributes: *mut *mut Attributes) -> c_int {
    host!(attributes.write(Box::into_raw(Box::default())));
    0
}

pub(super) unsafe extern "C" fn posix_spawnattr_setflags(attributes: *mut *mut Attributes, flags: c_short) -> c_int {
    if flags & !(SETPGROUP | SETSIGDEF | SETSIGMASK | CLOEXEC_DEFAULT) != 0 {
        unknown(format_args!("posix_spawn with flags {flags:#x}"));
    }
    host!((**attributes).flags = flags);
    0
}

pub(super) unsafe extern "C" fn posix_spawnattr_setpgroup(attributes: *mut *mut Attributes, group: c_int) -> c_int {
    host!((**attributes).group = group);
    0
}

pub(super) unsafe extern "C" fn posix_spawnattr_setsigmask(
    attributes: *mut *mut Attributes,
    mask: *const u32,
) -> c_int {
    host!((**attributes).mask = *mask);
    0
}

pub(super) unsafe extern "C" fn posix_spawnattr_setsigdefault(
    attributes: *mut *mut Attributes,
    mask: *const u32,
) -> c_int {
    host!((**attributes).defaults = *mask);
    0
}

pub(super) unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    path: *const c_char,
    actions: *const *const Actions,
    attributes: *const *const Attributes,
    argv: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    let (path, actions, attributes) = host!((CStr::from_ptr(path), &**actions, &**attributes));
    let (arguments, variables) = (strings(argv), strings(environment));
    match spawn(path, actions, attributes, &arguments, &variables) {
        Ok(child) => {
            host!(pid.write(child));
            0
        }
        Err(error) => translate(error),
    }
}

/// The strings of a vector that ends with a null pointer.
fn strings(vector: *const *const c_char) -> Vec<CString> {
    let pointers = (0..).map(|at| host!(*vector.add(at))).take_while(|pointer| !pointer.is_null());
    pointers.map(|pointer| host!(CStr::from_ptr(pointer)).to_owned()).collect()
}

fn spawn(
    path: &CStr,
    actions: &Actions,
    attributes: &Attributes,
    arguments: &[CString],
    environment: &[CString],
) -> Result<c_int, c_int> {
    if path.to_bytes().len() >= PATH_MAX {
        return Err(libc::ENAMETOOLONG);
    }
    let all = arguments.iter().chain(environment);
    if all.map(|text| text.as_bytes_with_nul().len() + 8).sum::<usize>() > ARG_MAX {
        return Err(libc::E2BIG);
    }
    let metadata = fs::metadata(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())));
    let metadata = metadata.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(libc::EACCES);
    }
    if attributes.flags & SETPGROUP != 0 && attributes.group != 0 {
        unknown(format_args!("posix_spawn into group {}", attributes.group));
    }
    let command = command(path, arguments);
    let (argv, envp) = (pointers(&command), pointers(environment));
    // The child says here what it could not do; nothing comes if it could execute.
    let mut report = [0; 2];
    if host!(libc::pipe2(report.as_mut_ptr(), libc::O_CLOEXEC)) != 0 {
        return Err(last_error());
    }
    let child = host!(libc::fork());
    if child == 0 {
        let error = host!(become_child(actions, attributes, report[1], &argv, &envp));
        host!(libc::write(report[1], (&raw const error).cast(), size_of_val(&error)));
        host!(libc::_exit(127));
    }
    let failed = last_error();
    host!(libc::close(report[1]));
    let mut error = 0;
    let told = if child < 0 { 0 } else { host!(libc::read(report[0], (&raw mut error).cast(), size_of::<c_int>())) };
    host!(libc::close(report[0]));
    if child < 0 {
        return Err(failed);
    }
    if told > 0 {
        host!(libc::waitpid(child, ptr::null_mut(), 0));
        return Err(error);
    }
    Ok(child)
}

/// The command line that runs a program as this one is run.
fn command(path: &CStr, arguments: &[CString]) -> Vec<CString> {
    let options = start::options();
    let text = |text: &str| CString::new(text).expect("no NUL");
    let through = options.through.as_ref().map(|emulator| CString::new(emulator.as_bytes()).expect("no NUL"));
    let own = std::env::current_exe().expect("this program has a path");
    let mut command: Vec<_> = through.clone().into_iter().collect();
    command.push(CString::new(own.into_os_string().as_bytes()).expect("no NUL"));
    command.extend(options.lazy.then(|| text("--lazy")));
    command.extend(through.into_iter().flat_map(|emulator| [text("--through"), emulator]));
    command.extend(arguments.first().into_iter().flat_map(|argv0| [text("--argv0"), argv0.clone()]));
    command.push(path.to_owned());
    command.extend(arguments.iter().skip(1).cloned());
    command
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn last_error() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Between fork and exec; why it could not execute.
///
/// # Safety
/// The vectors must end with null pointers.
unsafe fn become_child(
    actions: &Actions,
    attributes: &Attributes,
    report: c_int,
    argv: &[*const c_char],
    environment: &[*const c_char],
) -> c_int {
    if attributes.flags & SETPGROUP != 0 && host!(libc::setpgid(0, 0)) != 0 {
        return last_error();
    }
    if attributes.flags & SETSIGDEF != 0 {
        for signal in (1..32).filter(|signal| attributes.defaults >> (signal - 1) & 1 == 1) {
            signals::reset(signal);
        }
    }
    for &(from, to) in &actions.duplicates {
        // The report must not be in the way; Darwin has none.
        if to == report {
            return libc::EBADF;
        }
        let result = match from == to {
            true => host!(libc::fcntl(to, libc::F_SETFD, 0)),
            false => host!(libc::dup2(from, to)),
        };
        if result < 0 {
            return last_error();
        }
    }
    if attributes.flags & CLOEXEC_DEFAULT != 0 {
        let named = |fd: c_int| fd == report || actions.duplicates.iter().any(|&(_, to)| to == fd);
        for fd in (0..OPEN_MAX).filter(|&fd| !named(fd)) {
            host!(libc::close(fd));
        }
    }
    signals::block(if attributes.flags & SETSIGMASK != 0 { attributes.mask } else { signals::blocked() });
    host!(libc::execve(argv[0], argv.as_ptr(), environment.as_ptr()));
    last_error()
}
