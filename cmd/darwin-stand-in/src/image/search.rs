//! From a name to a library: where dyld looks, in which order, and what it says when nothing will do.

use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32};

use super::file::{File, SYSTEM};
use super::{IMAGES, Image, Provider, images, map, signature};
use crate::{start, system};

/// The directories of `DYLD_LIBRARY_PATH`, as they were when the process began.
fn first_directories() -> &'static [PathBuf] {
    static DIRECTORIES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    DIRECTORIES.get_or_init(|| {
        let list = std::env::var_os("DYLD_LIBRARY_PATH").unwrap_or_default();
        std::env::split_paths(&list).filter(|directory| !directory.as_os_str().is_empty()).collect()
    })
}

/// Reads what has to be known before the program can change it.
pub(crate) fn prepare() {
    first_directories();
}

/// True if `name` is libSystem's, in dyld's cache.
pub(crate) fn matches_system(name: &CStr) -> bool {
    [SYSTEM.as_bytes(), b"/usr/lib/libSystem.dylib"].contains(&name.to_bytes())
}

/// Why a file is not the library that was looked for.
enum Refusal {
    /// Another place may have a better one.
    Here(String),
    /// It is the one, but something that it needs is missing.
    Last(String),
}

/// Loads a library and what it needs, and binds all of it; a use is counted. No constructor has run yet. Of what failed
/// nothing is left.
pub(crate) fn load(name: &CStr) -> Result<Provider, String> {
    let before = images();
    let mut added = Vec::new();
    let result = find(name.to_bytes(), None, &mut added).and_then(|provider| {
        added.iter().rev().try_for_each(|image: &&'static Image| image.bind())?;
        Ok(provider)
    });
    if result.is_err() {
        for image in images() {
            if !before.iter().any(|old| std::ptr::eq(*old, image)) {
                image.forget();
            }
        }
    }
    result
}

/// Finds a library for a name, for `user` if one needs it; a use is counted.
fn find(name: &[u8], user: Option<&Image>, added: &mut Vec<&'static Image>) -> Result<Provider, String> {
    let use_it = |image: &'static Image| {
        image.retain();
        Ok(Provider::Image(image))
    };
    let named = |image: &&Image| image.file.install_name.as_deref().map(str::as_bytes) == Some(name);
    if user.is_some()
        && let Some(image) = images().into_iter().find(named)
    {
        return use_it(image);
    }
    let mut tried = Vec::new();
    for candidate in candidates(name, user) {
        let path = CString::new(candidate.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        if matches_system(&path) {
            return Ok(Provider::System);
        }
        match known(&path).map_or_else(|| add(&path, added), Ok) {
            Ok(image) => return use_it(image),
            Err(Refusal::Here(why)) => tried.push(format!("'{}' ({why})", path.to_string_lossy())),
            Err(Refusal::Last(why)) => return Err(why),
        }
    }
    Err(format!("tried: {}", tried.join(", ")))
}

/// Where dyld looks, in order: first for the file's name alone in `DYLD_LIBRARY_PATH`, whatever path was asked for.
fn candidates(name: &[u8], user: Option<&Image>) -> Vec<PathBuf> {
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let leaf = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    let mut all: Vec<_> = first_directories().iter().map(|directory| directory.join(path(leaf))).collect();
    let beside = |image: &Image| path(image.path.to_bytes()).parent().map(PathBuf::from).unwrap_or_default();
    let expand = |name: &[u8], image: &Image| match name {
        [b'@', b'l', b'o', b'a', b'd', b'e', b'r', b'_', b'p', b'a', b't', b'h', b'/', rest @ ..] => {
            Some(beside(image).join(path(rest)))
        }
        _ if name.starts_with(b"@executable_path/") => {
            Some(path(start::options().program.to_bytes()).parent()?.join(path(&name[17..])))
        }
        _ if name.starts_with(b"@") => None,
        _ => Some(path(name)),
    };
    if let Some(rest) = name.strip_prefix(b"@rpath/") {
        let rpaths = user.into_iter().flat_map(|user| user.file.rpaths.iter().map(move |rpath| (user, rpath)));
        all.extend(rpaths.filter_map(|(user, rpath)| Some(expand(rpath.as_bytes(), user)?.join(path(rest)))));
    } else if let Some(user) = user {
        all.extend(expand(name, user));
    } else {
        if !name.starts_with(b"/") {
            all.push(path(b"/usr/lib").join(path(name)));
        }
        all.push(path(name));
    }
    all
}

/// The image of the file at `path`, if it is loaded.
fn known(path: &CStr) -> Option<&'static Image> {
    let identity = identity(path);
    images().into_iter().find(|image| image.path.as_c_str() == path || Some(image.identity) == identity)
}

fn identity(path: &CStr) -> Option<(u64, u64)> {
    let metadata = fs::metadata(OsString::from_vec(path.to_bytes().to_vec())).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Maps the program.
pub(super) fn program(path: &CStr) -> Result<&'static Image, String> {
    add(path, &mut Vec::new()).map_err(|(Refusal::Here(why) | Refusal::Last(why))| why)
}

/// Maps the file at `path`, and what it needs.
fn add(path: &CStr, added: &mut Vec<&'static Image>) -> Result<&'static Image, Refusal> {
    let image: &'static Image = Box::leak(Box::new(open(path).map_err(Refusal::Here)?));
    IMAGES.lock().expect("nothing panics with the list").push(image);
    added.push(image);
    let needed = image.file.dylibs.iter().map(|dylib| {
        find(dylib.as_bytes(), Some(image), added).map_err(|why| {
            let user = path.to_string_lossy();
            Refusal::Last(format!("Library not loaded: {dylib}\n  Referenced from: {user}\n  Reason: {why}"))
        })
    });
    let needed = needed.collect::<Result<Vec<_>, _>>()?;
    image.needed.get_or_init(|| needed);
    Ok(image)
}

/// Reads, checks and maps the file at `path`.
fn open(path: &CStr) -> Result<Image, String> {
    let name = PathBuf::from(OsString::from_vec(path.to_bytes().to_vec()));
    if path.to_bytes().len() >= system::PATH_MAX {
        return Err("file name too long".to_owned());
    }
    let metadata = fs::metadata(&name).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let file = File::parse(&fs::read(&name).map_err(|error| error.to_string())?)?;
    match &file.signature {
        Some(range) => signature::check(&file.bytes, range.clone())?,
        // Intel's macOS takes libraries without; a program is looked at by its caller.
        None if cfg!(target_arch = "aarch64") => return Err("code signature absent".to_owned()),
        None => {}
    }
    Ok(Image {
        path: path.to_owned(),
        identity: (metadata.dev(), metadata.ino()),
        slide: map::map(&file)?,
        file,
        references: AtomicU32::new(0),
        initialized: AtomicBool::new(false),
        needed: OnceLock::new(),
    })
}
