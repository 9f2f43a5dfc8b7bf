//! The table of C functions, as `shim/kiln_xrt.h` declares it.

use std::ffi::{c_char, c_void};

/// Version of the table.
pub const VERSION: u32 = 1;

/// A failed call's account.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Error {
    /// [`SYSTEM`], [`COMMAND`], [`MEMORY`] or [`OTHER`].
    pub kind: i32,
    /// `errno` or an `ert_cmd_state`, by kind.
    pub code: i32,
    /// Text, ended by a zero.
    pub message: [c_char; 1024],
}

/// The system refused; `code` is `errno`.
pub const SYSTEM: i32 = 1;
/// A command failed; `code` is its `ert_cmd_state`.
pub const COMMAND: i32 = 2;
/// No memory.
pub const MEMORY: i32 = 3;
/// Anything else.
pub const OTHER: i32 = 4;

/// A buffer in host memory, for data.
pub const HOST_ONLY: i32 = 0;
/// A buffer that the host caches, for instructions.
pub const CACHEABLE: i32 = 1;

/// What a handle points at is the table's own affair.
pub type Handle = *mut c_void;

macro_rules! api {
    ($($(#[$doc:meta])* $name:ident: fn($($arg:ty),*) $(-> $result:ty)?,)*) => {
        /// The functions. All are 0 on success, -1 with the error filled otherwise.
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct Api {
            /// [`VERSION`].
            pub version: u32,
            /// Size of the table.
            pub bytes: u32,
            /// First argument of `device_open`.
            pub this: *mut c_void,
            $($(#[$doc])* pub $name: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        /// Names of the functions in their order.
        #[cfg(test)]
        pub(crate) const FUNCTIONS: &[&str] = &[$(stringify!($name)),*];
    };
}

api! {
    /// A device by index.
    device_open: fn(*mut c_void, u32, *mut Handle, *mut Error) -> i32,
    /// Its name.
    device_name: fn(Handle, *mut c_char, usize, *mut Error) -> i32,
    /// Gives the device back.
    device_close: fn(Handle),
    /// A hardware context for an xclbin.
    context_open: fn(Handle, *const u8, usize, *mut Handle, *mut Error) -> i32,
    /// Gives the context back.
    context_close: fn(Handle),
    /// A kernel by name.
    kernel_open: fn(Handle, *const c_char, *mut Handle, *mut Error) -> i32,
    /// Memory group of an argument.
    kernel_group: fn(Handle, i32, *mut u32, *mut Error) -> i32,
    /// Gives the kernel back.
    kernel_close: fn(Handle),
    /// A buffer of a size, kind and group.
    buffer_open: fn(Handle, usize, i32, u32, *mut Handle, *mut Error) -> i32,
    /// Bytes to the device.
    buffer_write: fn(Handle, *const u8, usize, *mut Error) -> i32,
    /// Bytes from the device.
    buffer_read: fn(Handle, *mut u8, usize, *mut Error) -> i32,
    /// Gives the buffer back.
    buffer_close: fn(Handle),
    /// One execution of a kernel.
    run_open: fn(Handle, *mut Handle, *mut Error) -> i32,
    /// An integer argument.
    run_set_u32: fn(Handle, i32, u32, *mut Error) -> i32,
    /// An integer argument.
    run_set_u64: fn(Handle, i32, u64, *mut Error) -> i32,
    /// A buffer argument.
    run_set_buffer: fn(Handle, i32, Handle, *mut Error) -> i32,
    /// Starts it.
    run_start: fn(Handle, *mut Error) -> i32,
    /// Waits, in milliseconds; the state.
    run_wait: fn(Handle, u32, *mut i32, *mut Error) -> i32,
    /// Takes it back.
    run_abort: fn(Handle, *mut Error) -> i32,
    /// Gives the run back.
    run_close: fn(Handle),
    /// A list of runs that start together.
    runlist_open: fn(Handle, *mut Handle, *mut Error) -> i32,
    /// Adds a run.
    runlist_add: fn(Handle, Handle, *mut Error) -> i32,
    /// Starts them.
    runlist_execute: fn(Handle, *mut Error) -> i32,
    /// Waits for all, in milliseconds; the state.
    runlist_wait: fn(Handle, u32, *mut i32, *mut Error) -> i32,
    /// Gives the list back.
    runlist_close: fn(Handle),
}

#[cfg(kiln_xrt)]
unsafe extern "C" {
    fn kiln_xrt_real() -> *const Api;
}

/// XRT's table; `None` in a build without XRT.
pub fn real() -> Option<Api> {
    #[cfg(kiln_xrt)]
    {
        // SAFETY: the shim returns a constant that lives as long as the program.
        let api = unsafe { *kiln_xrt_real() };
        assert!(api.version == VERSION && api.bytes as usize == size_of::<Api>(), "one build makes both");
        Some(api)
    }
    #[cfg(not(kiln_xrt))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The functions of the header, in order: what stands between `(*` and `)` inside the table.
    fn declared() -> Vec<&'static str> {
        let header = include_str!("../shim/kiln_xrt.h");
        let table = header.split("typedef struct kiln_xrt_api {").nth(1).expect("the table");
        let table = table.split("} kiln_xrt_api;").next().expect("its end");
        table.split("(*").skip(1).map(|rest| rest.split(')').next().expect("a name")).collect()
    }

    /// The arguments and result of a function in the header, in Rust's types.
    fn signature(name: &str) -> String {
        let header = include_str!("../shim/kiln_xrt.h");
        let line = header.lines().find(|l| l.contains(&format!("(*{name})"))).expect("declared");
        let arguments = line.split(")(").nth(1).expect("arguments").trim_end_matches(");");
        let rust = |argument: &str| {
            let ty = argument.rsplit_once(' ').map_or(argument, |(ty, _)| ty);
            let stars = argument.matches('*').count();
            let ty = match (ty, stars) {
                ("void", 1) => "*mut c_void",
                ("void", 2) => "*mut Handle",
                ("kiln_xrt_error", 1) => "*mut Error",
                ("const uint8_t", 1) => "*const u8",
                ("uint8_t", 1) => "*mut u8",
                ("const char", 1) => "*const c_char",
                ("char", 1) => "*mut c_char",
                ("uint32_t", 1) => "*mut u32",
                ("int32_t", 1) => "*mut i32",
                ("size_t", 0) => "usize",
                ("uint32_t", 0) => "u32",
                ("uint64_t", 0) => "u64",
                ("int32_t", 0) => "i32",
                other => panic!("{name}: {other:?}"),
            };
            ty.to_owned()
        };
        let arguments: Vec<String> = arguments.split(", ").map(rust).collect();
        let result = if line.trim_start().starts_with("void") { "" } else { " -> i32" };
        format!("fn({}){result}", arguments.join(", "))
    }

    #[test]
    fn the_header_declares_the_same_table() {
        assert_eq!(declared(), FUNCTIONS);
        let source = include_str!("sys.rs");
        for name in FUNCTIONS {
            let line = source.lines().find(|l| l.trim_start().starts_with(&format!("{name}: fn(")));
            let ours = line.expect("in the table").trim().trim_end_matches(',');
            let ours = ours.split_once(": ").expect("a type").1.replace("Handle", "*mut c_void");
            assert_eq!(ours, signature(name).replace("Handle", "*mut c_void"), "{name}");
        }
        let header = include_str!("../shim/kiln_xrt.h");
        assert!(header.contains(&format!("#define KILN_XRT_VERSION {VERSION}")));
        for (name, value) in [("SYSTEM", SYSTEM), ("COMMAND", COMMAND), ("MEMORY", MEMORY), ("OTHER", OTHER)]
        {
            assert!(header.contains(&format!("KILN_XRT_{name} = {value}")), "{name}");
        }
        for (name, value) in [("HOST_ONLY", HOST_ONLY), ("CACHEABLE", CACHEABLE)] {
            assert!(header.contains(&format!("KILN_XRT_{name} = {value}")), "{name}");
        }
    }

    #[test]
    fn a_table_of_pointers_has_no_gaps() {
        assert_eq!(size_of::<Api>(), 16 + FUNCTIONS.len() * size_of::<usize>());
        assert_eq!(size_of::<Error>(), 8 + 1024);
    }
}
