//! The section AIE_PARTITION: columns, and PDIs with the kernels that they serve.
//!
//! Layout: `struct aie_partition`, `aie_pdi`, `cdo_group` of XRT 963c58ee. The order of what the structures point to
//! is that of `xclbinutil`, as Riallto's files have it.

use super::uuid_of;
use crate::container::bytes::{Bytes, pad, shown};
use thiserror::Error;

/// Bytes of the section's header.
const HEADER_BYTES: usize = 184;
/// Bytes of a PDI's entry, and of a CDO group.
const ENTRY_BYTES: u64 = 96;
/// Operations a cycle, and the fingerprints of inference and of pre- and post-processing, that mlir-aie and Riallto
/// write.
const OPERATIONS: u32 = 2048;
const FINGERPRINTS: [u64; 2] = [23423, 12345];

/// Places of what the header says, in bytes.
mod at {
    pub const NAME: usize = 4;
    pub const OPERATIONS: usize = 8;
    pub const INFERENCE: usize = 16;
    pub const PRE_POST: usize = 24;
    pub const WIDTH: usize = 32;
    pub const COLUMNS: usize = 40;
    pub const PDIS: usize = 120;
}

/// Kernels that a PDI serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdoGroup {
    /// Its name.
    pub name: String,
    /// `CDO_Type`; 1 is primary.
    pub kind: u8,
    /// Number of the PDI.
    pub pdi_id: u64,
    /// Ids of the kernels, as IP_LAYOUT has them.
    pub kernel_ids: Vec<u64>,
    /// Groups that go before it.
    pub pre_groups: Vec<u32>,
}

/// A PDI of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPdi {
    /// Its UUID.
    pub uuid: [u8; 16],
    /// The PDI.
    pub image: Vec<u8>,
    /// Whom it serves.
    pub groups: Vec<CdoGroup>,
}

/// The whole section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Peak operations a cycle.
    pub operations_per_cycle: u32,
    /// Fingerprints of inference, and of pre- and post-processing.
    pub fingerprints: [u64; 2],
    /// Columns it takes.
    pub column_width: u16,
    /// Columns it may begin at, as the driver numbers them.
    pub start_columns: Vec<u16>,
    /// Its PDIs.
    pub pdis: Vec<PartitionPdi>,
}

/// Why a section is no partition. Offsets are in bytes of the section.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// A part lies outside.
    #[error(
        "AIE_PARTITION: {what} at {at:#x}, {bytes} B, lies outside the section's {size} B\n  help: the file is damaged"
    )]
    Outside {
        /// Which part.
        what: &'static str,
        /// Where.
        at: u64,
        /// Its size.
        bytes: u64,
        /// Size of the section.
        size: usize,
    },
    /// Parts that together have more bytes than the section.
    #[error(
        "AIE_PARTITION: its parts overlap: together they have more than the section's {size} B\n  help: the file is damaged"
    )]
    Overlap {
        /// Size of the section.
        size: usize,
    },
}

/// Reads parts of a section, all of them together no more than it has.
struct Parts<'a> {
    bytes: Bytes<'a>,
    left: u64,
}

impl<'a> Parts<'a> {
    fn take(&mut self, what: &'static str, at: u64, bytes: u64) -> Result<&'a [u8], PartitionError> {
        let size = self.bytes.0.len();
        let part = self.bytes.slice(at, bytes).ok_or(PartitionError::Outside { what, at, bytes, size })?;
        self.left = self.left.checked_sub(bytes).ok_or(PartitionError::Overlap { size })?;
        Ok(part)
    }

    /// The array that `size, offset` at a place of `head` tells of, with elements of `step` bytes.
    fn array(
        &mut self,
        what: &'static str,
        head: &[u8],
        at: usize,
        step: u64,
    ) -> Result<&'a [u8], PartitionError> {
        let pair = |at| Bytes(head).u32(at as u64).unwrap_or(0);
        let (count, offset) = (pair(at), pair(at + 4));
        self.take(what, offset.into(), u64::from(count) * step)
    }

    fn text(&mut self, what: &'static str, head: &[u8], at: usize) -> Result<String, PartitionError> {
        let offset = u64::from(Bytes(head).u32(at as u64).unwrap_or(0));
        let outside = PartitionError::Outside { what, at: offset, bytes: 1, size: self.bytes.0.len() };
        let text = self.bytes.text(offset, usize::MAX).ok_or(outside)?;
        self.take(what, offset, text.len() as u64).map(shown)
    }
}

impl Partition {
    /// The partition of one PDI that serves one kernel, on any place of `start_columns`.
    pub fn new(column_width: u16, start_columns: Vec<u16>, image: Vec<u8>, kernel_id: u64) -> Partition {
        let uuid = uuid_of([("pdi", image.as_slice())]);
        let group = CdoGroup {
            name: "DPU".to_owned(),
            kind: 1,
            pdi_id: 1,
            kernel_ids: vec![kernel_id],
            pre_groups: vec![0xC1],
        };
        Partition {
            name: "QoS".to_owned(),
            operations_per_cycle: OPERATIONS,
            fingerprints: FINGERPRINTS,
            column_width,
            start_columns,
            pdis: vec![PartitionPdi { uuid, image, groups: vec![group] }],
        }
    }

