//! `hwrun`: runs designs on a real NPU. So far it says whether this machine has one.

use std::process::ExitCode;

/// Exit 1 in either case: no design was run.
fn main() -> ExitCode {
    match kiln_hw::npu_status() {
        Ok(npu) => {
            eprintln!("{npu}\nhwrun cannot run designs on it yet: the XRT bindings are not written");
        }
        Err(e) => eprintln!("{e}"),
    }
    ExitCode::FAILURE
}
