//! Compiles the C++ shim where XRT's headers and library are; elsewhere the crate builds without and says why.

use std::path::{Path, PathBuf};

/// Declares hardware contexts; XRT has it since 2.14, and without it nothing runs on an NPU.
const HEADER: &str = "xrt/xrt_hw_context.h";
const LIBRARY: &str = "libxrt_coreutil.so";

/// Where an XRT may be.
struct Place {
    include: PathBuf,
    libraries: Vec<PathBuf>,
}

fn main() {
    println!("cargo::rustc-check-cfg=cfg(kiln_xrt)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-env-changed=XILINX_XRT");
    let found = places().into_iter().find_map(|place| {
        let library = place.libraries.iter().find(|folder| folder.join(LIBRARY).is_file())?.clone();
        place.include.join(HEADER).is_file().then_some((place.include, library))
    });
    let build = match found {
        None => format!("no {HEADER} with {LIBRARY} was found when Kiln was built"),
        Some((include, library)) => match compile(&include) {
            Ok(()) => {
                println!("cargo::rustc-link-search=native={}", library.display());
                println!("cargo::rustc-link-lib=dylib=xrt_coreutil");
                println!("cargo::rustc-cfg=kiln_xrt");
                format!("built with the XRT of {}", include.display())
            }
            Err(cause) => {
                let include = include.display();
                println!(
                    "cargo::warning=the XRT of {include} does not compile: building without it: {cause}"
                );
                format!("the XRT of {include} did not compile when Kiln was built")
            }
        },
    };
    println!("cargo::rustc-env=KILN_XRT_BUILD={build}");
}

/// In order: pkg-config, the environment, where packages install.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    if let Ok(xrt) = pkg_config::Config::new().cargo_metadata(false).probe("xrt") {
        for include in xrt.include_paths {
            places.push(Place { include, libraries: xrt.link_paths.clone() });
        }
    }
    let roots = std::env::var_os("XILINX_XRT").map(PathBuf::from).into_iter();
    for root in roots.chain(["/opt/xilinx/xrt", "/usr", "/usr/local"].map(PathBuf::from)) {
        let libraries = ["lib", "lib64", "lib/x86_64-linux-gnu"].map(|l| root.join(l)).to_vec();
        places.push(Place { include: root.join("include"), libraries });
    }
    places
}

fn compile(include: &Path) -> Result<(), String> {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").file("shim/kiln_xrt.cpp").include(include).cargo_warnings(false);
    // XRT's headers are not ours to warn about.
    build.warnings(false).try_compile("kiln_xrt").map_err(|e| e.to_string())
}
