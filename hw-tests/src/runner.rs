//! One design on a device.

use crate::artifacts::Artifacts;
use crate::error::{Doing, PredictedMs, RunError, classify};
use kiln_dsl::emit::bundle::ManifestBuffer;
use std::time::{Duration, Instant};
use xrt_sys::{Buffer, BufferKind, CommandState, Kernel, Run, Xrt};

/// How long one wait lasts before the request to stop is looked at.
const SLICE_MS: u64 = 100;

/// Limits of a run.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Longest time.
    pub limit: Duration,
    /// Predicted time, for messages.
    pub predicted_ms: Option<f64>,
    /// Whether somebody asks to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Patience<'static> {
    /// Waits this long and cannot be stopped.
    pub fn of(limit: Duration) -> Patience<'static> {
        Patience { limit, predicted_ms: None, stopped: &|| false }
    }
}

/// A design on the array, with its buffers.
#[derive(Debug)]
pub struct Runner {
    design: String,
    declared: Vec<ManifestBuffer>,
    run: Run,
    buffers: Vec<Buffer>,
    kernel: Kernel,
    launch: Launch,
    completed: u64,
}

/// The arguments that are the same for every run.
#[derive(Debug)]
struct Launch {
    opcode: u64,
    instructions: Buffer,
    words: u32,
    first_buffer: u32,
}

