//! Handles that close themselves and keep alive what they hang on: a run its kernel and buffers, a kernel its context,
//! a context its device.

use crate::result::{self, CommandState, XrtError};
use crate::sys::{self, Api, Handle};
use std::any::Any;
use std::rc::Rc;

/// XRT, or something that stands for it.
#[derive(Clone, Debug)]
pub struct Xrt {
    table: Rc<Table>,
}

#[derive(Debug)]
struct Table {
    api: Api,
    /// What the table's `this` points into.
    _owner: Option<Rc<dyn Any>>,
}

impl Xrt {
    /// The XRT that this program was built with; `None` when it was built without.
    pub fn real() -> Option<Xrt> {
        Some(Xrt { table: Rc::new(Table { api: sys::real()?, _owner: None }) })
    }

    /// Another table, that stays valid as long as `owner` lives.
    pub(crate) fn with(api: Api, owner: Rc<dyn Any>) -> Xrt {
        Xrt { table: Rc::new(Table { api, _owner: Some(owner) }) }
    }

    fn api(&self) -> &Api {
        &self.table.api
    }

    /// The device of an index, 0 for the NPU of a laptop.
    ///
    /// # Errors
    /// When XRT finds no such device, or may not open it.
    pub fn device(&self, index: u32) -> Result<Device, XrtError> {
        let handle = result::device_open(self.api(), index)?;
        Ok(Device(Rc::new(self.own(handle, self.api().device_close))))
    }

    fn own(&self, handle: Handle, close: unsafe extern "C" fn(Handle)) -> Owned {
        Owned { handle, close, xrt: self.clone() }
    }
}

/// A handle, closed when it goes.
#[derive(Debug)]
struct Owned {
    handle: Handle,
    close: unsafe extern "C" fn(Handle),
    xrt: Xrt,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the handle is of the kind that `close` takes, and nobody else closes it.
        unsafe { (self.close)(self.handle) }
    }
}

/// An NPU.
#[derive(Clone, Debug)]
pub struct Device(Rc<Owned>);

impl Device {
    /// XRT's name of it.
    ///
    /// # Errors
    /// When XRT cannot say.
    pub fn name(&self) -> Result<String, XrtError> {
        result::device_name(self.0.xrt.api(), self.0.handle)
    }

    /// A hardware context for an xclbin.
    ///
    /// # Errors
    /// When the bytes are no xclbin for this device, or it has no context left.
    pub fn context(&self, xclbin: &[u8]) -> Result<Context, XrtError> {
        let xrt = &self.0.xrt;
        let handle = result::context_open(xrt.api(), self.0.handle, xclbin)?;
        let owned = xrt.own(handle, xrt.api().context_close);
        Ok(Context(Rc::new(ContextInner { owned, device: self.clone() })))
    }

