//! The words of a buffer descriptor.

use super::{ConfigureError, Configurer};
use crate::array::Tile;
use crate::array::lowered::{Bd, ChannelProgram, LoweredTile};
use crate::device::TileKind;
use crate::device::fields::{Field, bd_field};

/// Fields of wrap and step, innermost dimension first.
const DIMENSIONS: [(&str, &str); 4] = [
    ("D0_Wrap", "D0_Stepsize"),
    ("D1_Wrap", "D1_Stepsize"),
    ("D2_Wrap", "D2_Stepsize"),
    ("D3_Wrap", "D3_Stepsize"),
];

impl Configurer<'_> {
    /// The words of a BD of a core's or mem tile's channel.
    pub(super) fn bd(
        &self,
        tile: Tile,
        content: &LoweredTile,
        program: &ChannelProgram,
        bd: &Bd,
    ) -> Result<Vec<u32>, ConfigureError> {
        let kind = self.kind(tile);
        let regs = self.device.tile_registers(kind);
        let granule = u64::from(self.device.dma.granule_bytes());
        let mut words =
            Words { of: self, tile, kind, bd: bd.bd_id, words: vec![0; regs.bd_words() as usize] };
        let start = content.buffers.get(bd.buffer).map_or(0, |b| b.address);
        let address = u64::from(regs.dma_memory_address()) + u64::from(start) + u64::from(bd.offset_bytes);
        words.put("Buffer_Length", u64::from(bd.len_bytes) / granule)?;
        words.put("Base_Address", address / granule)?;
        let element = u64::from(bd.element_bytes);
        let in_words = |elements: u32| u64::from(elements) * element / granule;
        for (n, dim) in bd.dims.iter().rev().enumerate() {
            let Some((wrap, step)) = DIMENSIONS.get(n) else {
                return Err(words.too_large(
                    "the number of dimensions",
                    n as u64 + 1,
                    DIMENSIONS.len() as u64,
                ));
            };
            let innermost = n == 0;
            // The outermost dimension ends with the transfer, and 0 is no wrap.
            if n + 1 < bd.dims.len() {
                words.put(wrap, if innermost { in_words(dim.size) } else { dim.size.into() })?;
            }
            // Elements of less than a word follow each other; a step is stored less one.
            let distance = if innermost && element < granule { 1 } else { in_words(dim.stride) };
            words.put(step, distance.saturating_sub(1))?;
        }
        for (lock, names, sign) in [
            (bd.acquire, ["Lock_Acq_ID", "Lock_Acq_Value"], -1),
            (bd.release, ["Lock_Rel_ID", "Lock_Rel_Value"], 1),
        ] {
            let id = content.locks.get(lock.lock).map_or(0, |l| l.id);
            words.put(names[0], u64::from(regs.dma_first_lock()) + u64::from(id))?;
            // Acquiring a negative value waits for at least as much and takes it.
            words.put_signed(names[1], sign * i64::from(lock.count))?;
        }
        words.put("Lock_Acq_Enable", 1)?;
        if let Some(next) = bd.next.and_then(|next| program.bds.get(next)) {
            words.put("Use_Next_BD", 1)?;
            words.put("Next_BD", next.bd_id.into())?;
        }
        words.put("Valid_BD", 1)?;
        Ok(words.words)
    }
}

struct Words<'a> {
    of: &'a Configurer<'a>,
    tile: Tile,
    kind: TileKind,
    bd: u8,
    words: Vec<u32>,
}

impl Words<'_> {
    fn too_large(&self, field: &'static str, got: u64, max: u64) -> ConfigureError {
        ConfigureError::Field { design: self.of.name(), tile: self.tile, bd: self.bd, field, got, max }
    }

    fn field(&self, name: &'static str, got: u64) -> Result<Field, ConfigureError> {
        bd_field(self.kind, name).ok_or_else(|| self.too_large(name, got, 0))
    }

    fn put(&mut self, name: &'static str, value: u64) -> Result<(), ConfigureError> {
        if value == 0 && bd_field(self.kind, name).is_none() {
            return Ok(());
        }
        let field = self.field(name, value)?;
        match u32::try_from(value) {
            Ok(bits) if bits <= field.max() => self.words[field.word] |= field.at(bits),
            _ => return Err(self.too_large(field.name, value, field.max().into())),
        }
        Ok(())
    }

    /// A value in two's complement.
    fn put_signed(&mut self, name: &'static str, value: i64) -> Result<(), ConfigureError> {
        let field = self.field(name, value.unsigned_abs())?;
        let most = i64::from(field.max() >> 1);
        if !(-most - 1..=most).contains(&value) {
            return Err(self.too_large(field.name, value.unsigned_abs(), most as u64));
        }
        self.words[field.word] |= field.at(value as u32);
        Ok(())
    }
}
