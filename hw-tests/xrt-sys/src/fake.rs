//! An XRT without a device: the same table of functions, over a [`Machine`] that executes, with faults to order.
//!
//! It holds callers to the rules of the real one: arguments where the kernel has them, buffers of the argument's group,
//! instructions in a cacheable buffer, six contexts at most. Messages are those of XRT and its NPU driver.

use crate::safe::Xrt;
use crate::sys::{self, Api, Error, Handle};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::rc::Rc;

/// Contexts that the Phoenix NPU has (`hwctx_limit` of its driver).
const CONTEXTS: usize = 6;
/// Opcode that runs an instruction stream.
const OPCODE: u64 = 3;
/// Memory groups of the arguments, as the toolchain's xclbins have them.
const GROUP_INSTRUCTIONS: u32 = 1;
const GROUP_DATA: u32 = 0x1_0000;

/// What executes in place of the array.
pub trait Machine {
    /// Whether these bytes are an xclbin for it; else what XRT would say.
    ///
    /// # Errors
    /// The message.
    fn load(&mut self, xclbin: &[u8]) -> Result<(), String>;

    /// Runs the instructions of a kernel on the buffers of arguments 3 and up, which hold the results afterwards.
    ///
    /// # Errors
    /// What made the array stop; the command then ends as aborted.
    fn run(&mut self, xclbin: &[u8], instructions: &[u32], buffers: &mut [Vec<u8>]) -> Result<(), String>;
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No device.
    NoDevice,
    /// The device node may not be opened.
    Permission,
    /// Buffers cannot be locked in memory.
    LockedMemory,
    /// Another program has all contexts.
    NoContext,
    /// The firmware answers nothing after the context is made.
    Firmware,
    /// A run does not end.
    TimeOut,
    /// A run is aborted.
    Abort,
    /// The device goes away when a run starts.
    DeviceLost,
    /// A run writes the lowest bit of a byte wrong: the first that it changes.
    WrongBit,
}

impl Fault {
    /// The fault of a name, as programs take it: `no-device`, `permission`, `memlock`, `no-context`, `firmware`,
    /// `timeout`, `abort`, `device-lost` or `wrong-bit`.
    pub fn named(name: &str) -> Option<Fault> {
        Fault::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, fault)| fault)
    }

    /// Every fault with its name.
    pub const NAMES: [(&str, Fault); 9] = [
        ("no-device", Fault::NoDevice),
        ("permission", Fault::Permission),
        ("memlock", Fault::LockedMemory),
        ("no-context", Fault::NoContext),
        ("firmware", Fault::Firmware),
        ("timeout", Fault::TimeOut),
        ("abort", Fault::Abort),
        ("device-lost", Fault::DeviceLost),
        ("wrong-bit", Fault::WrongBit),
    ];
}

/// The stand-in. What it hands out keeps it alive.
#[derive(Clone)]
pub struct FakeXrt {
    state: Rc<State>,
}

impl std::fmt::Debug for FakeXrt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeXrt").field("live", &self.live()).finish_non_exhaustive()
    }
}

struct State {
    machine: RefCell<Box<dyn Machine>>,
    /// With how many calls that could meet it each still waits.
    faults: RefCell<Vec<(Fault, u32)>>,
    live: Cell<usize>,
    contexts: Cell<usize>,
}

impl FakeXrt {
    /// A stand-in over `machine`.
    pub fn new(machine: impl Machine + 'static) -> FakeXrt {
        let state = State {
            machine: RefCell::new(Box::new(machine)),
            faults: RefCell::new(Vec::new()),
            live: Cell::new(0),
            contexts: Cell::new(0),
        };
        FakeXrt { state: Rc::new(state) }
    }

    /// Orders a fault: the call after `skip` others that could meet it does, once.
    pub fn order(&self, fault: Fault, skip: u32) {
        self.state.faults.borrow_mut().push((fault, skip));
    }

    /// Handles that nobody has closed yet.
    pub fn live(&self) -> usize {
        self.state.live.get()
    }