impl Runner {
    /// Puts a design on device 0.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn open(xrt: &Xrt, artifacts: &Artifacts) -> Result<Runner, RunError> {
        let manifest = &artifacts.manifest;
        let as_is = |e| classify(e, Doing::Running);
        let device = xrt.device(0).map_err(|e| classify(e, Doing::Opening))?;
        let context = device.context(&artifacts.xclbin).map_err(|e| classify(e, Doing::MakingContext))?;
        let kernel = context.kernel(&manifest.launch.kernel).map_err(as_is)?;
        let allocate = |bytes: usize, kind, argument: u32| {
            let group = kernel.group(argument as i32).map_err(as_is)?;
            let doing = Doing::Allocating { bytes: bytes as u64 };
            device.buffer(bytes, kind, group).map_err(|e| classify(e, doing))
        };
        let instructions = allocate(artifacts.instructions.len(), BufferKind::Cacheable, 1)?;
        instructions.write(&artifacts.instructions).map_err(as_is)?;
        let first_buffer = manifest.launch.first_buffer_argument;
        let buffers: Result<Vec<Buffer>, RunError> = manifest
            .buffers
            .iter()
            .zip(first_buffer..)
            .map(|(b, argument)| allocate(b.bytes as usize, BufferKind::HostOnly, argument))
            .collect();
        let words = manifest.launch.instruction_words as u32;
        let launch = Launch { opcode: manifest.launch.opcode, instructions, words, first_buffer };
        let buffers = buffers?;
        let run = prepare(&kernel, &launch, &buffers)?;
        let design = manifest.design.clone();
        Ok(Runner { design, declared: manifest.buffers.clone(), run, buffers, kernel, launch, completed: 0 })
    }

    /// Runs the sequence once. `host` holds the buffers' bytes in order, and the results afterwards; buffers that the array
    /// does not write stay as they are. The time is from start to end of the run, without copies of the host.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run(&mut self, host: &mut [Vec<u8>], patience: &Patience<'_>) -> Result<Duration, RunError> {
        self.write(host)?;
        let time = self.again(patience)?;
        for ((declared, buffer), bytes) in self.declared.iter().zip(&self.buffers).zip(host) {
            if declared.direction.is_written() {
                *bytes = buffer.read().map_err(|e| classify(e, Doing::Running))?;
            }
        }
        Ok(time)
    }

    /// Puts the buffers' bytes where the device sees them.
    ///
    /// # Errors
    /// When they are not of the sizes of the manifest, or the device refuses.
    pub fn write(&self, host: &[Vec<u8>]) -> Result<(), RunError> {
        let wrong = |buffer: &str, got: usize, expected: u64| RunError::Buffer {
            design: self.design.clone(),
            buffer: buffer.to_owned(),
            got: got as u64,
            expected,
        };
        if host.len() != self.declared.len() {
            return Err(wrong("count", host.len(), self.declared.len() as u64));
        }
        for ((declared, buffer), bytes) in self.declared.iter().zip(&self.buffers).zip(host) {
            if bytes.len() as u64 != declared.bytes {
                return Err(wrong(&declared.name, bytes.len(), declared.bytes));
            }
            buffer.write(bytes).map_err(|e| classify(e, Doing::Running))?;
        }
        Ok(())
    }

    /// Runs the sequence on what the buffers hold.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn again(&mut self, patience: &Patience<'_>) -> Result<Duration, RunError> {
        if (patience.stopped)() {
            return Err(RunError::Stopped { design: self.design.clone() });
        }
        let begin = Instant::now();
        self.run.start().map_err(|e| classify(e, Doing::Running))?;
        let state = loop {
            let left = patience.limit.saturating_sub(begin.elapsed());
            let slice = (left.as_millis() as u64).clamp(1, SLICE_MS) as u32;
            match self.run.wait(slice).map_err(|e| classify(e, Doing::Running))? {
                CommandState::Timeout if (patience.stopped)() => {
                    // Whatever the driver says of it: the user wants to go.
                    let _ = self.run.abort();
                    return Err(RunError::Stopped { design: self.design.clone() });
                }
                CommandState::Timeout if begin.elapsed() < patience.limit => {}
                state => break state,
            }
        };
        let time = begin.elapsed();
        self.judge(state, patience).map(|()| time)
    }

    /// Runs the sequence `count` times as one list, and gives the time of all. Each works on what the one before left.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn list(&mut self, count: usize, patience: &Patience<'_>) -> Result<Duration, RunError> {
        let running = |e| classify(e, Doing::Running);
        let mut list = self.kernel.context().run_list().map_err(running)?;
        for _ in 0..count {
            if (patience.stopped)() {
                return Err(RunError::Stopped { design: self.design.clone() });
            }
            list.add(prepare(&self.kernel, &self.launch, &self.buffers)?).map_err(running)?;
        }
        let begin = Instant::now();
        list.start().map_err(running)?;
        let limit = patience.limit.as_millis().clamp(1, u32::MAX.into()) as u32;
        let state = list.wait(limit).or_else(|e| match e.cause {
            xrt_sys::Cause::Command(state) => Ok(state),
            _ => Err(running(e)),
        })?;
        let time = begin.elapsed();
        self.judge(state, patience).map(|()| time)
    }

    fn judge(&mut self, state: CommandState, patience: &Patience<'_>) -> Result<(), RunError> {
        let design = self.design.clone();
        match state {
            CommandState::Completed => {
                self.completed += 1;
                Ok(())
            }
            CommandState::Timeout => {
                // The driver resets what it cannot take back.
                let _ = self.run.abort();
                let limit_ms = patience.limit.as_millis() as u64;
                let predicted_ms = patience.predicted_ms.map(PredictedMs);
                Err(RunError::TimedOut { design, limit_ms, predicted_ms })
            }
            state if self.completed == 0 => Err(RunError::Firmware { design, state }),
            state => Err(RunError::Aborted { design, state }),
        }
    }
}

/// A run with all its arguments.
fn prepare(kernel: &Kernel, launch: &Launch, buffers: &[Buffer]) -> Result<Run, RunError> {
    let set = || {
        let mut run = kernel.run()?;
        run.set_u64(0, launch.opcode)?;
        run.set_buffer(1, &launch.instructions)?;
        run.set_u32(2, launch.words)?;
        for (buffer, argument) in buffers.iter().zip(launch.first_buffer..) {
            run.set_buffer(argument as i32, buffer)?;
        }
        Ok(run)
    };
    set().map_err(|e| classify(e, Doing::Running))
}