    /// Reads a section.
    ///
    /// # Errors
    /// See [`PartitionError`].
    pub fn read(section: &[u8]) -> Result<Partition, PartitionError> {
        let mut parts = Parts { bytes: Bytes(section), left: section.len() as u64 };
        let head = parts.take("its header", 0, HEADER_BYTES as u64)?;
        let h = Bytes(head);
        let halves =
            |bytes: &[u8]| -> Vec<u16> { bytes.chunks_exact(2).filter_map(|c| Bytes(c).u16(0)).collect() };
        let mut pdis = Vec::new();
        for entry in parts.array("its PDIs", head, at::PDIS, ENTRY_BYTES)?.chunks_exact(ENTRY_BYTES as usize)
        {
            let image = parts.array("a PDI's image", entry, 16, 1)?.to_vec();
            let groups = parts.array("a PDI's CDO groups", entry, 24, ENTRY_BYTES)?;
            let groups = groups.chunks_exact(ENTRY_BYTES as usize);
            let groups = groups.map(|g| group(&mut parts, g)).collect::<Result<_, _>>()?;
            let uuid = entry.first_chunk().copied().unwrap_or_default();
            pdis.push(PartitionPdi { uuid, image, groups });
        }
        let u64_at = |at: usize| h.u64(at as u64).unwrap_or(0);
        Ok(Partition {
            name: parts.text("its name", head, at::NAME)?,
            operations_per_cycle: h.u32(at::OPERATIONS as u64).unwrap_or(0),
            fingerprints: [u64_at(at::INFERENCE), u64_at(at::PRE_POST)],
            column_width: h.u16(at::WIDTH as u64).unwrap_or(0),
            start_columns: halves(parts.array("its start columns", head, at::COLUMNS, 2)?),
            pdis,
        })
    }

    /// The section.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        let put =
            |out: &mut Vec<u8>, at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        let array =
            |count: usize, at: usize| [(count as u32).to_le_bytes(), (at as u32).to_le_bytes()].concat();
        put(&mut out, at::OPERATIONS, &self.operations_per_cycle.to_le_bytes());
        put(&mut out, at::INFERENCE, &self.fingerprints[0].to_le_bytes());
        put(&mut out, at::PRE_POST, &self.fingerprints[1].to_le_bytes());
        put(&mut out, at::WIDTH, &self.column_width.to_le_bytes());
        let name = append(&mut out, &[self.name.as_bytes(), &[0]].concat());
        put(&mut out, at::NAME, &(name as u32).to_le_bytes());
        let columns: Vec<u8> = self.start_columns.iter().flat_map(|c| c.to_le_bytes()).collect();
        let columns = append(&mut out, &columns);
        put(&mut out, at::COLUMNS, &array(self.start_columns.len(), columns));
        let mut entries = Vec::new();
        for pdi in &self.pdis {
            let image = append(&mut out, &pdi.image);
            let groups: Vec<u8> = pdi.groups.iter().flat_map(|g| group_bytes(&mut out, g)).collect();
            let groups = append(&mut out, &groups);
            let mut entry = vec![0; ENTRY_BYTES as usize];
            put(&mut entry, 0, &pdi.uuid);
            put(&mut entry, 16, &array(pdi.image.len(), image));
            put(&mut entry, 24, &array(pdi.groups.len(), groups));
            entries.extend(entry);
        }
        let pdis = append(&mut out, &entries);
        put(&mut out, at::PDIS, &array(self.pdis.len(), pdis));
        out
    }
}

/// Appends bytes at a multiple of 8, and zeros after them to the next one; where they begin.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    pad(out, 8);
    let at = out.len();
    out.extend(bytes);
    pad(out, 8);
    at
}

fn group(parts: &mut Parts<'_>, entry: &[u8]) -> Result<CdoGroup, PartitionError> {
    let ids = parts.array("a group's kernel ids", entry, 16, 8)?;
    let pre = parts.array("a group's earlier groups", entry, 24, 4)?;
    Ok(CdoGroup {
        name: parts.text("a group's name", entry, 0)?,
        kind: Bytes(entry).u8(4).unwrap_or(0),
        pdi_id: Bytes(entry).u64(8).unwrap_or(0),
        kernel_ids: ids.chunks_exact(8).filter_map(|c| Bytes(c).u64(0)).collect(),
        pre_groups: Bytes(pre).words(),
    })
}

fn group_bytes(out: &mut Vec<u8>, group: &CdoGroup) -> Vec<u8> {
    let name = append(out, &[group.name.as_bytes(), &[0]].concat());
    let ids: Vec<u8> = group.kernel_ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let ids = append(out, &ids);
    let pre: Vec<u8> = group.pre_groups.iter().flat_map(|id| id.to_le_bytes()).collect();
    let pre = append(out, &pre);
    let mut entry = vec![0; ENTRY_BYTES as usize];
    let words = [group.kernel_ids.len(), ids, group.pre_groups.len(), pre];
    entry[..4].copy_from_slice(&(name as u32).to_le_bytes());
    entry[4] = group.kind;
    entry[8..16].copy_from_slice(&group.pdi_id.to_le_bytes());
    for (place, word) in entry[16..32].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&(word as u32).to_le_bytes());
    }
    entry
}
