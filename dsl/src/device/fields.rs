//! Bit fields of the registers that a stream or a CDO writes, with the names of AMD AM025 (the AIE-ML register
//! reference), as `lib/Dialect/AIE/Util/aie_registers_aie2.json` of mlir-aie lists them; those of switches, cores and
//! the shim's multiplexer as `driver/src/global/xaiemlgbl_params.h` of Xilinx/aie-rt 1ad203de has them.

use super::TileKind;

/// How people read a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it stands.
    Number,
    /// A number of 32-bit words.
    Words,
    /// A step of 32-bit words or a number of runs, stored less one.
    LessOne,
    /// An index into the device's burst sizes.
    Burst,
}

/// Bits of one word of a register block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// AM025's name.
    pub name: &'static str,
    /// Which word of the block.
    pub word: usize,
    /// Lowest bit.
    pub bit: u32,
    /// Number of bits.
    pub bits: u32,
    /// How it is printed.
    pub shown: Shown,
}

const fn field(word: usize, bit: u32, bits: u32, name: &'static str) -> Field {
    Field { name, word, bit, bits, shown: Shown::Number }
}

impl Field {
    /// Largest value.
    pub(crate) const fn max(self) -> u32 {
        if self.bits >= 32 { u32::MAX } else { (1 << self.bits) - 1 }
    }

    /// Its value in a register block.
    pub(crate) fn get(self, words: &[u32]) -> Option<u32> {
        Some(words.get(self.word)? >> self.bit & self.max())
    }

    /// All its bits, in their place.
    pub(crate) const fn mask(self) -> u32 {
        self.max() << self.bit
    }

    /// Its value in one word.
    pub(crate) const fn of(self, word: u32) -> u32 {
        word >> self.bit & self.max()
    }

    /// A value in its place; bits that it does not have are dropped.
    pub(crate) const fn at(self, value: u32) -> u32 {
        (value & self.max()) << self.bit
    }

    const fn words(self) -> Field {
        Field { shown: Shown::Words, ..self }
    }

    const fn less_one(self) -> Field {
        Field { shown: Shown::LessOne, ..self }
    }
}

/// `Controller_ID` of a channel's control register. AM025 gives it 8 bits; the toolchain writes the 5
/// of a packet id (mlir-aie `AIEDmaToNpu.cpp`).
pub(crate) const CONTROLLER_ID: Field = field(0, 8, 5, "Controller_ID");
/// The BD that a write to a task queue starts; 6 bits on mem tiles, where no sequence of ours writes.
pub(crate) const QUEUE_BD: Field = field(0, 0, 4, "Start_BD_ID");
/// The same on mem tiles.
pub(crate) const QUEUE_BD_MEM: Field = field(0, 0, 6, "Start_BD_ID");
/// Its further runs.
pub(crate) const QUEUE_REPEATS: Field = field(0, 16, 8, "Repeat_Count").less_one();
/// Whether its end issues a token.
pub(crate) const QUEUE_TOKEN: Field = field(0, 31, 1, "Enable_Token_Issue");

/// Fields that shim BDs have and that a sequence sets.
pub(crate) mod shim_bd {
    use super::{Field, Shown, field};

    /// Words of the block.
    pub const WORDS: usize = 8;
    pub const BUFFER_LENGTH: Field = field(0, 0, 32, "Buffer_Length").words();
    pub const D0_WRAP: Field = field(3, 20, 10, "D0_Wrap");
    pub const D0_STEP: Field = field(3, 0, 20, "D0_Stepsize").less_one();
    pub const BURST_LENGTH: Field = Field { shown: Shown::Burst, ..field(4, 30, 2, "Burst_Length") };
    pub const D1_WRAP: Field = field(4, 20, 10, "D1_Wrap");
    pub const D1_STEP: Field = field(4, 0, 20, "D1_Stepsize").less_one();
    pub const AX_CACHE: Field = field(5, 24, 4, "AxCache");
    pub const D2_STEP: Field = field(5, 0, 20, "D2_Stepsize").less_one();
    pub const ITERATION_WRAP: Field = field(6, 20, 6, "Iteration_Wrap").less_one();
    pub const ITERATION_STEP: Field = field(6, 0, 20, "Iteration_Stepsize").less_one();
    pub const VALID: Field = field(7, 25, 1, "Valid_BD");
}

