//! Mach-O files made by hand, for what no linker here makes: 32 bits, big-endian, fat, damaged.

/// A program with a `__TEXT` of one page and a `__LINKEDIT` behind it. Fields are public to be made wrong.
pub(crate) struct Image {
    pub(crate) is_64: bool,
    pub(crate) big_endian: bool,
    /// `cputype`, `cpusubtype`.
    pub(crate) cpu: (u32, u32),
    pub(crate) file_type: u32,
    /// Free bytes between the load commands and the first section.
    pub(crate) room: usize,
    /// Segments: name, address, size in memory, offset, size in the file.
    pub(crate) segments: Vec<(&'static str, u64, u64, u64, u64)>,
    /// Further load commands: number and content.
    pub(crate) commands: Vec<(u32, Vec<u32>)>,
}

pub(crate) const INTEL: (u32, u32) = (0x0100_0007, 3);
pub(crate) const INTEL_32: (u32, u32) = (7, 3);
pub(crate) const ARM: (u32, u32) = (0x0100_000c, 0);
pub(crate) const POWER: (u32, u32) = (18, 0);

/// LC_CODE_SIGNATURE.
pub(crate) const SIGNATURE: u32 = 0x1d;

impl Image {
    /// A valid program, for macOS 11, whose string table ends where the file ends.
    pub(crate) fn new(cpu: (u32, u32)) -> Self {
        Self {
            is_64: cpu.0 >> 24 != 0,
            big_endian: cpu == POWER,
            cpu,
            file_type: 2,
            room: 64,
            segments: vec![("__TEXT", 0x1000, 0x1000, 0, 0x1000), ("__LINKEDIT", 0x2000, 0x1000, 0x1000, 0x100)],
            // LC_SYMTAB, LC_BUILD_VERSION.
            commands: vec![(2, vec![0x1000, 0, 0x1000, 0x100]), (0x32, vec![1, 0x000b_0000, 0x000b_0000, 0])],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let u32_of = |value: u32| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let word = |value: u64| match (self.is_64, self.big_endian) {
            (true, true) => value.to_be_bytes().to_vec(),
            (true, false) => value.to_le_bytes().to_vec(),
            (false, _) => u32_of(value as u32).to_vec(),
        };
        let (segment_size, section_size) = if self.is_64 { (72, 80) } else { (56, 68) };
        let commands_size = self.segments.len() * segment_size
            + section_size
            + self.commands.iter().map(|(_, content)| 8 + 4 * content.len()).sum::<usize>();
        let header_size = if self.is_64 { 32 } else { 28 };
        let text = header_size + commands_size + self.room;

        let mut bytes = Vec::new();
        let magic = if self.is_64 { 0xfeed_facf } else { 0xfeed_face };
        let count = (self.segments.len() + self.commands.len()) as u32;
        for value in [magic, self.cpu.0, self.cpu.1, self.file_type, count, commands_size as u32, 0x85] {
            bytes.extend(u32_of(value));
        }
        bytes.resize(header_size, 0);
        for (index, (name, address, memory, offset, size)) in self.segments.iter().enumerate() {
            let sections = usize::from(index == 0);
            bytes.extend(u32_of(if self.is_64 { 0x19 } else { 1 }));
            bytes.extend(u32_of((segment_size + sections * section_size) as u32));
            bytes.extend(fixed(name));
            [address, memory, offset, size].iter().for_each(|value| bytes.extend(word(**value)));
            [5, 5, sections as u32, 0].iter().for_each(|value| bytes.extend(u32_of(*value)));
            if sections == 1 {
                bytes.extend(fixed("__text"));
                bytes.extend(fixed(name));
                bytes.extend(word(address + text as u64));
                bytes.extend(word(0x40));
                bytes.extend(u32_of(text as u32));
                bytes.resize(bytes.len() + section_size - 16 * 2 - 4 - 2 * word(0).len(), 0);
            }
        }
        for (number, content) in &self.commands {
            bytes.extend(u32_of(*number));
            bytes.extend(u32_of(8 + 4 * content.len() as u32));
            content.iter().for_each(|value| bytes.extend(u32_of(*value)));
        }
        assert_eq!(bytes.len(), header_size + commands_size);
        let end = self.segments.iter().map(|segment| segment.3.saturating_add(segment.4)).max().unwrap_or(0);
        // What a segment claims beyond a megabyte is a lie of the test's.
        let end = if end > 1 << 20 { 0x1100 } else { end as usize };
        bytes.resize(end.max(text + 0x40), 0);
        // Something to hash.
        for (place, byte) in bytes[text..].iter_mut().enumerate() {
            *byte = place as u8;
        }
        bytes
    }
}

fn fixed(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// A fat file of images, each aligned to `2^alignment`.
pub(crate) fn fat(images: &[&[u8]], is_64: bool, alignment: u32) -> Vec<u8> {
    let mut table = Vec::new();
    table.extend(if is_64 { 0xcafe_babf_u32 } else { 0xcafe_babe }.to_be_bytes());
    table.extend((images.len() as u32).to_be_bytes());
    let header = 8 + images.len() * if is_64 { 32 } else { 20 };
    let mut content = vec![0; header];
    for image in images {
        content.resize(content.len().next_multiple_of(1 << alignment), 0);
        let cpu = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        table.extend(cpu(4).to_be_bytes());
        table.extend(cpu(8).to_be_bytes());
        for value in [content.len(), image.len()] {
            table.extend(&(value as u64).to_be_bytes()[if is_64 { 0 } else { 4 }..]);
        }
        table.extend(alignment.to_be_bytes());
        table.resize(table.len() + if is_64 { 4 } else { 0 }, 0);
        content.extend_from_slice(image);
    }
    content[..header].copy_from_slice(&table);
    content
}
