//! What a machine has: each fact is looked at by one function, for the runner and for the doctor.

use crate::missing::{FIRMWARE_LEAST, LINUX_FOR_DRIVER, Missing, PHOENIX, PciId};
use kiln_dsl::emit::bundle::MLIR_AIE_RELEASES;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is looked at. Tests build one; [`Machine::this`] is this machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name of the operating system, as `std::env::consts::OS`.
    pub os: &'static str,
    /// Folder that stands for `/`.
    pub root: PathBuf,
    /// Folders in which XRT's libraries are looked for.
    pub library_folders: Vec<PathBuf>,
    /// Folders in which programs are looked for.
    pub program_folders: Vec<PathBuf>,
    /// `PEANO_INSTALL_DIR`.
    pub peano: Option<PathBuf>,
    /// Whether this program can call XRT.
    pub bindings: bool,
}

/// What a look finds: a description of what is there, or what is missing.
pub(crate) type Look = Result<String, Missing>;

impl Machine {
    /// This machine.
    pub fn this() -> Machine {
        let env = std::env::var_os;
        let mut program_folders: Vec<PathBuf> = env("PATH").iter().flat_map(std::env::split_paths).collect();
        let tools = ["MLIR_AIE_INSTALL_DIR", "XILINX_XRT"].into_iter().filter_map(env);
        program_folders.extend(tools.map(|folder| Path::new(&folder).join("bin")));
        program_folders.push("/opt/xilinx/xrt/bin".into());
        Machine {
            os: std::env::consts::OS,
            root: PathBuf::from("/"),
            library_folders: xrt_sys::folders(env("LD_LIBRARY_PATH"), env("XILINX_XRT")),
            program_folders,
            peano: env("PEANO_INSTALL_DIR").filter(|v| !v.is_empty()).map(PathBuf::from),
            bindings: xrt_sys::Xrt::real().is_some(),
        }
    }

    /// The operating system and its kernel.
    pub(crate) fn kernel(&self) -> Look {
        if self.os != "linux" {
            return Err(Missing::Linux { os: self.os });
        }
        let Some(release) = self.line("proc/sys/kernel/osrelease") else {
            return Ok("Linux, of unknown release".to_owned());
        };
        match numbers(&release) {
            Some(found) if found < LINUX_FOR_DRIVER => Err(Missing::Kernel { release }),
            _ => Ok(format!("Linux {release}")),
        }
    }

    /// The driver's kernel module.
    pub(crate) fn driver(&self) -> Look {
        if !self.root.join("sys/module/amdxdna").exists() {
            return Err(Missing::Driver);
        }
        let version = self.line("sys/module/amdxdna/version");
        Ok(version.map_or("amdxdna".to_owned(), |v| format!("amdxdna {v}")))
    }

    /// Every way in which the device node of the Phoenix NPU is not ready, or its path.
    pub(crate) fn node(&self) -> Result<PathBuf, Vec<Missing>> {
        let nodes = self.accelerators();
        if nodes.is_empty() {
            return Err(vec![Missing::Node { path: self.root.join("dev/accel/accel0") }]);
        }
        let Some(node) = nodes.iter().find(|n| self.pci_id(n) == Some(PHOENIX)) else {
            let other = |path: PathBuf| {
                let found =
                    self.pci_id(&path).map_or("no PCI device".to_owned(), |id| format!("PCI device {id}"));
                Missing::Phoenix { path, found }
            };
            return Err(nodes.into_iter().map(other).collect());
        };
        match std::fs::OpenOptions::new().read(true).write(true).open(node) {
            Ok(_) => Ok(node.clone()),
            Err(e) => Err(vec![closed(node.clone(), &e)]),
        }
    }

    /// The firmware's file, for the driver to load.
    pub(crate) fn firmware_file(&self) -> Look {
        let name = format!("firmware/amdnpu/{:04x}_00", PHOENIX.device);
        let folders = ["lib", "usr/lib"].map(|lib| self.root.join(lib).join(&name));
        match folders.iter().find(|f| f.is_dir()) {
            Some(folder) => Ok(folder.display().to_string()),
            None => Err(Missing::Firmware { path: folders[0].clone() }),
        }
    }

    /// The version of the firmware that runs; `None` where the driver does not show it.
    pub(crate) fn firmware_version(&self) -> Option<Look> {
        let mut nodes = self.accelerators().into_iter();
        let node = nodes.find(|n| self.pci_id(n) == Some(PHOENIX))?;
        let name = node.file_name()?.to_string_lossy().into_owned();
        let found = self.line(&format!("sys/class/accel/{name}/device/fw_version"))?;
        Some(match numbers(&found) {
            Some(version) if version < FIRMWARE_LEAST => Err(Missing::FirmwareVersion { found }),
            _ => Ok(format!("firmware {found} runs")),
        })
    }

