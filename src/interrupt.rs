//! Requests to end (Ctrl-C, SIGTERM): work that looks is told, and work that does not look is ended all the same.

use anyhow::Context;
use kiln_dsl::files;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Exit code after a request to end, as shells have it: 128 and the number of SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Time that work has to end by itself and say what it left.
const GRACE: Duration = Duration::from_millis(600);

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether somebody asked this process to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Listens from now on: work sees [`requested`]; what still runs 0.6 s later is ended, and files that were not complete are
/// removed.
///
/// # Errors
/// When the system does not take a handler, or there is one.
pub fn listen() -> anyhow::Result<()> {
    let handler = || {
        REQUESTED.store(true, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        files::abandon_all();
        crate::say!("stopped; nothing was written");
        process::exit(EXIT_CODE.into());
    };
    ctrlc::set_handler(handler).context("cannot handle Ctrl-C")
}
