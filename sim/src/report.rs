//! What a simulation found out besides the bytes: times, use, traffic.

use crate::array::Cycles;
use crate::trace::Trace;
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::Channel;

/// One core's use of its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreReport {
    /// Which.
    pub tile: Tile,
    /// Cycles in kernels.
    pub busy_cycles: Cycles,
    /// Cycles waiting for locks; a wait that lasts to the end of the run counts up to it.
    pub lock_stall_cycles: Cycles,
    /// Cycles waiting for values of the cascade, counted as those for locks.
    pub cascade_stall_cycles: Cycles,
    /// Cycles of acquires and releases beyond waiting.
    pub lock_op_cycles: Cycles,
    /// Kernel calls.
    pub calls: u64,
    /// Multiply-accumulates of its kernels.
    pub macs: u64,
}

/// One kernel over all cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelReport {
    /// Its name.
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Cycles of all calls.
    pub cycles: Cycles,
    /// Multiply-accumulates of all calls.
    pub macs: u64,
}

/// One DMA channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelReport {
    /// Where.
    pub tile: Tile,
    /// Which.
    pub channel: Channel,
    /// Name of the FIFO it carries.
    pub fifo: String,
    /// 32-bit words moved.
    pub words: u64,
    /// BDs, or runs of shim tasks, completed.
    pub transfers: u64,
    /// Cycles its BDs waited for locks before they were granted.
    pub lock_stall_cycles: Cycles,
}

/// The result of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimReport {
    /// From the first command of the sequence to the end of its last.
    pub cycles: Cycles,
    /// Part of that in which the controller worked on commands; the rest it waited for tokens.
    pub controller_cycles: Cycles,
    /// Cores, in the order of `Lowered::cores`.
    pub cores: Vec<CoreReport>,
    /// Kernels, in the order of `Design::kernels`.
    pub kernels: Vec<KernelReport>,
    /// DMA channels, by tile in the order of `Lowered::tiles`, then as the tile lists them.
    pub channels: Vec<ChannelReport>,
    /// Bytes the array read from host memory.
    pub ddr_read_bytes: u64,
    /// Bytes the array wrote to host memory.
    pub ddr_write_bytes: u64,
    /// Buffers and stack of the fullest compute tile.
    pub l1_peak_bytes: u64,
    /// Buffers of the fullest mem tile.
    pub l2_peak_bytes: u64,
    /// Events simulated: what the run cost the simulator, not the hardware.
    pub sim_events: u64,
    /// What happened when, if asked for.
    pub trace: Trace,
}

impl SimReport {
    /// Bytes between the array and host memory, both ways.
    pub fn ddr_bytes(&self) -> u64 {
        self.ddr_read_bytes + self.ddr_write_bytes
    }

    /// Multiply-accumulates of all cores.
    pub fn macs(&self) -> u64 {
        self.cores.iter().map(|c| c.macs).sum()
    }
}
