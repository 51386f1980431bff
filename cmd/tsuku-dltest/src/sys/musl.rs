//! musl: a program that the kernel starts as it stands, and that then fetches the system's loader.
//!
//! A static musl program has only a stub `dlopen`, and a dynamic one does not start where there is no musl. This file
//! has a dynamic section but no interpreter, so the kernel starts it without relocating it. It does what the kernel
//! does for `PT_INTERP`: it maps the loader, says so in the auxiliary vector (`AT_BASE`) and jumps to the loader's
//! entry with the stack it was given. The loader finds the program by `AT_PHDR`, relocates it and begins it again at
//! `AT_ENTRY`, where the address of `dlopen` is now known. No exec, no `/proc`, no file name but the loader's.
//!
//! Until then nothing may be called that is imported.

use core::arch::asm;
use core::ffi::CStr;

use super::syscall::syscall;
use super::{Arguments, Errno, STDERR, exit};
use crate::failure;

#[cfg(target_arch = "x86_64")]
const LOADER: &CStr = c"/lib/ld-musl-x86_64.so.1";
#[cfg(target_arch = "aarch64")]
const LOADER: &CStr = c"/lib/ld-musl-aarch64.so.1";
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

#[cfg(target_arch = "x86_64")]
const R_RELATIVE: usize = 8;
#[cfg(target_arch = "aarch64")]
const R_RELATIVE: usize = 1027;

const DT_RELA: usize = 7;
const DT_RELASZ: usize = 8;
const AT_FDCWD: isize = -100;
const O_CLOEXEC: usize = 0o2_000_000;
const AT_PAGESZ: usize = 6;
const AT_BASE: usize = 7;
const MAP_PRIVATE: usize = 0x02;
const MAP_FIXED: usize = 0x10;
const MAP_ANONYMOUS: usize = 0x20;
const PROT_WRITE: usize = 2;
const PT_LOAD: u32 = 1;
/// More program headers than any loader has.
const HEADERS: usize = 16;
/// ENOEXEC: not the loader this machine needs.
const NOT_A_LOADER: Errno = Errno(8);

/// `Elf64_Ehdr`, in 16-bit units where that is enough.
#[repr(C)]
#[derive(Default)]
struct Header {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    headers: u64,
    sections: u64,
    flags: u32,
    size: u16,
    header_size: u16,
    header_count: u16,
    rest: [u16; 3],
}

/// `Elf64_Phdr`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
}

/// True if a loader has relocated this program.
pub(super) fn is_linked() -> bool {
    let dlopen: usize;
    // SAFETY: reads the entry of the global offset table. Asked in Rust, no function's address is ever zero.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("mov {}, qword ptr [rip + dlopen@GOTPCREL]", out(reg) dlopen, options(nostack, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("adrp {0}, :got:dlopen", "ldr {0}, [{0}, :got_lo12:dlopen]", out(reg) dlopen, options(nostack, readonly));
    }
    dlopen != 0
}

/// Makes this program's own addresses right (its relative relocations). The loader will do the same again, which
/// changes nothing: these relocations carry their addends.
///
/// # Safety
/// Only before a loader has done so and protected the result.
unsafe fn relocate() {
    let (base, mut entry): (usize, *const [usize; 2]);
    // SAFETY: symbols of the linker, addressed from here: asked in Rust, they would come from a table not yet right.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("lea {}, [rip + __ehdr_start]", "lea {}, [rip + _DYNAMIC]", out(reg) base, out(reg) entry,
             options(nostack, nomem));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("adrp {0}, __ehdr_start", "add {0}, {0}, :lo12:__ehdr_start", "adrp {1}, _DYNAMIC",
             "add {1}, {1}, :lo12:_DYNAMIC", out(reg) base, out(reg) entry, options(nostack, nomem));
    }
    let (mut table, mut size) = (0, 0);
    // SAFETY: the dynamic section ends with a zero tag; the table it leads to belongs to this file.
    unsafe {
        while (*entry)[0] != 0 {
            match (*entry)[0] {
                DT_RELA => table = base + (*entry)[1],
                DT_RELASZ => size = (*entry)[1],
                _ => {}
            }
            entry = entry.add(1);
        }
        let mut relocation = table as *const [usize; 3];
        while (relocation as usize) < table + size {
            let [place, kind, addend] = *relocation;
            if kind == R_RELATIVE {
                *((base + place) as *mut usize) = base + addend;
            }
            relocation = relocation.add(1);
        }
    }
}

/// Answers what needs no loader, and fetches the loader for the rest.
///
/// # Safety
/// `stack` must be the stack pointer at the entry of the process.
pub(super) unsafe fn begin_alone(stack: *mut usize, arguments: Arguments) -> ! {
    // SAFETY: there was no loader yet.
    unsafe { relocate() };
    if let Err(status) = crate::answer(arguments) {
        exit(status);
    }
    // SAFETY: by the caller's promise, all of the stack's vectors are in place.
    unsafe {
        let mut entry = stack.add(1);
        // The arguments and then the environment, each up to its null pointer.
        for _ in 0..2 {
            while *entry != 0 {
                entry = entry.add(1);
            }
            entry = entry.add(1);
        }
        let (mut page, mut base) = (4096, None);
        while *entry != 0 {
            match *entry {
                AT_PAGESZ => page = *entry.add(1) as u64,
                AT_BASE => base = Some(entry.add(1)),
                _ => {}
            }
            entry = entry.add(2);
        }
        match (map(LOADER, page), base) {
            (Ok((start, begin)), Some(base)) => {
                *base = start;
                jump(stack, begin)
            }
            (Err(error), _) => exit(tell(error)),
            (_, None) => exit(failure(STDERR, "the kernel's auxiliary vector", Errno(22))),
        }
    }
}

