//! Device descriptions: what an array is and what it costs, read from YAML, every value with its source.
//!
//! ```
//! use kiln_dsl::device::Device;
//!
//! let device = Device::npu1();
//! assert_eq!(device.core.data_memory_bytes(), 65_536);
//! assert!(device.core.data_memory_bytes.source.starts_with("TM"));
//! assert_eq!(device.profile("phoenix-laptop").unwrap().clock_mhz(), 1_000);
//! ```
//!
//! [`Device::npu1`] and [`Device::design_document`] are built in; [`Device::load`] reads any other file
//! of the same schema and refuses it with the list of everything that is wrong, each with line and
//! column. A file that begins with `extends: npu1` says only what differs.

mod addresses;
mod banks;
mod check;
mod compiler;
mod consistency;
mod error;
mod extends;
pub(crate) mod fields;
mod node;
pub(crate) mod registers;
mod schema;
mod sourced;

pub use addresses::{PortSide, SwitchPort};
pub use banks::BankMap;
pub use compiler::{Compiler, UnknownCompiler};
pub use error::{DeviceError, Problem, ProblemKind};
pub use schema::{
    CascadeDirection, ControllerTiming, CoreTile, CoreTiming, DmaTiming, Geometry, Host, Instructions,
    LockTiming, MacsPerCycle, MemTile, Neighbour, Profile, Registers, ShimTile, StreamTiming, SwitchBundle,
    SwitchPorts, TileDma, TileRegisters,
};
pub use sourced::{Confidence, Sourced};

use crate::array::Tile;
use crate::kernel::ops::LatencyClass;
use check::Check;
use indexmap::IndexMap;
use node::{Mark, Node};
use schema::Description;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

/// The schema version that this program reads.
const SCHEMA_VERSION: u64 = 1;
/// Largest file that is read; `npu1.yaml` has about 30 KB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Name of a built-in description in messages, and its text.
const NPU1: (&str, &str) = ("dsl/devices/npu1.yaml", include_str!("../../devices/npu1.yaml"));
const DESIGN_DOCUMENT: (&str, &str) =
    ("dsl/devices/design-document.yaml", include_str!("../../devices/design-document.yaml"));

/// The built-in description of a name.
fn built_in(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "npu1" => Some(NPU1),
        "design-document" => Some(DESIGN_DOCUMENT),
        _ => None,
    }
}

fn read_built_in((file, text): (&str, &str)) -> Device {
    match Device::from_yaml(text, file) {
        Ok(device) => device,
        Err(e) => panic!("the built-in device is wrong: {e}"),
    }
}

/// What kind of tile stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Port to host memory.
    Shim,
    /// Memory of a column.
    Mem,
    /// Core with its memory.
    Core,
}

/// A device: geometry, memories, limits and costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub doc: String,
    /// What the first word of each value's source stands for.
    pub sources: IndexMap<String, String>,
    /// The array of tiles.
    pub geometry: Geometry,
    /// Compute tiles.
    pub core: CoreTile,
    /// Mem tiles.
    pub mem: MemTile,
    /// Shim tiles.
    pub shim: ShimTile,
    /// DMA of all tiles.
    pub dma: DmaTiming,
    /// Locks of all tiles.
    pub locks: LockTiming,
    /// Stream switches of all tiles.
    pub stream: StreamTiming,
    /// Issue and waits of a core.
    pub core_timing: CoreTiming,
    /// Cycles from issue to first use by class, in the order of [`LatencyClass::ALL`].
    latencies: Vec<Sourced<u32>>,
    /// Peak arithmetic of a core.
    pub macs_per_cycle: MacsPerCycle,
    /// The controller.
    pub controller: ControllerTiming,
    /// Addresses of registers.
    pub registers: Registers,
    /// The controller's instruction stream.
    pub instructions: Instructions,
    /// The host's side.
    pub host: Host,
    /// Machines by name.
    profiles: IndexMap<String, Profile>,
    /// The profile that is used unless another is asked for.
    default_profile: String,
}

