//! The files that a device loads: core programs (ELF), configurations (CDO, PDI) and xclbins; read, written, and made
//! from a design.
//!
//! ```text
//! Verified<Design> + Lowered + CoreImage per core --configure--> Cdo --> PDI --> AIE_PARTITION --> xclbin
//!                                                                 |
//!                          differences <---- Lowered + ArrayState --- what its writes leave in the array
//! ```
//!
//! Readers take files of any origin: they check every size before they use it, need memory in proportion to the file,
//! and end with one error. Writers make the forms of mlir-aie, byte for byte where there are files to compare with.

mod bytes;
mod cdo;
mod check;
mod configure;
mod elf;
mod image;
mod inspect;
mod package;
mod pdi;
mod state;
mod xclbin;

pub use cdo::{CDO_VERSION, Cdo, CdoBuilder, CdoCommand, CdoError};
pub use check::differences;
pub use configure::{ConfigureError, configure};
pub use elf::{CoreElf, EM_AIE, ElfError, ElfSection, FLAGS_AIE2, OWN_WINDOW, Segment, WINDOW_BYTES};
pub use image::{CoreImage, ImageError, Piece};
pub use inspect::{
    BdReport, CdoReport, ChannelReport, CoreReport, DimReport, ElfReport, FileReport, GroupReport,
    InspectError, KernelReport, LockReport, PartitionReport, PdiReport, PieceReport, RouteReport,
    SectionReport, TileReport, XclbinReport, inspect,
};
pub use package::{Package, PackageError, package};
pub use pdi::{Pdi, PdiError};
pub use state::{
    ArrayState, BdDim, BdLock, BdState, CascadeState, End, RouteState, Start, StateError, TileState,
};
pub use xclbin::{
    ArgumentUse, CdoGroup, Connection, IpEntry, KernelArgument, KernelInterface, Memory, Partition,
    PartitionError, PartitionPdi, Section, Xclbin, XclbinError, XclbinHeader, kind as section_kind,
    read_connectivity, read_ip_layout, read_memories,
};

#[cfg(test)]
mod goldens;