    /// As callers see it.
    pub fn xrt(&self) -> Xrt {
        let this = Rc::as_ptr(&self.state).cast_mut().cast::<c_void>();
        let api = Api {
            version: sys::VERSION,
            bytes: size_of::<Api>() as u32,
            this,
            device_open,
            device_name,
            device_close: close,
            context_open,
            context_close: close,
            kernel_open,
            kernel_group,
            kernel_close: close,
            buffer_open,
            buffer_write,
            buffer_read,
            buffer_close: close,
            run_open,
            run_set_u32,
            run_set_u64,
            run_set_buffer,
            run_start,
            run_wait,
            run_abort,
            run_close: close,
            runlist_open,
            runlist_add,
            runlist_execute,
            runlist_wait,
            runlist_close: close,
        };
        Xrt::with(api, self.state.clone())
    }
}

impl State {
    /// Whether a fault of this kind is due now.
    fn due(&self, matches: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.borrow_mut();
        let at = faults.iter().position(|(fault, _)| matches(*fault))?;
        if faults[at].1 > 0 {
            faults[at].1 -= 1;
            return None;
        }
        Some(faults.remove(at).0)
    }
}

/// What a handle points at.
struct Object {
    state: Rc<State>,
    kind: Kind,
}

enum Kind {
    Device,
    Context { xclbin: Rc<Vec<u8>>, firmware: bool },
    Kernel { xclbin: Rc<Vec<u8>>, firmware: bool },
    Buffer { bytes: Rc<RefCell<Vec<u8>>>, kind: i32, group: u32 },
    Run(Rc<Execution>),
    RunList { runs: RefCell<Vec<Rc<Execution>>> },
}

enum Value {
    Integer(u64),
    Buffer { bytes: Rc<RefCell<Vec<u8>>>, kind: i32 },
}

struct Execution {
    xclbin: Rc<Vec<u8>>,
    firmware: bool,
    arguments: RefCell<BTreeMap<i32, Value>>,
    /// `ert_cmd_state`; 1 is new.
    status: Cell<i32>,
}

const NEW: i32 = 1;
const RUNNING: i32 = 3;
const COMPLETED: i32 = 4;
const ABORT: i32 = 6;
const TIMEOUT: i32 = 8;

const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;

/// Kind, code and message of an error.
type Failure = (i32, i32, String);

fn system(code: i32, message: &str) -> Failure {
    (sys::SYSTEM, code, message.to_owned())
}

fn other(message: impl Into<String>) -> Failure {
    (sys::OTHER, 0, message.into())
}

/// Status code and error of a call.
fn answer(error: *mut Error, result: Result<(), Failure>) -> i32 {
    let Err((kind, code, message)) = result else { return 0 };
    // SAFETY: callers pass null or an error of their own.
    if let Some(error) = unsafe { error.as_mut() } {
        error.kind = kind;
        error.code = code;
        let room = error.message.len() - 1;
        let bytes = message.bytes().take(room).chain([0]);
        error.message.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte as c_char);
    }
    -1
}

/// Gives a new handle.
fn give(state: &Rc<State>, kind: Kind, out: *mut Handle) {
    state.live.set(state.live.get() + 1);
    let object = Box::new(Object { state: state.clone(), kind });
    // SAFETY: callers pass a place for the handle.
    unsafe { *out = Box::into_raw(object).cast() };
}

/// What a handle points at.
fn object<'a>(handle: Handle) -> &'a Object {
    // SAFETY: `safe` passes handles that `give` made and `close` has not taken, and drops no reference later than that.
    unsafe { &*handle.cast::<Object>() }
}

extern "C" fn close(handle: Handle) {
    // SAFETY: as for `object`; a handle is closed once.
    let object = unsafe { Box::from_raw(handle.cast::<Object>()) };
    let state = &object.state;
    state.live.set(state.live.get() - 1);
    if matches!(object.kind, Kind::Context { .. }) {
        state.contexts.set(state.contexts.get() - 1);
    }
}