impl Device {
    /// AMD Phoenix (XDNA1): 4 columns, 16 cores.
    ///
    /// # Panics
    /// Never: a test reads the description that is built in.
    pub fn npu1() -> &'static Device {
        static DEVICE: LazyLock<Device> = LazyLock::new(|| read_built_in(NPU1));
        &DEVICE
    }

    /// The array of the design document: npu1 with 32 KiB of L1 that also hold the code, mem tiles of
    /// 64 KiB, and 8 GB/s between host and array.
    ///
    /// # Panics
    /// Never: a test reads the description that is built in.
    pub fn design_document() -> &'static Device {
        static DEVICE: LazyLock<Device> = LazyLock::new(|| read_built_in(DESIGN_DOCUMENT));
        &DEVICE
    }

    /// Names of the devices that are built in.
    pub const BUILT_IN: [&'static str; 2] = ["npu1", "design-document"];

    /// A built-in device.
    ///
    /// # Errors
    /// [`DeviceError::UnknownDevice`] when there is none of that name.
    pub fn named(name: &str) -> Result<&'static Device, DeviceError> {
        match name {
            "npu1" => Ok(Device::npu1()),
            "design-document" => Ok(Device::design_document()),
            _ => Err(DeviceError::UnknownDevice { name: name.to_owned(), known: Device::BUILT_IN.to_vec() }),
        }
    }

    /// Reads a description from a file.
    ///
    /// # Errors
    /// When the file cannot be read, is over 1 MiB, is not UTF-8, or is not a valid description.
    pub fn load(path: &Path) -> Result<Device, DeviceError> {
        let read = |source| DeviceError::Read { path: path.to_owned(), source };
        let file = path.display().to_string();
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path).map_err(read)?;
        opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        let text = String::from_utf8(bytes)
            .map_err(|e| DeviceError::NotUtf8 { file: file.clone(), offset: e.utf8_error().valid_up_to() })?;
        Device::from_yaml(&text, &file)
    }

    /// Reads a description from text; `file` names it in messages.
    ///
    /// # Errors
    /// [`DeviceError::TooLarge`], or [`DeviceError::Invalid`] with every problem of the text.
    pub fn from_yaml(text: &str, file: &str) -> Result<Device, DeviceError> {
        if text.len() as u64 > MAX_FILE_BYTES {
            let (got_bytes, limit_bytes) = (text.len() as u64, MAX_FILE_BYTES);
            return Err(DeviceError::TooLarge { file: file.to_owned(), got_bytes, limit_bytes });
        }
        let invalid = |problems| DeviceError::Invalid { file: file.to_owned(), problems };
        let root = Device::tree(text).map_err(|problem| invalid(vec![problem]))?;
        let problems = Device::problems(&root);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        serde_yaml::from_str::<Description>(&extends::text(&root))
            .map_err(|e| e.into())
            .and_then(Device::from_description)
            .map_err(|problem| invalid(vec![problem]))
    }

    /// Everything that is wrong with a description, in file order; empty when it can be used.
    pub fn validate(text: &str) -> Vec<Problem> {
        match Device::tree(text) {
            Ok(root) => Device::problems(&root),
            Err(problem) => vec![problem],
        }
    }

    /// What a description says, over what the one that it extends says.
    fn tree(text: &str) -> Result<Node, Problem> {
        extends::read(text, &Device::BUILT_IN, |name| built_in(name).map(|(_, text)| text))
    }

    fn problems(root: &Node) -> Vec<Problem> {
        let mut problems = Vec::new();
        Description::check(root, root.mark, "", &mut problems);
        consistency::check(root, &mut problems);
        problems.sort_by_key(|p| (p.line, p.column));
        problems
    }

    fn from_description(d: Description) -> Result<Device, Problem> {
        let mut latencies = Vec::new();
        for class in LatencyClass::ALL {
            let missing = ProblemKind::MissingLatencyClass { class: class.key() };
            let found = d.latency_cycles.get(class.key()).cloned();
            let whole_file = Mark { line: 0, column: 0 };
            latencies.push(found.ok_or_else(|| Problem::new(whole_file, "latency_cycles", missing))?);
        }
        Ok(Device {
            name: d.name,
            doc: d.doc,
            sources: d.sources,
            geometry: d.geometry,
            core: d.core,
            mem: d.mem,
            shim: d.shim,
            dma: d.dma,
            locks: d.locks,
            stream: d.stream,
            core_timing: d.core_timing,
            latencies,
            macs_per_cycle: d.macs_per_cycle,
            controller: d.controller,
            registers: d.registers,
            instructions: d.instructions,
            host: d.host,
            profiles: d.profiles,
            default_profile: d.default_profile,
        })
    }

    /// Cycles from the issue of an instruction to the first that can use its result.
    pub fn latency_cycles(&self, class: LatencyClass) -> u32 {
        self.latency(class).value
    }

    /// The same with its source.
    pub fn latency(&self, class: LatencyClass) -> &Sourced<u32> {
        &self.latencies[class as usize]
    }

    /// A machine by name.
    ///
    /// # Errors
    /// [`DeviceError::UnknownProfile`], which lists the profiles there are.
    pub fn profile(&self, name: &str) -> Result<&Profile, DeviceError> {
        self.profiles.get(name).ok_or_else(|| DeviceError::UnknownProfile {
            device: self.name.clone(),
            name: name.to_owned(),
            known: self.profiles.keys().cloned().collect(),
        })
    }

    /// Machines with their names, in file order.
    pub fn profiles(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// Name of the profile that is used unless another is asked for.
    pub fn default_profile(&self) -> &str {
        &self.default_profile
    }

    /// What stands at a place; `None` outside the array.
    pub fn tile_kind(&self, tile: Tile) -> Option<TileKind> {
        let (col, row) = (u32::from(tile.col), u32::from(tile.row));
        let g = &self.geometry;
        if col >= g.columns() {
            None
        } else if g.compute_rows().contains(&row) {
            Some(TileKind::Core)
        } else if g.mem_rows().contains(&row) {
            Some(TileKind::Mem)
        } else if g.shim_rows().contains(&row) {
            Some(TileKind::Shim)
        } else {
            None
        }
    }

    /// Tiles of one kind, by column, then row.
    pub fn tiles(&self, kind: TileKind) -> impl Iterator<Item = Tile> {
        let rows = match kind {
            TileKind::Shim => self.geometry.shim_rows(),
            TileKind::Mem => self.geometry.mem_rows(),
            TileKind::Core => self.geometry.compute_rows(),
        };
        // `validate` bounds columns and rows to what a `u8` holds.
        (0..self.geometry.columns()).flat_map(move |c| rows.iter().map(move |&r| Tile::new(c as u8, r as u8)))
    }

    /// The DMA of a kind of tile.
    pub fn tile_dma(&self, kind: TileKind) -> &TileDma {
        match kind {
            TileKind::Shim => &self.shim.dma,
            TileKind::Mem => &self.mem.dma,
            TileKind::Core => &self.core.dma,
        }
    }

    /// The stream switch of a kind of tile.
    pub fn tile_switch(&self, kind: TileKind) -> &SwitchPorts {
        match kind {
            TileKind::Shim => &self.shim.switch,
            TileKind::Mem => &self.mem.switch,
            TileKind::Core => &self.core.switch,
        }
    }

    /// The registers of a kind of tile.
    pub fn tile_registers(&self, kind: TileKind) -> &TileRegisters {
        match kind {
            TileKind::Shim => &self.registers.shim,
            TileKind::Mem => &self.registers.mem,
            TileKind::Core => &self.registers.core,
        }
    }

    /// Bytes of data memory of a kind of tile; the shim has none.
    pub fn tile_memory_bytes(&self, kind: TileKind) -> u32 {
        match kind {
            TileKind::Shim => 0,
            TileKind::Mem => self.mem.memory_bytes(),
            TileKind::Core => self.core.data_memory_bytes(),
        }
    }

    /// Whether the core at `core` can load from and store to the memory of the tile at `memory`.
    pub fn core_reaches(&self, core: Tile, memory: Tile) -> bool {
        let both = [core, memory].iter().all(|&t| self.tile_kind(t) == Some(TileKind::Core));
        let delta =
            (i16::from(memory.col) - i16::from(core.col), i16::from(memory.row) - i16::from(core.row));
        let direction = match delta {
            (0, 0) => Neighbour::Own,
            (0, 1) => Neighbour::North,
            (0, -1) => Neighbour::South,
            (-1, 0) => Neighbour::West,
            (1, 0) => Neighbour::East,
            _ => return false,
        };
        both && self.geometry.memory_neighbours().contains(&direction)
    }

    /// Name of the MLIR device that has this many columns.
    pub fn mlir_device(&self, columns: u32) -> Option<&str> {
        let index = usize::try_from(columns).ok()?.checked_sub(1)?;
        self.geometry.mlir_devices().get(index).map(String::as_str)
    }
}

