//! What a machine can lack, each with its remedy.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// PCI vendor and device of the Phoenix NPU (amd/xdna-driver, npu1).
pub(crate) const PHOENIX: PciId = PciId { vendor: 0x1022, device: 0x1502 };

/// First Linux with the driver in it, and the first for which amd/xdna-driver builds (its README).
pub(crate) const LINUX_WITH_DRIVER: [u32; 2] = [6, 14];
pub(crate) const LINUX_FOR_DRIVER: [u32; 2] = [6, 10];
/// Least firmware that the driver takes (`npu1_regs.c` of amd/xdna-driver, `min_fw_version`).
pub(crate) const FIRMWARE_LEAST: [u32; 2] = [5, 7];

/// A PCI id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PciId {
    pub(crate) vendor: u16,
    pub(crate) device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

fn dotted(version: &[u32; 2]) -> String {
    format!("{}.{}", version[0], version[1])
}

/// One thing without which designs cannot be built or run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Missing {
    /// Another operating system.
    #[error("the NPU's driver exists for Linux; this is {os}")]
    Linux {
        /// This system.
        os: &'static str,
    },
    /// A kernel for which there is no driver.
    #[error(
        "Linux {release} has no driver for NPUs\n    help: Linux {} has it; amd/xdna-driver builds for {} and later",
        dotted(&LINUX_WITH_DRIVER), dotted(&LINUX_FOR_DRIVER)
    )]
    Kernel {
        /// Release of the kernel.
        release: String,
    },
    /// The kernel has no driver for NPUs.
    #[error(
        "the kernel module amdxdna is not loaded\n    help: `modprobe amdxdna`; Linux has it since 6.14, amd/xdna-driver for older ones"
    )]
    Driver,
    /// No device node.
    #[error("{} does not exist: the driver found no NPU\n    help: see `dmesg | grep amdxdna`; the NPU can be off in the firmware setup", path.display())]
    Node {
        /// The node looked for.
        path: PathBuf,
    },
    /// A device node of something else.
    #[error("{} is {found}, not the Phoenix NPU, which is {}", path.display(), PHOENIX)]
    Phoenix {
        /// The node.
        path: PathBuf,
        /// Its PCI id, or that it has none.
        found: String,
    },
    /// The node may not be opened.
    #[error("{} may not be opened: {cause}\n    help: `sudo usermod -aG render $USER`, then log in again", path.display())]
    Permission {
        /// The node.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The node cannot be opened for another reason.
    #[error("{} cannot be opened: {cause}", path.display())]
    Open {
        /// The node.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The driver has no firmware to load.
    #[error("the NPU's firmware is not in {}\n    help: install linux-firmware", path.display())]
    Firmware {
        /// The folder looked for.
        path: PathBuf,
    },
    /// Firmware that the driver does not take.
    #[error(
        "the NPU runs firmware {found}, the driver wants {} or later\n    help: install the linux-firmware of your kernel, or the plug-in package of amd/xdna-driver, then reload amdxdna; firmware and driver belong together",
        dotted(&FIRMWARE_LEAST)
    )]
    FirmwareVersion {
        /// Version in the device.
        found: String,
    },
    /// Buffers could not be pinned.
    #[error(
        "the limit of locked memory is {limit}, buffers of the NPU need `unlimited`\n    help: `ulimit -l unlimited`, or `* - memlock unlimited` in /etc/security/limits.conf"
    )]
    LockedMemory {
        /// The limit, as the system writes it.
        limit: String,
    },
    /// A power mode in which the NPU is slow.
    #[error(
        "the NPU's power mode is {mode}, times will be longer than predicted\n    help: `sudo xrt-smi configure --pmode performance`"
    )]
    PowerMode {
        /// The mode.
        mode: String,
    },
    /// No runtime.
    #[error(
        "{0}\n    help: Debian has libxrt2 and libxrt-npu2 in trixie-backports; amd/xdna-driver builds them"
    )]
    Xrt(xrt_sys::NotFound),
    /// This program has no bindings to it.
    #[error(
        "{}: {}\n    help: then `cargo build` again, with XILINX_XRT set where it is not in /usr or /opt/xilinx/xrt",
        xrt_sys::WITHOUT_XRT,
        xrt_sys::BUILD
    )]
    Bindings,
    /// The environment does not say where Peano is.
    #[error(
        "PEANO_INSTALL_DIR is not set: kernels cannot be compiled here\n    help: `pip install llvm-aie` from Xilinx/llvm-aie's releases, then set it to the folder llvm-aie of site-packages"
    )]
    PeanoUnset,
    /// A tool of Peano.
    #[error(
        "{} is not there, or does not run\n    help: PEANO_INSTALL_DIR must name the folder that holds Peano's bin", path.display()
    )]
    PeanoTool {
        /// The tool.
        path: PathBuf,
    },
    /// No compiler driver.
    #[error(
        "aiecc is neither on PATH nor in MLIR_AIE_INSTALL_DIR/bin\n    help: `pip install mlir_aie` from Xilinx/mlir-aie's releases, {first} to {last}"
    )]
    Aiecc {
        /// First release that takes what Kiln emits.
        first: &'static str,
        /// Last release that is known to.
        last: &'static str,
    },
    /// A compiler driver that does not run.
    #[error("`{} --version` fails: {cause}\n    help: install mlir-aie again", path.display())]
    AieccBroken {
        /// The program.
        path: PathBuf,
        /// First line of what it says.
        cause: String,
    },
    /// A compiler driver of another time.
    #[error(
        "aiecc is {found}, designs are emitted for releases {first} to {last}\n    help: install one of those: an older aiecc drops attributes that it does not know without a word"
    )]
    AieccVersion {
        /// Its version.
        found: String,
        /// First release that takes what Kiln emits.
        first: &'static str,
        /// Last release that is known to.
        last: &'static str,
    },
    /// No tool that packs.
    #[error(
        "xclbinutil is not on PATH: aiecc packs final.xclbin with it\n    help: install XRT's tools (source /opt/xilinx/xrt/setup.sh), or set AIE_XCLBINUTIL"
    )]
    Xclbinutil,
}
