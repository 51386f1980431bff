//! Which form the signature of an image gets, and who linked it.

use anyhow::{Result, bail, ensure};

use super::form::{Form, Linker, PageSize, Style};
use super::image::{Image, TOOL_LLD};
use super::source::{Source, Window};

impl Style {
    /// The form of the signature that `image` gets; `existing` is the form of the one it has.
    pub(super) fn form_for(self, window: &Window<'_>, image: &Image, existing: Option<Form>) -> Result<Form> {
        Ok(match (self, existing) {
            (Self::Codesign(page_size), _) => {
                let page_size = page_size.unwrap_or_else(|| image.page_size());
                ensure!(
                    page_size == PageSize::Small || image.has_large_pages(),
                    "kernels refuse pages of {} bytes on {}",
                    page_size.bytes(),
                    image.architecture()
                );
                Form::Codesign { page_size }
            }
            (Self::Linker(Some(linker)), _) => Form::Linker(linker),
            (Self::Linker(None), Some(Form::Linker(linker))) => Form::Linker(linker),
            (Self::Linker(None), _) => Form::Linker(Linker::of(window, image)?),
            (Self::Preserve, Some(form)) => form,
            (Self::Preserve, None) => bail!("its signature has no form that could be preserved"),
        })
    }
}

impl Linker {
    /// Who linked `image` or rewrote it last. The load commands name the linker; what `strip` and its like did
    /// afterwards shows in the string table, which every tool writes in a way of its own.
    fn of(window: &Window<'_>, image: &Image) -> Result<Self> {
        const FIRST_LD_PRIME: u32 = 1000 << 16;
        let strings = start_of_strings(window, image)?;
        Ok(match image.linker {
            _ if strings.starts_with(&[0, 0]) => Self::Cctools,
            _ if is_sorted_from_the_end(&strings) => Self::Lld,
            Some((TOOL_LLD, _)) => Self::Lld,
            Some((_, 0)) => Self::Ld0,
            Some((_, FIRST_LD_PRIME..)) => Self::LdPrime,
            Some(_) => Self::Ld64,
            None if image.built_by_go => Self::Go,
            // Dart's compiler names no tool.
            None => Self::Lld,
        })
    }

    /// The size in memory of the `__LINKEDIT` of `image` once it has `file_size` bytes in the file. The size it has now
    /// must not count: it may follow from an earlier, longer signature.
    pub(super) fn linkedit_memory_size(self, file_size: u64, window: &Window<'_>, image: &Image) -> Result<u64> {
        let is_exact = match self {
            Self::Go => true,
            // lld itself does not round; `llvm-objcopy` and `llvm-strip`, which write the same signature, do.
            Self::Lld => {
                image.linker.is_some_and(|(tool, _)| tool == TOOL_LLD)
                    && !is_sorted_from_the_end(&start_of_strings(window, image)?)
            }
            _ => false,
        };
        Ok(if is_exact { file_size } else { file_size.next_multiple_of(PageSize::Large.bytes()) })
    }
}

/// The first bytes of the string table.
fn start_of_strings(window: &Window<'_>, image: &Image) -> Result<Vec<u8>> {
    let strings = image.strings.clone().unwrap_or_default();
    let size = strings.end.min(window.size()).saturating_sub(strings.start).min(4096);
    window.read(strings.start.min(window.size()), size as usize)
}

/// Whether the strings are sorted by their reversal, as LLVM's string tables are, so that one can end in another.
fn is_sorted_from_the_end(table: &[u8]) -> bool {
    let complete = &table[..table.iter().rposition(|byte| *byte == 0).unwrap_or(0)];
    // The table starts with " \0", for symbols without name.
    let strings: Vec<&[u8]> = complete.split(|byte| *byte == 0).skip(1).filter(|string| !string.is_empty()).collect();
    // Fewer are sorted by chance.
    strings.len() >= 4 && strings.is_sorted_by(|one, other| one.iter().rev().gt(other.iter().rev()))
}