/// A shim BD, in the order of reading.
const SHIM_BD: &[Field] = &[
    shim_bd::BUFFER_LENGTH,
    field(1, 2, 30, "Base_Address_Low").words(),
    field(2, 0, 16, "Base_Address_High"),
    field(2, 30, 1, "Enable_Packet"),
    field(2, 24, 6, "Out_Of_Order_BD_ID"),
    field(2, 19, 5, "Packet_ID"),
    field(2, 16, 3, "Packet_Type"),
    field(3, 30, 1, "Secure_Access"),
    shim_bd::D0_WRAP,
    shim_bd::D0_STEP,
    shim_bd::D1_WRAP,
    shim_bd::D1_STEP,
    shim_bd::D2_STEP,
    shim_bd::ITERATION_WRAP,
    shim_bd::ITERATION_STEP,
    field(6, 26, 6, "Iteration_Current"),
    shim_bd::BURST_LENGTH,
    field(5, 28, 4, "SMID"),
    shim_bd::AX_CACHE,
    field(5, 20, 4, "AxQoS"),
    field(7, 31, 1, "TLAST_Suppress"),
    field(7, 26, 1, "Use_Next_BD"),
    field(7, 27, 4, "Next_BD"),
    shim_bd::VALID,
    field(7, 18, 7, "Lock_Rel_Value"),
    field(7, 13, 4, "Lock_Rel_ID"),
    field(7, 12, 1, "Lock_Acq_Enable"),
    field(7, 5, 7, "Lock_Acq_Value"),
    field(7, 0, 4, "Lock_Acq_ID"),
];

const MEM_BD: &[Field] = &[
    field(0, 0, 17, "Buffer_Length").words(),
    field(1, 0, 19, "Base_Address").words(),
    field(0, 31, 1, "Enable_Packet"),
    field(0, 28, 3, "Packet_Type"),
    field(0, 23, 5, "Packet_ID"),
    field(0, 17, 6, "Out_Of_Order_BD_ID"),
    field(2, 17, 10, "D0_Wrap"),
    field(2, 0, 17, "D0_Stepsize").less_one(),
    field(3, 17, 10, "D1_Wrap"),
    field(3, 0, 17, "D1_Stepsize").less_one(),
    field(4, 17, 10, "D2_Wrap"),
    field(4, 0, 17, "D2_Stepsize").less_one(),
    field(5, 0, 17, "D3_Stepsize").less_one(),
    field(6, 17, 6, "Iteration_Wrap").less_one(),
    field(6, 0, 17, "Iteration_Stepsize").less_one(),
    field(6, 23, 6, "Iteration_Current"),
    field(1, 26, 6, "D0_Zero_Before"),
    field(3, 27, 5, "D1_Zero_Before"),
    field(4, 27, 4, "D2_Zero_Before"),
    field(5, 17, 6, "D0_Zero_After"),
    field(5, 23, 5, "D1_Zero_After"),
    field(5, 28, 4, "D2_Zero_After"),
    field(4, 31, 1, "Enable_Compression"),
    field(2, 31, 1, "TLAST_Suppress"),
    field(1, 19, 1, "Use_Next_BD"),
    field(1, 20, 6, "Next_BD"),
    field(7, 31, 1, "Valid_BD"),
    field(7, 24, 7, "Lock_Rel_Value"),
    field(7, 16, 8, "Lock_Rel_ID"),
    field(7, 15, 1, "Lock_Acq_Enable"),
    field(7, 8, 7, "Lock_Acq_Value"),
    field(7, 0, 8, "Lock_Acq_ID"),
];

const CORE_BD: &[Field] = &[
    field(0, 0, 14, "Buffer_Length").words(),
    field(0, 14, 14, "Base_Address").words(),
    field(1, 31, 1, "Enable_Compression"),
    field(1, 30, 1, "Enable_Packet"),
    field(1, 24, 6, "Out_Of_Order_BD_ID"),
    field(1, 19, 5, "Packet_ID"),
    field(1, 16, 3, "Packet_Type"),
    field(3, 13, 8, "D0_Wrap"),
    field(2, 0, 13, "D0_Stepsize").less_one(),
    field(3, 21, 8, "D1_Wrap"),
    field(2, 13, 13, "D1_Stepsize").less_one(),
    field(3, 0, 13, "D2_Stepsize").less_one(),
    field(4, 13, 6, "Iteration_Wrap").less_one(),
    field(4, 0, 13, "Iteration_Stepsize").less_one(),
    field(4, 19, 6, "Iteration_Current"),
    field(5, 31, 1, "TLAST_Suppress"),
    field(5, 26, 1, "Use_Next_BD"),
    field(5, 27, 4, "Next_BD"),
    field(5, 25, 1, "Valid_BD"),
    field(5, 18, 7, "Lock_Rel_Value"),
    field(5, 13, 4, "Lock_Rel_ID"),
    field(5, 12, 1, "Lock_Acq_Enable"),
    field(5, 5, 7, "Lock_Acq_Value"),
    field(5, 0, 4, "Lock_Acq_ID"),
];

