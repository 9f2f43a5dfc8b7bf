//! Whether a machine has an NPU that this user can run designs on.

use crate::machine::Machine;
use crate::missing::{Missing, PHOENIX};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;
use xrt_sys::Installed;

/// An NPU that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Npu {
    /// Its device node.
    pub node: PathBuf,
    /// The runtime that reaches it.
    pub xrt: Installed,
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

impl Machine {
    /// The NPU of this machine, or everything that is missing.
    ///
    /// # Errors
    /// [`NpuError`] with one entry per thing to mend.
    pub fn npu_status(&self) -> Result<Npu, NpuError> {
        let mut missing = Vec::new();
        if let Err(other) = self.kernel() {
            let hopeless = matches!(other, Missing::Linux { .. });
            missing.push(other);
            if hopeless {
                return Err(NpuError { missing });
            }
        }
        missing.extend(self.driver().err());
        let node = self.node().map_err(|why| missing.extend(why)).ok();
        missing.extend(self.firmware_file().err());
        missing.extend(self.firmware_version().and_then(Result::err));
        missing.extend(self.locked_memory().err());
        let xrt = self.xrt().map_err(|why| missing.push(why)).ok();
        missing.extend(self.bound().err());
        match (node, xrt) {
            (Some(node), Some(xrt)) if missing.is_empty() => Ok(Npu { node, xrt }),
            _ => Err(NpuError { missing }),
        }
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
    use crate::doctor::{Check, Found, Needed};
    use crate::machine::closed;
    use std::io::ErrorKind;

    /// A machine in a folder; each file is given by path and content.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            if content.starts_with("#!") {
                let done = std::process::Command::new("chmod").arg("+x").arg(path).status().unwrap();
                assert!(done.success());
            }
        }
        let root = folder.path().to_owned();
        let machine = Machine {
            os: "linux",
            library_folders: vec![root.join("lib")],
            program_folders: vec![root.join("bin")],
            peano: Some(root.join("peano")),
            bindings: true,
            root,
        };
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

    const SAYS: &str = "#!/bin/sh\necho ";

    /// A machine with everything.
    fn equipped() -> Vec<(&'static str, String)> {
        let mut files: Vec<(&str, String)> =
            READY.iter().map(|&(path, text)| (path, text.to_owned())).collect();
        files.extend([
            ("proc/sys/kernel/osrelease", "6.14.2-amd64\n".to_owned()),
            ("sys/class/accel/accel0/device/fw_version", "5.7.0.2\n".to_owned()),
            ("bin/xrt-smi", format!("{SAYS}'  Power Mode             : Default '")),
            ("bin/aiecc", format!("{SAYS}'aiecc (MLIR-AIE) version 1.4.2'; echo '  LLVM version 24.0.0git'")),
            ("bin/xclbinutil", "#!/bin/sh\n".to_owned()),
            ("peano/bin/clang++", format!("{SAYS}'clang version 21.0.0'")),
            ("peano/bin/llvm-readelf", "#!/bin/sh\n".to_owned()),
            ("peano/bin/llvm-objcopy", "#!/bin/sh\n".to_owned()),
        ]);
        files
    }

    fn doctor(files: &[(&'static str, String)]) -> (tempfile::TempDir, Vec<Check>) {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let (folder, machine) = machine(&files);
        let checks = machine.doctor();
        (folder, checks)
    }

    fn bad(checks: &[Check]) -> Vec<String> {
        checks.iter().filter(|c| matches!(c.found, Found::Bad(_))).map(Check::to_string).collect()
    }

    #[test]
    fn the_doctor_finds_nothing_wrong_with_a_good_machine() {
        let (_folder, checks) = doctor(&equipped());
        assert!(checks.iter().all(|c| matches!(c.found, Found::Good(_))), "{checks:#?}");
        let names: Vec<&str> = checks.iter().map(|c| c.name).collect();
        let expected = [
            "kernel",
            "driver",
            "device node",
            "firmware file",
            "firmware version",
            "locked memory",
            "XRT",
            "bindings",
            "power mode",
            "Peano",
            "aiecc",
            "xclbinutil",
        ];
        assert_eq!(names, expected);
        assert_eq!(checks[0].to_string(), "ok       kernel: Linux 6.14.2-amd64");
    }

    #[test]
    fn the_doctor_has_a_remedy_for_each_fault() {
        let faults: [(&str, &str, &str); 9] = [
            ("proc/sys/kernel/osrelease", "6.1.0-37-amd64", "Linux 6.1.0-37-amd64 has no driver for NPUs"),
            ("sys/class/accel/accel0/device/fw_version", "5.6.9.1", "firmware 5.6.9.1, the driver wants 5.7"),
            (
                "proc/self/limits",
                "Max locked memory         8388608  8388608  bytes\n",
                "ulimit -l unlimited",
            ),
            ("bin/xrt-smi", "#!/bin/sh\necho 'Power Mode : Powersaver'", "configure --pmode performance"),
            (
                "bin/aiecc",
                "#!/bin/sh\necho aiecc 1.3.3",
                "aiecc is 1.3.3, designs are emitted for releases 1.3.4",
            ),
            ("bin/aiecc", "#!/bin/sh\necho aiecc 1.10.0", "aiecc is 1.10.0"),
            ("bin/aiecc", "#!/bin/sh\necho no libLLVM >&2; exit 1", "--version` fails: no libLLVM"),
            ("peano/bin/clang++", "#!/bin/sh\nexit 1", "clang++ is not there, or does not run"),
            ("sys/class/accel/accel0/device/device", "0x17f0", "not the Phoenix NPU"),
        ];
        for (path, content, message) in faults {
            let mut files = equipped();
            files.iter_mut().filter(|f| f.0 == path).for_each(|f| content.clone_into(&mut f.1));
            let (_folder, checks) = doctor(&files);
            let bad = bad(&checks);
            assert!(bad.len() == 1 && bad[0].contains(message), "{path}: {bad:#?}");
            let note = path == "bin/xrt-smi";
            assert!(bad[0].starts_with(if note { "note     " } else { "MISSING  " }), "{bad:?}");
        }
        for (path, message) in [
            ("sys/module/amdxdna/version", "modprobe amdxdna"),
            ("lib/libxrt_coreutil.so.2", "XRT is not installed: no libxrt_coreutil.so.2 in"),
            ("lib/firmware/amdnpu/1502_00/npu.sbin.xz", "install linux-firmware"),
            ("bin/aiecc", "aiecc is neither on PATH nor"),
            ("bin/xclbinutil", "xclbinutil is not on PATH"),
            ("peano/bin/llvm-objcopy", "llvm-objcopy is not there"),
        ] {
            let files: Vec<_> = equipped().into_iter().filter(|f| f.0 != path).collect();
            let (_folder, checks) = doctor(&files);
            let bad = bad(&checks);
            assert!(bad.len() == 1 && bad[0].contains(message), "{path}: {bad:#?}");
        }
    }

    #[test]
    fn what_the_doctor_cannot_see_is_no_fault() {
        let unseen = ["sys/class/accel/accel0/device/fw_version", "bin/xrt-smi", "proc/sys/kernel/osrelease"];
        let files: Vec<_> = equipped().into_iter().filter(|f| !unseen.contains(&f.0)).collect();
        let (_folder, checks) = doctor(&files);
        assert!(bad(&checks).is_empty());
        let unknown: Vec<&str> =
            checks.iter().filter(|c| matches!(c.found, Found::Unknown(_))).map(|c| c.name).collect();
        assert_eq!(unknown, ["firmware version", "power mode"]);
    }

    #[test]
    fn a_program_without_bindings_says_how_to_get_them() {
        let (_folder, mut machine) = machine(&READY);
        machine.bindings = false;
        let e = machine.npu_status().unwrap_err().to_string();
        assert!(e.contains("built without XRT: install libxrt-dev and libxrt-npu2, rebuild"), "{e}");
        machine.peano = None;
        let checks = machine.doctor();
        let peano = checks.iter().find(|c| c.name == "Peano").unwrap();
        assert_eq!((peano.needed, &peano.found), (Needed::ToBuild, &Found::Bad(Missing::PeanoUnset)));
    }
}