fn tell(error: Errno) -> i32 {
    failure(STDERR, LOADER.to_str().unwrap_or_default(), error)
}

/// Begins the loader as the kernel would.
unsafe fn jump(stack: *mut usize, entry: usize) -> ! {
    // SAFETY: the stack is as the kernel made it; nothing of this life of the program is used again.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("mov rsp, {}", "xor edx, edx", "xor ebp, ebp", "jmp {}", in(reg) stack, in(reg) entry, options(noreturn));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("mov sp, {}", "mov x0, 0", "mov x29, 0", "mov x30, 0", "br {}", in(reg) stack, in(reg) entry,
             options(noreturn));
    }
}

/// Maps the loader at `path`; where, and its entry.
fn map(path: &CStr, page: u64) -> Result<(usize, usize), Errno> {
    // SAFETY: a NUL-terminated path.
    let fd = unsafe { syscall!(OPENAT, AT_FDCWD, path.as_ptr(), O_CLOEXEC, 0) }?;
    let result = map_file(fd, page);
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall!(CLOSE, fd) };
    result
}

fn map_file(fd: usize, page: u64) -> Result<(usize, usize), Errno> {
    let mut header = Header::default();
    let mut segments = [Segment::default(); HEADERS];
    // SAFETY: any bytes make a header; the kernel writes within it.
    let read = unsafe { syscall!(PREAD64, fd, &raw mut header, size_of::<Header>(), 0) }?;
    let count = usize::from(header.header_count);
    // 64-bit, little-endian, version 1; a shared object for this machine.
    let fits = header.ident.starts_with(b"\x7fELF\x02\x01\x01") && header.kind == 3 && header.machine == MACHINE;
    let wanted = count * size_of::<Segment>();
    if read != size_of::<Header>()
        || !fits
        || usize::from(header.header_size) != size_of::<Segment>()
        || count > HEADERS
    {
        return Err(NOT_A_LOADER);
    }
    // SAFETY: `wanted` bytes are no more than there is room for.
    if unsafe { syscall!(PREAD64, fd, segments.as_mut_ptr(), wanted, header.headers) } != Ok(wanted) {
        return Err(NOT_A_LOADER);
    }
    let loads = || segments.iter().take(count).filter(|segment| segment.kind == PT_LOAD);
    // What all segments span. In a sane file they are in order, apart, and congruent to their place in the file.
    let (mut end, mut has_entry) = (0, false);
    for segment in loads() {
        let ends = segment.address.checked_add(segment.in_memory).filter(|&ends| ends < 1 << 30).ok_or(NOT_A_LOADER)?;
        let sane = segment.address / page * page >= end || end == 0;
        let congruent = segment.address % page == segment.offset % page;
        if !sane || !congruent || segment.in_file > segment.in_memory || !is_in_file(fd, segment) {
            return Err(NOT_A_LOADER);
        }
        has_entry |= segment.flags & 1 != 0 && (segment.address..ends).contains(&header.entry);
        end = ends.next_multiple_of(page);
    }
    if !has_entry {
        return Err(NOT_A_LOADER);
    }
    // SAFETY: a new mapping wherever the kernel has room; it reserves the whole span.
    let base = unsafe { syscall!(MMAP, 0, end, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1_isize, 0) }?;
    for segment in loads() {
        // SAFETY: within the span just reserved, as checked above.
        unsafe { map_segment(fd, base, segment, page) }?;
    }
    Ok((base, base + header.entry as usize))
}

/// A page behind the end of a file is mapped, but kills whoever touches it.
fn is_in_file(fd: usize, segment: &Segment) -> bool {
    let mut byte = 0_u8;
    let last = segment.offset.checked_add(segment.in_file).and_then(|end| end.checked_sub(1));
    // SAFETY: the kernel writes one byte.
    segment.in_file == 0 || last.is_some_and(|last| unsafe { syscall!(PREAD64, fd, &raw mut byte, 1, last) } == Ok(1))
}

/// # Safety
/// The segment must lie within a reserved span that begins at `base`.
unsafe fn map_segment(fd: usize, base: usize, segment: &Segment, page: u64) -> Result<(), Errno> {
    let inside = segment.address % page;
    let start = base + (segment.address - inside) as usize;
    let file_end = base + (segment.address + segment.in_file) as usize;
    let file_pages = (inside + segment.in_file).next_multiple_of(page) as usize;
    let all_pages = (inside + segment.in_memory).next_multiple_of(page) as usize;
    // PF_R, PF_W, PF_X are 4, 2, 1; PROT_READ, PROT_WRITE, PROT_EXEC are 1, 2, 4.
    let flags = segment.flags as usize;
    let protection = flags >> 2 & 1 | flags & PROT_WRITE | (flags & 1) << 2;
    // SAFETY: within the span; fresh pages of the file, of which the part behind the file's bytes is cleared.
    unsafe {
        if segment.in_file > 0 {
            let offset = segment.offset - inside;
            syscall!(MMAP, start, file_pages, protection, MAP_PRIVATE | MAP_FIXED, fd, offset)?;
            if protection & PROT_WRITE != 0 {
                core::ptr::write_bytes(file_end as *mut u8, 0, start + file_pages - file_end);
            }
        }
        let done = if segment.in_file > 0 { file_pages } else { 0 };
        if all_pages > done {
            let flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS;
            syscall!(MMAP, start + done, all_pages - done, protection, flags, -1_isize, 0)?;
        }
    }
    Ok(())
}
