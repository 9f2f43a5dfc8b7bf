//! Why a run on the device failed, in words that say what to do.

use thiserror::Error;
use xrt_sys::{Cause, CommandState, XrtError};

/// Why a design did not run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// This program cannot call XRT.
    #[error("{}\n  ({})", xrt_sys::WITHOUT_XRT, xrt_sys::BUILD)]
    WithoutXrt,
    /// XRT sees no NPU.
    #[error(
        "{0}: XRT sees no NPU\n  help: `hwrun doctor` looks at driver, device node and XRT's plug-in; a low limit of locked memory hides the device too"
    )]
    NoDevice(XrtError),
    /// The device node is closed to this user.
    #[error(
        "{0}: this user may not open the NPU\n  help: `sudo usermod -aG render $USER`, then log in again"
    )]
    Permission(XrtError),
    /// Memory could not be locked.
    #[error(
        "{error}: {bytes} B could not be locked in memory\n  help: `ulimit -l unlimited`, or `* - memlock unlimited` in /etc/security/limits.d, then log in again"
    )]
    LockedMemory {
        /// XRT's error.
        error: XrtError,
        /// Size of the buffer.
        bytes: u64,
    },
    /// No hardware context.
    #[error(
        "{0}: the NPU gives no context; it has 6, and all its columns may be taken\n  help: end other programs that use the NPU (`xrt-smi examine --report aie-partitions` lists them); after a crash, reload amdxdna"
    )]
    NoContext(XrtError),
    /// The first command in a context is given up.
    #[error(
        "{design}: {state} at once, before the NPU completed anything: its firmware does not fit the driver, or it hangs from an earlier run\n  help: `hwrun doctor` shows both versions; install firmware and amdxdna from one source, then reload amdxdna or reboot"
    )]
    Firmware {
        /// Name of the design.
        design: String,
        /// How the command ended.
        state: CommandState,
    },
    /// A command is given up after others were completed.
    #[error(
        "{design}: the run ended as {state}\n  help: see `dmesg | grep amdxdna`; a core that waits too long is reset: `kiln run` shows whether the design ends on the simulator"
    )]
    Aborted {
        /// Name of the design.
        design: String,
        /// How the command ended.
        state: CommandState,
    },
    /// A run took too long.
    #[error("{design}: not done after {limit_ms} ms, and taken back{}\n  help: a deadlock, or a longer run than --timeout-ms allows; the NPU may stay wedged until amdxdna is reloaded",
        predicted_ms.map_or(String::new(), |PredictedMs(ms)| format!("; predicted {ms:.3} ms")))]
    TimedOut {
        /// Name of the design.
        design: String,
        /// Time allowed.
        limit_ms: u64,
        /// Time predicted, where it is known; compared as bits.
        predicted_ms: Option<PredictedMs>,
    },
    /// The device went away.
    #[error(
        "{0}: the NPU went away during the run\n  help: see `dmesg | grep amdxdna`; reload the driver (`sudo modprobe -r amdxdna; sudo modprobe amdxdna`), or reboot"
    )]
    DeviceLost(XrtError),
    /// Something asked the run to stop.
    #[error("{design}: stopped")]
    Stopped {
        /// Name of the design.
        design: String,
    },
    /// Host buffers that are not the design's.
    #[error("{design}: buffer {buffer} has {got} B, expected {expected} B")]
    Buffer {
        /// Name of the design.
        design: String,
        /// Name of the buffer, or how many there are.
        buffer: String,
        /// Size given.
        got: u64,
        /// Size in the manifest.
        expected: u64,
    },
    /// Anything else that XRT says.
    #[error("{0}\n  help: `hwrun doctor` looks at everything that a run needs")]
    Xrt(XrtError),
}

/// A time in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct PredictedMs(pub f64);

impl PartialEq for PredictedMs {
    fn eq(&self, other: &PredictedMs) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for PredictedMs {}

impl std::fmt::Display for PredictedMs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

mod errno {
    pub const EPERM: i32 = 1;
    pub const EIO: i32 = 5;
    pub const ENXIO: i32 = 6;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EBUSY: i32 = 16;
    pub const ENODEV: i32 = 19;
    pub const EINVAL: i32 = 22;
    pub const ENOSPC: i32 = 28;
}

/// What a run was doing when XRT failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Opening,
    MakingContext,
    Allocating { bytes: u64 },
    Running,
}

/// An error of XRT in the light of what was done.
pub(crate) fn classify(error: XrtError, doing: Doing) -> RunError {
    use errno::{EACCES, EAGAIN, EBUSY, EINVAL, EIO, ENODEV, ENOMEM, ENOSPC, ENXIO, EPERM};
    match (doing, error.cause) {
        (_, Cause::System(EACCES | EPERM)) => RunError::Permission(error),
        (Doing::Opening, _) => RunError::NoDevice(error),
        (_, Cause::System(ENODEV | ENXIO | EIO)) => RunError::DeviceLost(error),
        (Doing::Allocating { bytes }, Cause::System(EAGAIN | ENOMEM | ENOSPC) | Cause::Memory) => {
            RunError::LockedMemory { error, bytes }
        }
        (Doing::MakingContext, Cause::System(EINVAL | EBUSY | ENOSPC | ENOMEM | EAGAIN)) => {
            RunError::NoContext(error)
        }
        _ => RunError::Xrt(error),
    }
}