extern "C" fn device_open(this: *mut c_void, index: u32, out: *mut Handle, error: *mut Error) -> i32 {
    // SAFETY: `this` is the state's address from `xrt`, alive as long as the table; the count goes up for the clone.
    let state = unsafe {
        Rc::increment_strong_count(this.cast::<State>());
        Rc::from_raw(this.cast::<State>())
    };
    let open = || {
        if index > 0 || state.due(|f| f == Fault::NoDevice).is_some() {
            return Err(other(format!("No such device with index '{index}'")));
        }
        if state.due(|f| f == Fault::Permission).is_some() {
            return Err(system(EACCES, "Failed to open /dev/accel/accel0 (err=-13): Permission denied"));
        }
        give(&state, Kind::Device, out);
        Ok(())
    };
    answer(error, open())
}

extern "C" fn device_name(_: Handle, name: *mut c_char, bytes: usize, _: *mut Error) -> i32 {
    for (at, byte) in b"simulated NPU\0".iter().take(bytes).enumerate() {
        // SAFETY: `name` has `bytes` places.
        unsafe { *name.add(at) = *byte as c_char };
    }
    0
}

extern "C" fn context_open(
    device: Handle,
    xclbin: *const u8,
    bytes: usize,
    out: *mut Handle,
    error: *mut Error,
) -> i32 {
    let state = &object(device).state;
    // SAFETY: callers pass that many bytes.
    let xclbin = unsafe { std::slice::from_raw_parts(xclbin, bytes) };
    let open = || {
        state.machine.borrow_mut().load(xclbin).map_err(other)?;
        if state.contexts.get() == CONTEXTS || state.due(|f| f == Fault::NoContext).is_some() {
            return Err(system(
                EINVAL,
                "DRM_IOCTL_AMDXDNA_CREATE_HWCTX IOCTL failed (err=-22): Invalid argument",
            ));
        }
        let firmware = state.due(|f| f == Fault::Firmware).is_none();
        state.contexts.set(state.contexts.get() + 1);
        give(state, Kind::Context { xclbin: Rc::new(xclbin.to_vec()), firmware }, out);
        Ok(())
    };
    answer(error, open())
}

extern "C" fn kernel_open(context: Handle, name: *const c_char, out: *mut Handle, error: *mut Error) -> i32 {
    // SAFETY: callers pass a text that a zero ends.
    let name = unsafe { CStr::from_ptr(name) };
    let of = object(context);
    let open = || match &of.kind {
        Kind::Context { xclbin, firmware } if name.to_bytes() == b"MLIR_AIE" => {
            give(&of.state, Kind::Kernel { xclbin: xclbin.clone(), firmware: *firmware }, out);
            Ok(())
        }
        _ => Err(other(format!("No kernel matching '{}' found in xclbin", name.to_string_lossy()))),
    };
    answer(error, open())
}

fn group_of(argument: i32) -> Result<u32, Failure> {
    match argument {
        1 => Ok(GROUP_INSTRUCTIONS),
        3..=18 => Ok(GROUP_DATA),
        _ => Err(other(format!("No memory group for kernel argument {argument}"))),
    }
}

extern "C" fn kernel_group(_: Handle, argument: i32, group: *mut u32, error: *mut Error) -> i32 {
    let ask = || {
        // SAFETY: callers pass a place for the group.
        unsafe { *group = group_of(argument)? };
        Ok(())
    };
    answer(error, ask())
}

extern "C" fn buffer_open(
    device: Handle,
    bytes: usize,
    kind: i32,
    group: u32,
    out: *mut Handle,
    error: *mut Error,
) -> i32 {
    let state = &object(device).state;
    let open = || {
        if state.due(|f| f == Fault::LockedMemory).is_some() {
            let message = format!("mmap(len={bytes}) failed (err=-11): Resource temporarily unavailable");
            return Err(system(EAGAIN, &message));
        }
        let bytes = Rc::new(RefCell::new(vec![0; bytes]));
        give(state, Kind::Buffer { bytes, kind, group }, out);
        Ok(())
    };
    answer(error, open())
}

fn buffer_bytes<'a>(handle: Handle) -> Result<&'a Rc<RefCell<Vec<u8>>>, Failure> {
    match &object(handle).kind {
        Kind::Buffer { bytes, .. } => Ok(bytes),
        _ => Err(other("not a buffer")),
    }
}

