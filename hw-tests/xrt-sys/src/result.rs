//! The table's functions with errors instead of status codes. Handles are still the caller's to close.

use crate::sys::{self, Api, Handle};
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use thiserror::Error;

/// State of a command, XRT's `ert_cmd_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandState {
    /// Done.
    Completed,
    /// The command failed.
    Error,
    /// The driver or firmware gave it up.
    Abort,
    /// It is not done yet, or was reset after its time.
    Timeout,
    /// The firmware did not answer.
    NoResponse,
    /// Any other, by number.
    Other(i32),
}

impl CommandState {
    /// From XRT's number.
    pub const fn from_ert(state: i32) -> CommandState {
        match state {
            4 => CommandState::Completed,
            5 => CommandState::Error,
            6 => CommandState::Abort,
            8 => CommandState::Timeout,
            9 => CommandState::NoResponse,
            other => CommandState::Other(other),
        }
    }
}

impl fmt::Display for CommandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandState::Completed => f.write_str("ERT_CMD_STATE_COMPLETED"),
            CommandState::Error => f.write_str("ERT_CMD_STATE_ERROR"),
            CommandState::Abort => f.write_str("ERT_CMD_STATE_ABORT"),
            CommandState::Timeout => f.write_str("ERT_CMD_STATE_TIMEOUT"),
            CommandState::NoResponse => f.write_str("ERT_CMD_STATE_NORESPONSE"),
            CommandState::Other(state) => write!(f, "ert_cmd_state {state}"),
        }
    }
}

/// What kind of failure a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The system refused, with this `errno`.
    System(i32),
    /// A command failed, in this state.
    Command(CommandState),
    /// No memory.
    Memory,
    /// Anything else: only the message says.
    Other,
}

/// A failed call of XRT.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("XRT, {call}: {message}")]
pub struct XrtError {
    /// The call.
    pub call: &'static str,
    /// Its kind.
    pub cause: Cause,
    /// XRT's own words.
    pub message: String,
}

/// Runs one call of the table.
fn call(name: &'static str, body: impl FnOnce(*mut sys::Error) -> i32) -> Result<(), XrtError> {
    let mut error = sys::Error { kind: 0, code: 0, message: [0; 1024] };
    if body(&raw mut error) == 0 {
        return Ok(());
    }
    let bytes: Vec<u8> = error.message.iter().map(|&c| c as u8).take_while(|&b| b != 0).collect();
    let cause = match error.kind {
        sys::SYSTEM => Cause::System(error.code),
        sys::COMMAND => Cause::Command(CommandState::from_ert(error.code)),
        sys::MEMORY => Cause::Memory,
        _ => Cause::Other,
    };
    Err(XrtError { call: name, cause, message: String::from_utf8_lossy(&bytes).into_owned() })
}

/// A call that gives a handle.
fn open(
    name: &'static str,
    body: impl FnOnce(*mut Handle, *mut sys::Error) -> i32,
) -> Result<Handle, XrtError> {
    let mut handle: Handle = std::ptr::null_mut();
    call(name, |error| body(&raw mut handle, error))?;
    if handle.is_null() {
        let message = "no error, and no handle".to_owned();
        return Err(XrtError { call: name, cause: Cause::Other, message });
    }
    Ok(handle)
}

// SAFETY, of every function below: the callers in `safe` pass handles of the kind that the function wants, made by the
// same table and not closed; the pointers made here live over the call, with the sizes given.

/// The device of an index.
pub(crate) fn device_open(api: &Api, index: u32) -> Result<Handle, XrtError> {
    open("device", |out, e| unsafe { (api.device_open)(api.this, index, out, e) })
}

