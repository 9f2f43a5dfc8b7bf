//! Whether a machine has an NPU that this user can run designs on.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use thiserror::Error;
use xrt_sys::Xrt;

/// PCI vendor and device of the Phoenix NPU (amd/xdna-driver, npu1).
const PHOENIX: PciId = PciId { vendor: 0x1022, device: 0x1502 };

/// A PCI id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PciId {
    vendor: u16,
    device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// An NPU that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Npu {
    /// Its device node.
    pub node: PathBuf,
    /// The runtime that reaches it.
    pub xrt: Xrt,
}

impl fmt::Display for Npu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AMD Phoenix NPU ({PHOENIX}) at {}, XRT at {}",
            self.node.display(),
            self.xrt.core.display()
        )
    }
}

/// No NPU can be used. The message lists all that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no NPU can be used here:{}", missing.iter().map(|m| format!("\n  - {m}")).collect::<String>())]
pub struct NpuError {
    /// Everything that is missing.
    pub missing: Vec<Missing>,
}

/// One thing without which designs cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Missing {
    /// Another operating system.
    #[error("the NPU's driver exists for Linux; this is {os}")]
    Linux {
        /// This system.
        os: &'static str,
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
    /// Buffers could not be pinned.
    #[error(
        "the limit of locked memory is {limit}, buffers of the NPU need `unlimited`\n    help: `ulimit -l unlimited`, or `* - memlock unlimited` in /etc/security/limits.conf"
    )]
    LockedMemory {
        /// The limit, as the system writes it.
        limit: String,
    },
    /// No runtime.
    #[error(
        "{0}\n    help: Debian has libxrt2 and libxrt-npu2 in trixie-backports; amd/xdna-driver builds them"
    )]
    Xrt(xrt_sys::NotFound),
}

/// What is looked at. Tests build one; [`npu_status`] looks at this machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name of the operating system, as `std::env::consts::OS`.
    pub os: &'static str,
    /// Folder that stands for `/`.
    pub root: PathBuf,
    /// Folders in which XRT's libraries are looked for.
    pub library_folders: Vec<PathBuf>,
}

impl Machine {
    /// This machine.
    pub fn this() -> Machine {
        let env = std::env::var_os;
        let library_folders = xrt_sys::folders(env("LD_LIBRARY_PATH"), env("XILINX_XRT"));
        Machine { os: std::env::consts::OS, root: PathBuf::from("/"), library_folders }
    }

    /// The NPU of this machine, or everything that is missing.
    ///
    /// # Errors
    /// [`NpuError`] with one entry per thing to mend.
    pub fn npu_status(&self) -> Result<Npu, NpuError> {
        if self.os != "linux" {
            return Err(NpuError { missing: vec![Missing::Linux { os: self.os }] });
        }
        let mut missing = Vec::new();
        if !self.root.join("sys/module/amdxdna").exists() {
            missing.push(Missing::Driver);
        }
        let node = self.node(&mut missing);
        let firmware = self.root.join(format!("lib/firmware/amdnpu/{:04x}_00", PHOENIX.device));
        if !firmware.is_dir() {
            missing.push(Missing::Firmware { path: firmware });
        }
        if let Some(limit) = self.locked_memory_limit().filter(|l| l != "unlimited") {
            missing.push(Missing::LockedMemory { limit });
        }
        let xrt = xrt_sys::find_in(self.library_folders.clone());
        match (node, xrt) {
            (Some(node), Ok(xrt)) if missing.is_empty() => Ok(Npu { node, xrt }),
            (_, xrt) => {
                missing.extend(xrt.err().map(Missing::Xrt));
                Err(NpuError { missing })
            }
        }
    }

    /// The device node of the Phoenix NPU, if it is there and opens.
    fn node(&self, missing: &mut Vec<Missing>) -> Option<PathBuf> {
        let nodes = self.accelerators();
        if nodes.is_empty() {
            missing.push(Missing::Node { path: self.root.join("dev/accel/accel0") });
            return None;
        }
        let Some(node) = nodes.iter().find(|n| self.pci_id(n) == Some(PHOENIX)) else {
            missing.extend(nodes.into_iter().map(|path| {
                let found =
                    self.pci_id(&path).map_or("no PCI device".to_owned(), |id| format!("PCI device {id}"));
                Missing::Phoenix { path, found }
            }));
            return None;
        };
        let path = node.clone();
        match std::fs::OpenOptions::new().read(true).write(true).open(node) {
            Ok(_) => Some(path),
            Err(e) => {
                missing.push(closed(path, &e));
                None
            }
        }
    }

    /// `/dev/accel/accel*`, by name.
    fn accelerators(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join("dev/accel")).into_iter().flatten().flatten();
        let named = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with("accel");
        let mut nodes: Vec<PathBuf> = entries.filter(named).map(|e| e.path()).collect();
        nodes.sort();
        nodes
    }

    /// The PCI id that the kernel shows for a device node.
    fn pci_id(&self, node: &Path) -> Option<PciId> {
        let device = self.root.join("sys/class/accel").join(node.file_name()?).join("device");
        let read = |name: &str| {
            let text = std::fs::read_to_string(device.join(name)).ok()?;
            u16::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
        };
        Some(PciId { vendor: read("vendor")?, device: read("device")? })
    }

    /// The soft limit of locked memory of this process, with its unit; `None` when it is not shown.
    fn locked_memory_limit(&self) -> Option<String> {
        let limits = std::fs::read_to_string(self.root.join("proc/self/limits")).ok()?;
        let line = limits.lines().find_map(|l| l.strip_prefix("Max locked memory"))?;
        let soft = line.split_whitespace().next()?;
        Some(if soft == "unlimited" { soft.to_owned() } else { format!("{soft} bytes") })
    }
}