extern "C" fn buffer_write(buffer: Handle, from: *const u8, bytes: usize, error: *mut Error) -> i32 {
    let write = || {
        // SAFETY: callers pass that many bytes.
        let from = unsafe { std::slice::from_raw_parts(from, bytes) };
        buffer_bytes(buffer)?.borrow_mut()[..bytes].copy_from_slice(from);
        Ok(())
    };
    answer(error, write())
}

extern "C" fn buffer_read(buffer: Handle, to: *mut u8, bytes: usize, error: *mut Error) -> i32 {
    let read = || {
        // SAFETY: callers pass a place for that many bytes.
        let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        to.copy_from_slice(&buffer_bytes(buffer)?.borrow()[..bytes]);
        Ok(())
    };
    answer(error, read())
}

extern "C" fn run_open(kernel: Handle, out: *mut Handle, error: *mut Error) -> i32 {
    let of = object(kernel);
    let open = || {
        let Kind::Kernel { xclbin, firmware } = &of.kind else { return Err(other("not a kernel")) };
        let execution = Execution {
            xclbin: xclbin.clone(),
            firmware: *firmware,
            arguments: RefCell::new(BTreeMap::new()),
            status: Cell::new(NEW),
        };
        give(&of.state, Kind::Run(Rc::new(execution)), out);
        Ok(())
    };
    answer(error, open())
}

fn execution<'a>(run: Handle) -> Result<&'a Rc<Execution>, Failure> {
    match &object(run).kind {
        Kind::Run(execution) => Ok(execution),
        _ => Err(other("not a run")),
    }
}

fn set(run: Handle, argument: i32, value: Value) -> Result<(), Failure> {
    let fits = match (&value, argument) {
        (Value::Integer(_), 0 | 2) => true,
        (Value::Buffer { kind, .. }, 1) => *kind == sys::CACHEABLE,
        (Value::Buffer { kind, .. }, 3..=18) => *kind == sys::HOST_ONLY,
        _ => false,
    };
    if !fits {
        return Err(other(format!("kernel argument {argument} does not take this value")));
    }
    execution(run)?.arguments.borrow_mut().insert(argument, value);
    Ok(())
}

extern "C" fn run_set_u32(run: Handle, argument: i32, value: u32, error: *mut Error) -> i32 {
    answer(error, set(run, argument, Value::Integer(value.into())))
}

extern "C" fn run_set_u64(run: Handle, argument: i32, value: u64, error: *mut Error) -> i32 {
    answer(error, set(run, argument, Value::Integer(value)))
}

extern "C" fn run_set_buffer(run: Handle, argument: i32, buffer: Handle, error: *mut Error) -> i32 {
    let put = || {
        let Kind::Buffer { bytes, kind, group } = &object(buffer).kind else {
            return Err(other("not a buffer"));
        };
        if *group != group_of(argument)? {
            return Err(other(format!("buffer of group {group} for kernel argument {argument}")));
        }
        set(run, argument, Value::Buffer { bytes: bytes.clone(), kind: *kind })
    };
    answer(error, put())
}

