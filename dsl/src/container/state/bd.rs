//! A buffer descriptor read from its words.

use crate::device::fields::bd_field;
use crate::device::{Device, TileKind};

/// A dimension of a BD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BdDim {
    /// Steps, in words for the innermost; 0 ends with the transfer.
    pub wrap: u32,
    /// Distance of two steps in words.
    pub step: u32,
}

/// What a BD does to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BdLock {
    /// Number of the lock as the BD says it; on a mem tile the tile's own begin at the device's `dma_first_lock`.
    pub id: u32,
    /// Acquire: a negative value waits for at least as much and takes it. Release: added.
    pub value: i32,
}

/// A BD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BdState {
    /// Whether it can run.
    pub valid: bool,
    /// Bytes moved.
    pub len_bytes: u64,
    /// First byte, as the DMA counts; on a mem tile the tile's own memory begins at `dma_memory_address`.
    pub address: u64,
    /// Order of access, innermost first; empty is linear.
    pub dims: Vec<BdDim>,
    /// Runs with an address of their own and the distance of two in words; 1 run has none.
    pub iteration: (u32, u32),
    /// Taken before the transfer.
    pub acquire: Option<BdLock>,
    /// Given after it.
    pub release: Option<BdLock>,
    /// The BD that follows.
    pub next: Option<u32>,
    /// Type and id of the packets that it sends.
    pub packet: Option<(u32, u32)>,
}

impl BdState {
    pub(super) fn new(device: &Device, kind: TileKind, words: &[u32]) -> BdState {
        let get = |name: &str| bd_field(kind, name).and_then(|f| f.get(words));
        let or_zero = |name: &str| get(name).unwrap_or(0);
        let signed = |name: &str| {
            let bits = bd_field(kind, name).map_or(1, |f| f.max());
            let value = or_zero(name);
            if value > bits >> 1 { value as i32 - bits as i32 - 1 } else { value as i32 }
        };
        let granule = u64::from(device.dma.granule_bytes());
        let low = get("Base_Address").or(get("Base_Address_Low")).unwrap_or(0);
        let address = u64::from(low) * granule + (u64::from(or_zero("Base_Address_High")) << 32);
        let mut dims: Vec<BdDim> = ["D0", "D1", "D2", "D3"]
            .into_iter()
            .filter_map(|d| {
                let step = get(&format!("{d}_Stepsize"))? + 1;
                Some(BdDim { wrap: or_zero(&format!("{d}_Wrap")), step })
            })
            .collect();
        let used = |d: &BdDim| d.wrap != 0 || d.step != 1;
        let last = dims.iter().rposition(used).map_or(0, |n| n + 1);
        // The dimension after the last wrap goes on where that one ends.
        let open = dims.get(last.wrapping_sub(1)).is_some_and(|d| d.wrap != 0);
        dims.truncate(if open { last + 1 } else { last });
        let acquires = or_zero("Lock_Acq_Enable") == 1;
        let release = signed("Lock_Rel_Value");
        BdState {
            valid: or_zero("Valid_BD") == 1,
            len_bytes: u64::from(or_zero("Buffer_Length")) * granule,
            address,
            dims,
            iteration: (or_zero("Iteration_Wrap") + 1, or_zero("Iteration_Stepsize") + 1),
            acquire: acquires.then(|| BdLock { id: or_zero("Lock_Acq_ID"), value: signed("Lock_Acq_Value") }),
            release: (release != 0).then(|| BdLock { id: or_zero("Lock_Rel_ID"), value: release }),
            next: (or_zero("Use_Next_BD") == 1).then(|| or_zero("Next_BD")),
            packet: (or_zero("Enable_Packet") == 1).then(|| (or_zero("Packet_Type"), or_zero("Packet_ID"))),
        }
    }

    /// The words that it moves, in order, from its first byte: offsets in words.
    pub fn order(&self) -> impl Iterator<Item = u64> {
        let count = self.len_bytes / 4;
        let dims = self.dims.clone();
        (0..count).map(move |n| {
            let mut rest = n;
            let mut at = 0;
            for (i, d) in dims.iter().enumerate() {
                let wraps = d.wrap != 0 && i + 1 < dims.len();
                let index = if wraps { rest % u64::from(d.wrap) } else { rest };
                rest = if wraps { rest / u64::from(d.wrap) } else { 0 };
                at += index * u64::from(d.step);
            }
            if dims.is_empty() { n } else { at }
        })
    }
}
