//! XRT, AMD's user-space runtime for the NPU, as far as Kiln uses it.
//!
//! ```
//! match xrt_sys::find() {
//!     Ok(xrt) => println!("XRT at {}", xrt.core.display()),
//!     Err(e) => println!("{e}"),
//! }
//! ```
//!
//! An NPU design runs in an `xrt::hw_context`, which exists in C++ only: `libxrt_coreutil` exports no C function for it,
//! and its C API cannot make a kernel from an xclbin that was registered on an NPU. So there are three layers:
//!
//! 1. [`sys`]: a table of C functions, which `shim/kiln_xrt.cpp` fills over XRT's classes, and its declaration;
//! 2. [`result`]: the same with errors instead of status codes;
//! 3. [`safe`]: owned handles that keep alive what they hang on.
//!
//! The C++ file is compiled where XRT's headers and library are found: by pkg-config, in `XILINX_XRT`, in `/opt/xilinx/xrt`
//! and in `/usr`. Elsewhere [`Xrt::real`] is `None` and [`WITHOUT_XRT`] says what to do. [`fake`] is a table without a
//! device, for tests and to try things.
//!
//! # Invariants
//!
//! - Builds on every machine, with or without XRT.
//! - The only `unsafe` of the workspace is in `sys`, `result`, `safe` and `fake`.
//! - The search for XRT only looks at the file system; nothing is loaded or executed.

#[allow(unsafe_code)]
pub mod fake;
#[allow(unsafe_code)]
pub mod result;
#[allow(unsafe_code)]
pub mod safe;
#[allow(unsafe_code)]
pub mod sys;

pub use result::{Cause, CommandState, XrtError};
pub use safe::{Buffer, BufferKind, Context, Device, Kernel, Run, RunList, Xrt};

/// What a program that was built without XRT says when it should run something.
pub const WITHOUT_XRT: &str = "built without XRT: install libxrt-dev and libxrt-npu2, rebuild";

/// With which XRT this crate was built, or why with none.
pub const BUILD: &str = env!("KILN_XRT_BUILD");

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// XRT's core library; 2 is the version of its ABI since 2022.
pub const CORE_LIBRARY: &str = "libxrt_coreutil.so.2";
/// The plug-in by which XRT reaches an NPU (amd/xdna-driver; Debian package `libxrt-npu2`).
pub const NPU_LIBRARY: &str = "libxrt_driver_xdna.so.2";

/// Where distributions and AMD's packages install libraries.
const SYSTEM_FOLDERS: [&str; 7] = [
    "/opt/xilinx/xrt/lib",
    "/usr/local/xrt/lib",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/x86_64-linux-gnu",
];

/// An installed XRT that can reach an NPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The core library.
    pub core: PathBuf,
    /// The plug-in for NPUs.
    pub npu: PathBuf,
}

/// The libraries that were not found, and where they were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// [`CORE_LIBRARY`], [`NPU_LIBRARY`] or both.
    pub libraries: Vec<&'static str>,
    /// The folders, in order of search.
    pub folders: Vec<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let libraries = self.libraries.join(" and no ");
        let folders = self.folders.len();
        write!(f, "XRT is not installed: no {libraries} in the {folders} folders of LD_LIBRARY_PATH, ")?;
        write!(f, "XILINX_XRT and {}", SYSTEM_FOLDERS.join(", "))
    }
}

impl std::error::Error for NotFound {}

/// Looks for XRT in `LD_LIBRARY_PATH`, `XILINX_XRT` and where packages install it.
///
/// # Errors
/// [`NotFound`] has each library that is missing and every folder that was searched.
pub fn find() -> Result<Installed, NotFound> {
    find_in(folders(std::env::var_os("LD_LIBRARY_PATH"), std::env::var_os("XILINX_XRT")))
}

/// Whether XRT is installed and can reach an NPU.
pub fn xrt_found() -> bool {
    find().is_ok()
}

/// The folders of a search, for given values of the two environment variables.
pub fn folders(ld_library_path: Option<OsString>, xilinx_xrt: Option<OsString>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let from_path =
        ld_library_path.iter().flat_map(std::env::split_paths).filter(|p| !p.as_os_str().is_empty());
    let from_xrt = xilinx_xrt.iter().map(|root| Path::new(root).join("lib"));
    for folder in from_path.chain(from_xrt).chain(SYSTEM_FOLDERS.map(PathBuf::from)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// Looks for XRT in these folders, the first that has a library wins.
///
/// # Errors
/// [`NotFound`], as [`find`].
pub fn find_in(folders: Vec<PathBuf>) -> Result<Installed, NotFound> {
    let search = |name: &str| folders.iter().map(|f| f.join(name)).find(|p| p.is_file());
    match (search(CORE_LIBRARY), search(NPU_LIBRARY)) {
        (Some(core), Some(npu)) => Ok(Installed { core, npu }),
        (core, npu) => {
            let found = [(CORE_LIBRARY, core.is_some()), (NPU_LIBRARY, npu.is_some())];
            let libraries = found.into_iter().filter(|(_, found)| !found).map(|(name, _)| name).collect();
            Err(NotFound { libraries, folders })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_libraries_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().join("absent"), folder.path().to_owned()];
        let Err(e) = find_in(folders.clone()) else { panic!("an empty folder has no XRT") };
        assert_eq!(e.libraries, [CORE_LIBRARY, NPU_LIBRARY]);
        assert_eq!(e.folders, folders);

        std::fs::write(folder.path().join(CORE_LIBRARY), "").unwrap();
        let Err(e) = find_in(folders.clone()) else { panic!("the plug-in is missing") };
        assert_eq!(e.libraries, [NPU_LIBRARY]);
        assert!(
            e.to_string()
                .starts_with("XRT is not installed: no libxrt_driver_xdna.so.2 in the 2 folders of "),
            "{e}"
        );

        std::fs::write(folder.path().join(NPU_LIBRARY), "").unwrap();
        let xrt = find_in(folders).unwrap();
        assert_eq!(xrt.core, folder.path().join(CORE_LIBRARY));
        assert_eq!(xrt.npu, folder.path().join(NPU_LIBRARY));
    }

    #[test]
    fn the_environment_comes_first() {
        let found = folders(Some("/a:/b::/a".into()), Some("/x".into()));
        assert_eq!(found[..4], ["/a", "/b", "/x/lib", "/opt/xilinx/xrt/lib"].map(PathBuf::from));
        assert_eq!(folders(None, None).len(), SYSTEM_FOLDERS.len());
    }
}