/// Executes at once; waiting only asks how it went.
fn execute(state: &State, run: &Execution) -> Result<(), Failure> {
    if state.due(|f| f == Fault::DeviceLost).is_some() {
        return Err(system(ENODEV, "DRM_IOCTL_AMDXDNA_EXEC_CMD IOCTL failed (err=-19): No such device"));
    }
    let due = state.due(|f| matches!(f, Fault::TimeOut | Fault::Abort | Fault::WrongBit));
    if !run.firmware || due == Some(Fault::Abort) {
        run.status.set(ABORT);
        return Ok(());
    }
    if due == Some(Fault::TimeOut) {
        run.status.set(RUNNING);
        return Ok(());
    }
    let arguments = run.arguments.borrow();
    let integer = |at: i32| match arguments.get(&at) {
        Some(Value::Integer(value)) => Ok(*value),
        _ => Err(other(format!("kernel argument {at} is not set"))),
    };
    if integer(0)? != OPCODE {
        return Err(other(format!("opcode {}, expected {OPCODE}", integer(0)?)));
    }
    let Some(Value::Buffer { bytes: code, .. }) = arguments.get(&1) else {
        return Err(other("kernel argument 1 is not set"));
    };
    let words = integer(2)? as usize;
    let word = |w: &[u8]| u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
    let instructions: Vec<u32> = code.borrow().chunks_exact(4).take(words).map(word).collect();
    if instructions.len() < words {
        return Err(other(format!("{words} words of instructions in a buffer of {}", instructions.len())));
    }
    let data: Vec<&Rc<RefCell<Vec<u8>>>> = arguments
        .range(3..)
        .filter_map(|(_, value)| match value {
            Value::Buffer { bytes, .. } => Some(bytes),
            Value::Integer(_) => None,
        })
        .collect();
    let mut host: Vec<Vec<u8>> = data.iter().map(|bytes| bytes.borrow().clone()).collect();
    let done = state.machine.borrow_mut().run(&run.xclbin, &instructions, &mut host);
    if due == Some(Fault::WrongBit) {
        let changed = data.iter().zip(&mut host).find_map(|(before, after)| {
            let at = before.borrow().iter().zip(&*after).position(|(old, new)| old != new)?;
            after.get_mut(at)
        });
        if let Some(byte) = changed {
            *byte ^= 1;
        }
    }
    data.iter().zip(host).for_each(|(bytes, new)| *bytes.borrow_mut() = new);
    run.status.set(if done.is_ok() { COMPLETED } else { ABORT });
    Ok(())
}

/// A run that does not end is seen as such at once: tests need not wait.
fn waited(status: i32) -> Result<i32, Failure> {
    match status {
        NEW => Err(system(EIO, "waiting for a run that was not started")),
        RUNNING => Ok(TIMEOUT),
        status => Ok(status),
    }
}

extern "C" fn run_start(run: Handle, error: *mut Error) -> i32 {
    answer(error, execution(run).and_then(|e| execute(&object(run).state, e)))
}

extern "C" fn run_wait(run: Handle, _timeout_ms: u32, state: *mut i32, error: *mut Error) -> i32 {
    let wait = || {
        // SAFETY: callers pass a place for the state.
        unsafe { *state = waited(execution(run)?.status.get())? };
        Ok(())
    };
    answer(error, wait())
}

extern "C" fn run_abort(run: Handle, error: *mut Error) -> i32 {
    answer(error, execution(run).map(|e| e.status.set(ABORT)))
}

extern "C" fn runlist_open(context: Handle, out: *mut Handle, _: *mut Error) -> i32 {
    give(&object(context).state, Kind::RunList { runs: RefCell::new(Vec::new()) }, out);
    0
}

fn listed<'a>(runlist: Handle) -> Result<&'a RefCell<Vec<Rc<Execution>>>, Failure> {
    match &object(runlist).kind {
        Kind::RunList { runs } => Ok(runs),
        _ => Err(other("not a run list")),
    }
}

extern "C" fn runlist_add(runlist: Handle, run: Handle, error: *mut Error) -> i32 {
    let add = || {
        listed(runlist)?.borrow_mut().push(execution(run)?.clone());
        Ok(())
    };
    answer(error, add())
}

extern "C" fn runlist_execute(runlist: Handle, error: *mut Error) -> i32 {
    let state = &object(runlist).state;
    let all = || listed(runlist)?.borrow().iter().try_for_each(|run| execute(state, run));
    answer(error, all())
}

extern "C" fn runlist_wait(runlist: Handle, _timeout_ms: u32, state: *mut i32, error: *mut Error) -> i32 {
    let wait = || {
        let runs = listed(runlist)?.borrow();
        let first_bad = runs.iter().map(|r| r.status.get()).find(|&s| s != COMPLETED);
        match first_bad.map_or(Ok(COMPLETED), waited)? {
            // XRT throws for a list with a failed run.
            status if status != COMPLETED && status != TIMEOUT => {
                Err((sys::COMMAND, status, "runlist failed execution".to_owned()))
            }
            status => {
                // SAFETY: callers pass a place for the state.
                unsafe { *state = status };
                Ok(())
            }
        }
    };
    answer(error, wait())
}

#[cfg(test)]
mod tests;
