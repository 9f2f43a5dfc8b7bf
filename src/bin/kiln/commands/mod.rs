//! The commands, and what they share: names of things become things, or an error that lists the names there are.

pub mod list;
pub mod run;

use anyhow::{Result, anyhow};
use kiln::kernels::case::Entry;
use kiln::kernels::catalogue;

/// The kernel of a name.
fn kernel(name: &str) -> Result<Entry> {
    catalogue::find(name)
        .ok_or_else(|| anyhow!("no kernel is named \"{name}\"\nhelp: `kiln list` prints the names"))
}