    /// A buffer of `bytes` bytes for the argument whose memory group is `group`.
    ///
    /// # Errors
    /// When the memory cannot be had or locked.
    pub fn buffer(&self, bytes: usize, kind: BufferKind, group: u32) -> Result<Buffer, XrtError> {
        let xrt = &self.0.xrt;
        let kind = match kind {
            BufferKind::HostOnly => sys::HOST_ONLY,
            BufferKind::Cacheable => sys::CACHEABLE,
        };
        // A buffer of nothing is none.
        let handle = result::buffer_open(xrt.api(), self.0.handle, bytes.max(1), kind, group)?;
        let owned = xrt.own(handle, xrt.api().buffer_close);
        Ok(Buffer(Rc::new(BufferInner { owned, bytes, _device: self.clone() })))
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferKind {
    /// Data.
    HostOnly,
    /// Instructions.
    Cacheable,
}

/// A hardware context: an xclbin on the array.
#[derive(Clone, Debug)]
pub struct Context(Rc<ContextInner>);

#[derive(Debug)]
struct ContextInner {
    // Fields go in this order: a handle before what it hangs on.
    owned: Owned,
    device: Device,
}

impl Context {
    /// A kernel of the xclbin.
    ///
    /// # Errors
    /// When the xclbin has none of the name.
    pub fn kernel(&self, name: &str) -> Result<Kernel, XrtError> {
        let xrt = &self.0.owned.xrt;
        let handle = result::kernel_open(xrt.api(), self.0.owned.handle, name)?;
        let owned = xrt.own(handle, xrt.api().kernel_close);
        Ok(Kernel(Rc::new(KernelInner { owned, context: self.clone() })))
    }

    /// An empty list of runs.
    ///
    /// # Errors
    /// When XRT has none to give.
    pub fn run_list(&self) -> Result<RunList, XrtError> {
        let xrt = &self.0.owned.xrt;
        let handle = result::runlist_open(xrt.api(), self.0.owned.handle)?;
        let owned = xrt.own(handle, xrt.api().runlist_close);
        Ok(RunList { owned, runs: Vec::new(), _context: self.clone() })
    }

    /// The device it is on.
    pub fn device(&self) -> &Device {
        &self.0.device
    }
}

/// What an xclbin lets the host start.
#[derive(Clone, Debug)]
pub struct Kernel(Rc<KernelInner>);

#[derive(Debug)]
struct KernelInner {
    owned: Owned,
    context: Context,
}

impl Kernel {
    /// Memory group of an argument.
    ///
    /// # Errors
    /// When it has no such argument.
    pub fn group(&self, argument: i32) -> Result<u32, XrtError> {
        result::kernel_group(self.0.owned.xrt.api(), self.0.owned.handle, argument)
    }

    /// A run of it, without arguments yet.
    ///
    /// # Errors
    /// When XRT has none to give.
    pub fn run(&self) -> Result<Run, XrtError> {
        let xrt = &self.0.owned.xrt;
        let handle = result::run_open(xrt.api(), self.0.owned.handle)?;
        let owned = xrt.own(handle, xrt.api().run_close);
        Ok(Run { owned, buffers: Vec::new(), _kernel: self.clone() })
    }

    /// The context it is in.
    pub fn context(&self) -> &Context {
        &self.0.context
    }
}

/// Memory that host and array share.
#[derive(Clone, Debug)]
pub struct Buffer(Rc<BufferInner>);

#[derive(Debug)]
struct BufferInner {
    owned: Owned,
    bytes: usize,
    _device: Device,
}

impl Buffer {
    /// Its size.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Puts `bytes` into it, for the array to see.
    ///
    /// # Panics
    /// When `bytes` is not of its size.
    ///
    /// # Errors
    /// When XRT cannot.
    pub fn write(&self, bytes: &[u8]) -> Result<(), XrtError> {
        assert_eq!(bytes.len(), self.0.bytes, "bytes of the buffer");
        result::buffer_write(self.0.owned.xrt.api(), self.0.owned.handle, bytes)
    }

    /// What the array left in it.
    ///
    /// # Errors
    /// When XRT cannot.
    pub fn read(&self) -> Result<Vec<u8>, XrtError> {
        let mut bytes = vec![0; self.0.bytes];
        result::buffer_read(self.0.owned.xrt.api(), self.0.owned.handle, &mut bytes)?;
        Ok(bytes)
    }
}

/// One execution of a kernel.
#[derive(Debug)]
pub struct Run {
    owned: Owned,
    buffers: Vec<(i32, Buffer)>,
    _kernel: Kernel,
}

impl Run {
    fn api(&self) -> &Api {
        self.owned.xrt.api()
    }

    /// Sets a 32-bit argument.
    ///
    /// # Errors
    /// When the kernel has none at that place.
    pub fn set_u32(&mut self, argument: i32, value: u32) -> Result<(), XrtError> {
        result::run_set_u32(self.api(), self.owned.handle, argument, value)
    }

    /// Sets a 64-bit argument.
    ///
    /// # Errors
    /// When the kernel has none at that place.
    pub fn set_u64(&mut self, argument: i32, value: u64) -> Result<(), XrtError> {
        result::run_set_u64(self.api(), self.owned.handle, argument, value)
    }

    /// Sets a buffer, which then lives as long as the run.
    ///
    /// # Errors
    /// When the kernel takes none at that place.
    pub fn set_buffer(&mut self, argument: i32, buffer: &Buffer) -> Result<(), XrtError> {
        result::run_set_buffer(self.api(), self.owned.handle, argument, buffer.0.owned.handle)?;
        self.buffers.retain(|(at, _)| *at != argument);
        self.buffers.push((argument, buffer.clone()));
        Ok(())
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the device does not take it.
    pub fn start(&mut self) -> Result<(), XrtError> {
        result::run_start(self.api(), self.owned.handle)
    }

    /// Waits up to `timeout_ms`; [`CommandState::Timeout`] when it is not done by then.
    ///
    /// # Errors
    /// When the wait itself fails.
    pub fn wait(&mut self, timeout_ms: u32) -> Result<CommandState, XrtError> {
        result::run_wait(self.api(), self.owned.handle, timeout_ms)
    }

    /// Takes it back from the device.
    ///
    /// # Errors
    /// When the driver cannot.
    pub fn abort(&mut self) -> Result<(), XrtError> {
        result::run_abort(self.api(), self.owned.handle)
    }
}

/// Runs that go to the device together.
#[derive(Debug)]
pub struct RunList {
    owned: Owned,
    runs: Vec<Run>,
    _context: Context,
}

impl RunList {
    /// Adds a run, which then lives as long as the list.
    ///
    /// # Errors
    /// When XRT refuses it.
    pub fn add(&mut self, run: Run) -> Result<(), XrtError> {
        result::runlist_add(self.owned.xrt.api(), self.owned.handle, run.owned.handle)?;
        self.runs.push(run);
        Ok(())
    }

    /// Starts all.
    ///
    /// # Errors
    /// When the device does not take them.
    pub fn start(&mut self) -> Result<(), XrtError> {
        result::runlist_execute(self.owned.xrt.api(), self.owned.handle)
    }

    /// Waits for all, up to `timeout_ms`; [`CommandState::Timeout`] when they are not done by then.
    ///
    /// # Errors
    /// When one failed, or the wait itself.
    pub fn wait(&mut self, timeout_ms: u32) -> Result<CommandState, XrtError> {
        result::runlist_wait(self.owned.xrt.api(), self.owned.handle, timeout_ms)
    }
}
