//! Symbols: what an image exports, and what it imports from whom.

use object::LittleEndian as Little;
use object::macho::{self, BindDylib, DyldInfoCommand};
use object::read::macho::{Bind, ExportData};

use super::{Image, Provider, images, map};
use crate::ending::unknown;
use crate::{start, system};

impl Image {
    /// Binds every import now, but for functions if that waits for their first call; then nothing is written any more.
    pub(super) fn bind(&self) -> Result<(), String> {
        map::rebase(&self.file, self.slide)?;
        let (info, bytes) = (self.file.info, self.file.bytes.as_slice());
        let eager = info.binds(Little, bytes, 8).map_err(|error| error.to_string())?;
        for bind in eager {
            self.bind_one(&bind.map_err(|error| error.to_string())?)?;
        }
        if !start::options().lazy {
            let functions = info.lazy_binds(Little, bytes, 8).map_err(|error| error.to_string())?;
            for bind in functions {
                self.bind_one(&bind.map_err(|error| error.to_string())?)?;
            }
        }
        map::protect(&self.file, self.slide);
        Ok(())
    }

    /// Binds the function whose description stands at `offset` among the lazy ones.
    pub(super) fn bind_lazily(&self, offset: u32) -> Result<u64, String> {
        let mut info: DyldInfoCommand<Little> = self.file.info;
        let size = info.lazy_bind_size.get(Little).checked_sub(offset).ok_or("lazy bind offset beyond the end")?;
        info.lazy_bind_off.set(Little, info.lazy_bind_off.get(Little) + offset);
        info.lazy_bind_size.set(Little, size);
        let mut binds = info.lazy_binds(Little, self.file.bytes.as_slice(), 8).map_err(|error| error.to_string())?;
        let bind = binds.next().map_err(|error| error.to_string())?.ok_or("no lazy bind at this offset")?;
        self.bind_one(&bind)
    }

    fn bind_one(&self, bind: &Bind<'_>) -> Result<u64, String> {
        if bind.kind != macho::BIND_TYPE_POINTER || bind.flags.0 != 0 {
            unknown(format_args!("bind of type {} with flags {}", bind.kind.0, bind.flags.0));
        }
        let pointer = map::place(&self.file, self.slide, bind.segment_index, bind.segment_offset)?;
        let target = self.resolve(bind.dylib, bind.symbol)?.wrapping_add_signed(bind.addend);
        // SAFETY: within a mapped segment, writable until all is bound, and its lazy pointers for ever.
        unsafe { pointer.write_unaligned(target) };
        Ok(target)
    }

    fn resolve(&self, dylib: BindDylib, symbol: &[u8]) -> Result<u64, String> {
        let name = String::from_utf8_lossy(symbol).into_owned();
        let (found, place) = match dylib {
            macho::BIND_SPECIAL_DYLIB_SELF => (self.export(symbol)?, "this image".to_owned()),
            macho::BIND_SPECIAL_DYLIB_FLAT_LOOKUP => {
                let found = images().into_iter().find_map(|image| image.export(symbol).ok().flatten());
                let found = found.or_else(|| system::symbol(symbol));
                return found.ok_or_else(|| format!("symbol not found in flat namespace '{name}'"));
            }
            BindDylib(ordinal @ 1..) => {
                match (self.needed().get(ordinal as usize - 1), self.file.dylibs.get(ordinal as usize - 1)) {
                    (Some(Provider::System), Some(from)) => (system::symbol(symbol), from.clone()),
                    (Some(Provider::Image(image)), Some(from)) => (image.export(symbol)?, from.clone()),
                    _ => {
                        return Err(format!(
                            "bind ordinal {ordinal} of {name} is beyond the libraries it was linked with"
                        ));
                    }
                }
            }
            BindDylib(other) => unknown(format_args!("bind to special library {other}")),
        };
        found.ok_or_else(|| {
            let path = self.path.to_string_lossy();
            format!("Symbol not found: {name}\n  Referenced from: {path}\n  Expected in: {place}")
        })
    }

    /// The address of a symbol that this image exports.
    fn export(&self, symbol: &[u8]) -> Result<Option<u64>, String> {
        let info = self.file.info;
        let exports = info.exports_trie(Little, self.file.bytes.as_slice()).map_err(|error| error.to_string())?;
        for export in exports {
            let export = export.map_err(|error| error.to_string())?;
            if export.name() != symbol {
                continue;
            }
            return match export.data() {
                ExportData::Regular { address } if export.flags().0 == 0 => {
                    Ok(Some(self.file.segments[0].address + self.slide + address))
                }
                other => unknown(format_args!("export {other:?} with flags {:#x}", export.flags().0)),
            };
        }
        Ok(None)
    }
}