/// Resets a DMA channel while it is set.
pub(crate) const CHANNEL_RESET: Field = field(0, 1, 1, "Reset");
/// Lets a core run.
pub(crate) const CORE_ENABLE: Field = field(0, 0, 1, "Enable");
/// Resets a core while it is set.
pub(crate) const CORE_RESET: Field = field(0, 1, 1, "Reset");
/// Where a core's cascade comes from: 0 north, 1 west (aie-rt `XAie_CoreConfigAccumulatorControl`).
pub(crate) const CASCADE_INPUT: Field = field(0, 0, 1, "Input");
/// Where a core's cascade goes: 0 south, 1 east.
pub(crate) const CASCADE_OUTPUT: Field = field(0, 1, 1, "Output");

/// Configuration of the ports of a stream switch.
pub(crate) mod switch {
    use super::{Field, field};

    /// The master or slave works.
    pub(crate) const ENABLE: Field = field(0, 31, 1, "Enable");
    /// It takes packets, and is not one end of a circuit.
    pub(crate) const PACKET: Field = field(0, 30, 1, "Packet_Enable");
    /// Of a master of a circuit: the slave that drives it.
    pub(crate) const SLAVE: Field = field(0, 0, 7, "Configuration");
    /// Of a master of packets: its arbiter.
    pub(crate) const ARBITER: Field = field(0, 0, 3, "Configuration");
    /// Of a master of packets: the selections of the arbiter that it takes, a bit each.
    pub(crate) const SELECTIONS: Field = field(0, 3, 4, "Configuration");
    /// Of a slave's slot: the packet id that it takes.
    pub(crate) const SLOT_ID: Field = field(0, 24, 5, "ID");
    /// Which bits of the id count.
    pub(crate) const SLOT_MASK: Field = field(0, 16, 5, "Mask");
    /// The slot works.
    pub(crate) const SLOT_ENABLE: Field = field(0, 8, 1, "Enable");
    /// The selection of the arbiter.
    pub(crate) const SLOT_SELECTION: Field = field(0, 4, 2, "Msel");
    /// The arbiter that gets its packets.
    pub(crate) const SLOT_ARBITER: Field = field(0, 0, 3, "Arbit");
}

/// What the shim's multiplexer joins a south port of the switch to: the fabric, its DMA, or the network on chip.
pub(crate) const SHIM_DMA: u32 = 1;

/// The field of the shim's multiplexer for a south input of the switch.
pub(crate) const SHIM_MUX: [(u32, Field); 4] = [
    (2, field(0, 8, 2, "South2")),
    (3, field(0, 10, 2, "South3")),
    (6, field(0, 12, 2, "South6")),
    (7, field(0, 14, 2, "South7")),
];

/// The field of the shim's demultiplexer for a south output of the switch.
pub(crate) const SHIM_DEMUX: [(u32, Field); 4] = [
    (2, field(0, 4, 2, "South2")),
    (3, field(0, 6, 2, "South3")),
    (4, field(0, 8, 2, "South4")),
    (5, field(0, 10, 2, "South5")),
];

/// A field of a BD of a kind of tile by its name; `None` where that kind has none.
pub(crate) fn bd_field(kind: TileKind, name: &str) -> Option<Field> {
    bd_fields(kind).iter().copied().find(|f| f.name == name)
}

/// The fields of a BD of a kind of tile.
pub(crate) const fn bd_fields(kind: TileKind) -> &'static [Field] {
    match kind {
        TileKind::Shim => SHIM_BD,
        TileKind::Mem => MEM_BD,
        TileKind::Core => CORE_BD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    /// Two fields on one bit, or a field past its word, would print and encode nonsense.
    #[test]
    fn fields_do_not_overlap() {
        for kind in [TileKind::Shim, TileKind::Mem, TileKind::Core] {
            let mut used = [0u64; 8];
            for f in bd_fields(kind) {
                let bits = u64::from(f.max()) << f.bit;
                assert!(bits <= u64::from(u32::MAX), "{kind:?} {} leaves its word", f.name);
                assert_eq!(used[f.word] & bits, 0, "{kind:?} {} overlaps", f.name);
                used[f.word] |= bits;
            }
            let words = Device::npu1().tile_registers(kind).bd_words() as usize;
            assert!(bd_fields(kind).iter().all(|f| f.word < words), "{kind:?}");
            assert!(kind != TileKind::Shim || words == shim_bd::WORDS);
        }
    }
}
