//! What a simulation found out besides the bytes: times, use, traffic.

use crate::array::Cycles;
use crate::trace::Trace;
use kiln_dsl::array::Tile;
use kiln_dsl::array::lowered::Channel;
use std::fmt;

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

/// Whether accesses to memory were checked for hazards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// They were not.
    No,
    /// All of them.
    Fully,
    /// Only until memories had more different histories than are kept.
    Partly,
}

/// The result of a simulation.
#[derive(Clone, Debug, PartialEq)]
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
    /// What cores wait for longest, and what is behind it; longest waits first.
    pub bottlenecks: Vec<Bottleneck>,
    /// Whether accesses to memory were checked; none was wrong.
    pub checked: Checked,
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

/// What a core waits for, and what is behind that.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// The core that waits longest for this cause.
    pub core: Tile,
    /// Cores whose longest wait has this cause.
    pub cores: u32,
    /// Part of the run that `core` has waited for it.
    pub wait_share: f64,
    /// What it waits for.
    pub waits_for: String,
    /// Who waits for whom, from the one the core waits for to the cause.
    pub chain: Vec<String>,
    /// What the cause does.
    pub limit: Limit,
}

/// What the cause of a wait does with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A core computes.
    Core {
        /// Which.
        tile: Tile,
        /// Part of the run that it does.
        share: f64,
    },
    /// A DMA channel moves words.
    Channel {
        /// Where.
        tile: Tile,
        /// Which.
        channel: Channel,
        /// Whether it sends.
        delivers: bool,
        /// While it moves.
        bytes_per_cycle: f64,
        /// What its stream port can do.
        port_bytes_per_cycle: f64,
        /// Part of the time it moves for which host memory held it up.
        host_memory_share: f64,
        /// Part of the run that it moves words.
        share: f64,
    },
    /// The controller works on commands.
    Controller {
        /// Part of the run that it does.
        share: f64,
    },
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.wait_share;
        write!(
            f,
            "core {} waits {percent:.0} % of the time for {}: {}",
            self.core, self.waits_for, self.limit
        )?;
        if self.chain.len() > 1 {
            write!(f, " (by way of {})", self.chain[..self.chain.len() - 1].join(", "))?;
        }
        match self.cores {
            0 | 1 => Ok(()),
            2 => f.write_str("; so does 1 other core"),
            n => write!(f, "; so do {} other cores", n - 1),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Core { tile, share } => {
                write!(f, "core {tile} computes {:.0} % of the time", 100.0 * share)
            }
            Limit::Controller { share } => {
                write!(f, "the controller works on commands {:.0} % of the time", 100.0 * share)
            }
            Limit::Channel {
                tile,
                channel,
                delivers,
                bytes_per_cycle,
                port_bytes_per_cycle,
                host_memory_share,
                share,
            } => {
                let place = match tile.row {
                    0 => format!("shim column {}", tile.col),
                    1 => format!("mem tile column {}", tile.col),
                    _ => format!("tile {tile}"),
                };
                let verb = if *delivers { "delivers" } else { "takes" };
                write!(
                    f,
                    "{place} {verb} {bytes_per_cycle:.1} of {port_bytes_per_cycle:.1} B/cycle on {}, {:.0} % of the time",
                    crate::array::channel_name(*channel),
                    100.0 * share
                )?;
                if *host_memory_share >= 0.01 {
                    write!(f, ", {:.0} % of that held up by host memory", 100.0 * host_memory_share)?;
                }
                Ok(())
            }
        }
    }
}