    /// The soft limit of locked memory of this process.
    pub(crate) fn locked_memory(&self) -> Look {
        let limits = std::fs::read_to_string(self.root.join("proc/self/limits")).unwrap_or_default();
        let line = limits.lines().find_map(|l| l.strip_prefix("Max locked memory"));
        match line.and_then(|l| l.split_whitespace().next()) {
            None | Some("unlimited") => Ok("locked memory is unlimited".to_owned()),
            Some(bytes) => Err(Missing::LockedMemory { limit: format!("{bytes} bytes") }),
        }
    }

    /// The power mode, as `xrt-smi` tells it; `None` where it does not.
    pub(crate) fn power_mode(&self) -> Option<Look> {
        let xrt_smi = self.program("xrt-smi")?;
        let report = output(&xrt_smi, &["examine", "--report", "platform"]).ok()?;
        let line = report.lines().find_map(|l| l.trim_start().strip_prefix("Power Mode"))?;
        let mode = line.trim_start_matches([' ', ':']).trim().to_owned();
        Some(match mode.to_lowercase().as_str() {
            "powersaver" | "balanced" => Err(Missing::PowerMode { mode }),
            _ => Ok(format!("power mode {mode}")),
        })
    }

    /// XRT's libraries.
    pub(crate) fn xrt(&self) -> Result<xrt_sys::Installed, Missing> {
        xrt_sys::find_in(self.library_folders.clone()).map_err(Missing::Xrt)
    }

    /// Whether this program was built with XRT.
    pub(crate) fn bound(&self) -> Look {
        if self.bindings { Ok(xrt_sys::BUILD.to_owned()) } else { Err(Missing::Bindings) }
    }

    /// Peano, the kernels' compiler.
    pub(crate) fn peano(&self) -> Result<String, Vec<Missing>> {
        let Some(peano) = &self.peano else { return Err(vec![Missing::PeanoUnset]) };
        let tools = ["clang++", "llvm-readelf", "llvm-objcopy"].map(|tool| peano.join("bin").join(tool));
        let versions = tools.map(|path| (output(&path, &["--version"]), path));
        let mut missing = Vec::new();
        for (version, path) in &versions {
            if version.is_err() {
                missing.push(Missing::PeanoTool { path: path.clone() });
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let text = versions[0].0.as_deref().unwrap_or_default();
        Ok(format!("Peano, {}", text.lines().next().unwrap_or_default().trim()))
    }

    /// mlir-aie's compiler driver.
    pub(crate) fn aiecc(&self) -> Look {
        let [first, last] = MLIR_AIE_RELEASES;
        let path = self.program("aiecc").ok_or(Missing::Aiecc { first, last })?;
        let version = output(&path, &["--version"]);
        let version = version.map_err(|cause| Missing::AieccBroken { path: path.clone(), cause })?;
        let line = version.lines().next().unwrap_or_default().trim().to_owned();
        let number = |text: &str| release(text).unwrap_or_default();
        match version.lines().filter(|l| !l.contains("LLVM")).find_map(release) {
            Some(found) if found < number(first) || found > number(last) => {
                let found = found.map(|n| n.to_string()).join(".");
                Err(Missing::AieccVersion { found, first, last })
            }
            _ => Ok(format!("{line} at {}", path.display())),
        }
    }

    /// What packs xclbins.
    pub(crate) fn xclbinutil(&self) -> Look {
        let path = self.program("xclbinutil").ok_or(Missing::Xclbinutil)?;
        Ok(path.display().to_string())
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.program_folders.iter().map(|f| f.join(name)).find(|p| p.is_file())
    }

    /// First line of a small file.
    fn line(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.lines().next()?.trim().to_owned())
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
}

/// Why a node did not open.
pub(crate) fn closed(path: PathBuf, error: &std::io::Error) -> Missing {
    let cause = error.to_string();
    match error.kind() {
        ErrorKind::PermissionDenied => Missing::Permission { path, cause },
        _ => Missing::Open { path, cause },
    }
}

/// Standard output of a program, or the first line of why it failed.
fn output(program: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr) + &text(&output.stdout);
    let line = said.lines().next().map(str::to_owned);
    Err(line.unwrap_or_else(|| output.status.to_string()))
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<[u32; 2]> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?])
}

/// The first `1.2.3` of a line.
fn release(line: &str) -> Option<[u32; 3]> {
    line.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let parts: Option<Vec<u32>> = word.trim_matches('.').split('.').map(|n| n.parse().ok()).collect();
        <[u32; 3]>::try_from(parts?).ok()
    })
}