impl CoreTile {
    /// The banks of the data memory.
    pub fn banks(&self) -> BankMap {
        BankMap {
            logical_bytes: self.logical_bank_bytes(),
            logical: self.logical_banks(),
            physical: self.physical_banks(),
            interleave_bytes: self.bank_interleave_bytes(),
        }
    }

    /// Logical bank of a byte of data memory.
    pub fn logical_bank(&self, address: u32) -> u32 {
        self.banks().logical_of(address)
    }

    /// Physical bank of a byte of data memory: the memories of a logical bank alternate every
    /// `bank_interleave_bytes` (AM020 chapter 2).
    pub fn physical_bank(&self, address: u32) -> u32 {
        self.banks().physical_of(address)
    }
}

impl MemTile {
    /// Logical bank of a byte.
    pub fn logical_bank(&self, address: u32) -> u32 {
        (address / self.logical_bank_bytes()) % self.logical_banks()
    }

    /// Physical bank of a byte: all rotate every `bank_interleave_bytes` (AM020 chapter 5).
    pub fn physical_bank(&self, address: u32) -> u32 {
        (address / self.bank_interleave_bytes()) % self.physical_banks()
    }
}

impl TileDma {
    /// The BDs that channel `channel` of either direction can run.
    pub fn bds_of_channel(&self, channel: u32) -> Range<u32> {
        let each = self.bds() / self.bd_groups();
        let first = (channel % self.bd_groups()) * each;
        first..first + each
    }
}

impl Profile {
    /// Bytes of host memory per cycle of the array.
    pub fn ddr_bytes_per_cycle(&self) -> f64 {
        self.ddr_gb_per_s() * 1e3 / f64::from(self.clock_mhz())
    }

    /// Microseconds of a number of cycles of the array.
    pub fn us(&self, cycles: u64) -> f64 {
        cycles as f64 / f64::from(self.clock_mhz())
    }
}

impl From<serde_yaml::Error> for Problem {
    fn from(e: serde_yaml::Error) -> Problem {
        let mark =
            e.location().map_or(Mark { line: 0, column: 0 }, |l| Mark { line: l.line(), column: l.column() });
        Problem::new(mark, "", ProblemKind::Typed { message: e.to_string() })
    }
}

#[cfg(test)]
mod tests;