/// Why a node did not open.
fn closed(path: PathBuf, error: &std::io::Error) -> Missing {
    let cause = error.to_string();
    match error.kind() {
        ErrorKind::PermissionDenied => Missing::Permission { path, cause },
        _ => Missing::Open { path, cause },
    }
}

/// The NPU of this machine, or everything that is missing.
///
/// # Errors
/// [`NpuError`] with one entry per thing to mend.
pub fn npu_status() -> Result<Npu, NpuError> {
    Machine::this().npu_status()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine in a folder; each file is given by path and content.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let root = folder.path().to_owned();
        let machine = Machine { os: "linux", library_folders: vec![root.join("lib")], root };
        (folder, machine)
    }

    const LIMITS: (&str, &str) = (
        "proc/self/limits",
        "Limit    Soft Limit  Hard Limit  Units\nMax locked memory         unlimited            unlimited            bytes\n",
    );
    const READY: [(&str, &str); 9] = [
        ("sys/module/amdxdna/version", "1"),
        ("dev/accel/accel0", ""),
        ("sys/class/accel/accel0/device/vendor", "0x1022\n"),
        ("sys/class/accel/accel0/device/device", "0x1502\n"),
        ("lib/firmware/amdnpu/1502_00/npu.sbin.xz", ""),
        LIMITS,
        ("lib/libxrt_coreutil.so.2", ""),
        ("lib/libxrt_driver_xdna.so.2", ""),
        ("etc/hostname", "x"),
    ];

    #[test]
    fn a_ready_machine() {
        let (folder, machine) = machine(&READY);
        let npu = machine.npu_status().unwrap();
        assert_eq!(npu.node, folder.path().join("dev/accel/accel0"));
        assert!(npu.to_string().starts_with("AMD Phoenix NPU (1022:1502) at "), "{npu}");
    }

    #[test]
    fn a_bare_machine_misses_everything_at_once() {
        let (folder, machine) = machine(&[(
            LIMITS.0,
            "Max locked memory         8388608              8388608              bytes\n",
        )]);
        let e = machine.npu_status().unwrap_err();
        assert!(
            matches!(
                &e.missing[..],
                [
                    Missing::Driver,
                    Missing::Node { .. },
                    Missing::Firmware { .. },
                    Missing::LockedMemory { .. },
                    Missing::Xrt(_)
                ]
            ),
            "{e}"
        );
        let message = e.to_string();
        let node = folder.path().join("dev/accel/accel0");
        assert!(message.contains(&format!("{} does not exist", node.display())), "{message}");
        assert!(message.contains("the limit of locked memory is 8388608 bytes"), "{message}");
        assert!(message.contains("no libxrt_coreutil.so.2 and no libxrt_driver_xdna.so.2"), "{message}");
    }

    #[test]
    fn another_accelerator_is_named() {
        let mut files = READY.to_vec();
        files[3].1 = "0x17f0\n";
        let e = machine(&files).1.npu_status().unwrap_err();
        assert!(
            e.to_string().contains("accel0 is PCI device 1022:17f0, not the Phoenix NPU, which is 1022:1502"),
            "{e}"
        );
        assert_eq!(e.missing.len(), 1);
        // The Phoenix NPU may be the second.
        files.extend([
            ("dev/accel/accel1", ""),
            ("sys/class/accel/accel1/device/vendor", "0x1022\n"),
            ("sys/class/accel/accel1/device/device", "0x1502\n"),
        ]);
        let (folder, machine) = machine(&files);
        assert_eq!(machine.npu_status().unwrap().node, folder.path().join("dev/accel/accel1"));
    }

    #[test]
    fn a_node_that_cannot_be_opened() {
        let mut files = READY.to_vec();
        files[1].0 = "dev/accel/accel0/this is a folder";
        let e = machine(&files).1.npu_status().unwrap_err();
        assert!(matches!(&e.missing[..], [Missing::Open { .. }]), "{e}");
    }

    #[test]
    fn a_node_of_another_group() {
        let missing = closed("/dev/accel/accel0".into(), &ErrorKind::PermissionDenied.into());
        assert!(matches!(&missing, Missing::Permission { .. }));
        assert!(missing.to_string().contains("help: `sudo usermod -aG render $USER`"), "{missing}");
    }

    #[test]
    fn damaged_system_files_are_no_npu() {
        let mut files = READY.to_vec();
        files[2].1 = "vendor";
        let e = machine(&files).1.npu_status().unwrap_err();
        assert!(e.to_string().contains("accel0 is no PCI device, not the Phoenix NPU"), "{e}");
    }

    #[test]
    fn other_systems_are_refused() {
        let (_folder, mut machine) = machine(&READY);
        machine.os = "macos";
        let e = machine.npu_status().unwrap_err();
        assert_eq!(e.missing, [Missing::Linux { os: "macos" }]);
    }
}