pub(crate) fn device_name(api: &Api, device: Handle) -> Result<String, XrtError> {
    let mut name = [0 as c_char; 256];
    call("device::get_info", |e| unsafe { (api.device_name)(device, name.as_mut_ptr(), name.len(), e) })?;
    name[255] = 0;
    // SAFETY: the last byte is a zero.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

pub(crate) fn context_open(api: &Api, device: Handle, xclbin: &[u8]) -> Result<Handle, XrtError> {
    open("hw_context", |out, e| unsafe { (api.context_open)(device, xclbin.as_ptr(), xclbin.len(), out, e) })
}

pub(crate) fn kernel_open(api: &Api, context: Handle, name: &str) -> Result<Handle, XrtError> {
    let Ok(c_name) = CString::new(name) else {
        let message = format!("a kernel's name has no zero byte: {name:?}");
        return Err(XrtError { call: "kernel", cause: Cause::Other, message });
    };
    open("kernel", |out, e| unsafe { (api.kernel_open)(context, c_name.as_ptr(), out, e) })
}

pub(crate) fn kernel_group(api: &Api, kernel: Handle, argument: i32) -> Result<u32, XrtError> {
    let mut group = 0;
    call("kernel::group_id", |e| unsafe { (api.kernel_group)(kernel, argument, &raw mut group, e) })?;
    Ok(group)
}

pub(crate) fn buffer_open(
    api: &Api,
    device: Handle,
    bytes: usize,
    kind: i32,
    group: u32,
) -> Result<Handle, XrtError> {
    open("bo", |out, e| unsafe { (api.buffer_open)(device, bytes, kind, group, out, e) })
}

pub(crate) fn buffer_write(api: &Api, buffer: Handle, bytes: &[u8]) -> Result<(), XrtError> {
    call("bo::sync to the device", |e| unsafe { (api.buffer_write)(buffer, bytes.as_ptr(), bytes.len(), e) })
}

pub(crate) fn buffer_read(api: &Api, buffer: Handle, bytes: &mut [u8]) -> Result<(), XrtError> {
    call("bo::sync from the device", |e| unsafe {
        (api.buffer_read)(buffer, bytes.as_mut_ptr(), bytes.len(), e)
    })
}

pub(crate) fn run_open(api: &Api, kernel: Handle) -> Result<Handle, XrtError> {
    open("run", |out, e| unsafe { (api.run_open)(kernel, out, e) })
}

pub(crate) fn run_set_u32(api: &Api, run: Handle, argument: i32, value: u32) -> Result<(), XrtError> {
    call("run::set_arg", |e| unsafe { (api.run_set_u32)(run, argument, value, e) })
}

pub(crate) fn run_set_u64(api: &Api, run: Handle, argument: i32, value: u64) -> Result<(), XrtError> {
    call("run::set_arg", |e| unsafe { (api.run_set_u64)(run, argument, value, e) })
}

pub(crate) fn run_set_buffer(api: &Api, run: Handle, argument: i32, buffer: Handle) -> Result<(), XrtError> {
    call("run::set_arg", |e| unsafe { (api.run_set_buffer)(run, argument, buffer, e) })
}

pub(crate) fn run_start(api: &Api, run: Handle) -> Result<(), XrtError> {
    call("run::start", |e| unsafe { (api.run_start)(run, e) })
}

pub(crate) fn run_wait(api: &Api, run: Handle, timeout_ms: u32) -> Result<CommandState, XrtError> {
    let mut state = 0;
    call("run::wait", |e| unsafe { (api.run_wait)(run, timeout_ms.max(1), &raw mut state, e) })?;
    Ok(CommandState::from_ert(state))
}

pub(crate) fn run_abort(api: &Api, run: Handle) -> Result<(), XrtError> {
    call("run::abort", |e| unsafe { (api.run_abort)(run, e) })
}

pub(crate) fn runlist_open(api: &Api, context: Handle) -> Result<Handle, XrtError> {
    open("runlist", |out, e| unsafe { (api.runlist_open)(context, out, e) })
}

pub(crate) fn runlist_add(api: &Api, runlist: Handle, run: Handle) -> Result<(), XrtError> {
    call("runlist::add", |e| unsafe { (api.runlist_add)(runlist, run, e) })
}

pub(crate) fn runlist_execute(api: &Api, runlist: Handle) -> Result<(), XrtError> {
    call("runlist::execute", |e| unsafe { (api.runlist_execute)(runlist, e) })
}

pub(crate) fn runlist_wait(api: &Api, runlist: Handle, timeout_ms: u32) -> Result<CommandState, XrtError> {
    let mut state = 0;
    call("runlist::wait", |e| unsafe { (api.runlist_wait)(runlist, timeout_ms.max(1), &raw mut state, e) })?;
    Ok(CommandState::from_ert(state))
}
