//! A file, read once.

use anyhow::Result;

use super::container::Container;
use super::elf::Elf;
use super::layout::{self, Part};
use super::macho::{self, MachO, Slice};
use crate::plumbing::bytes::{Source, Window};

/// A file and what its headers say.
pub(super) struct View<'a> {
    pub(super) file: Window<'a>,
    pub(super) container: Container,
    pub(super) content: Content,
}

/// What the headers of a file say.
pub(super) enum Content {
    Elf(Elf),
    MachO(MachO),
    /// The slices, with what the headers of those say that can be read.
    Fat(Vec<(Slice, Option<MachO>)>),
    /// Nothing is known, or it is no program.
    Unknown,
}

impl<'a> View<'a> {
    /// Reads the headers of `file`. Fails where it cannot be read; a damaged one is of unknown content.
    pub(super) fn read(file: Window<'a>) -> Result<Self> {
        let container = Container::at(file)?;
        let content = match container {
            Container::Elf => Elf::read(file).ok().map(Content::Elf),
            Container::MachO => MachO::read(file).ok().map(Content::MachO),
            Container::FatMachO => macho::slices(file).ok().map(|slices| {
                let read = |slice: Slice| {
                    let content = MachO::read(slice.content(file)).ok();
                    (slice, content)
                };
                Content::Fat(slices.into_iter().map(read).collect())
            }),
            Container::Foreign(_) => None,
        };
        Ok(Self { file, container, content: content.unwrap_or(Content::Unknown) })
    }

    /// What kind of file it is, in a few words.
    pub(super) fn describe(&self) -> String {
        match (&self.content, self.container) {
            (Content::Elf(elf), _) => elf.describe(),
            (Content::MachO(macho), _) => macho.describe(),
            (Content::Fat(slices), _) => {
                let machines: Vec<_> = slices.iter().map(|(slice, _)| slice.machine.as_str()).collect();
                format!("fat Mach-O: {}", machines.join(", "))
            }
            (Content::Unknown, Container::Foreign(what)) => what.into(),
            (Content::Unknown, container) => format!("damaged {container}"),
        }
    }

    /// The file cut into named parts, if it is known well enough; those of a fat file's slices carry the name of their
    /// machine.
    pub(super) fn parts(&self) -> Option<Vec<Part>> {
        match &self.content {
            Content::Elf(elf) => Some(elf.parts()),
            Content::MachO(macho) => Some(macho.parts()),
            Content::Fat(slices) => Some(self.parts_of_slices(slices)),
            Content::Unknown => None,
        }
    }

    fn parts_of_slices(&self, slices: &[(Slice, Option<MachO>)]) -> Vec<Part> {
        let head = self.file.head(4).unwrap_or_default();
        let header = Part::new("fat header", 0, macho::fat_header_size(&head, slices.len()));
        let whole = slices.iter().map(|(slice, _)| Part { name: slice.machine.clone(), range: slice.range.clone() });
        let mut parts = Vec::new();
        for part in layout::cut(self.file.size(), whole.chain([header]).collect(), &[]) {
            // A slice that another one overlaps is not whole.
            let content =
                slices.iter().find(|(slice, _)| slice.range == part.range).and_then(|(_, content)| content.as_ref());
            match content {
                Some(macho) => parts.extend(macho.parts().into_iter().map(|inner| Part {
                    name: format!("{}: {}", part.name, inner.name),
                    range: part.range.start + inner.range.start..part.range.start + inner.range.end,
                })),
                None => parts.push(part),
            }
        }
        parts
    }
}
