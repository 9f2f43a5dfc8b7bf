//! Everything that building and running designs needs, looked at in order, each with its remedy.

use crate::machine::{Look, Machine};
use crate::missing::Missing;
use std::fmt;

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What it is needed for.
    pub needed: Needed,
    /// What was found.
    pub found: Found,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Without it nothing runs.
    ToRun,
    /// Without it designs cannot be compiled here.
    ToBuild,
    /// Without it times mean less.
    ForTimes,
}

/// The result of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Good(String),
    /// It is not.
    Bad(Missing),
    /// It cannot be seen, for the reason given.
    Unknown(&'static str),
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.found {
            Found::Good(what) => write!(f, "ok       {name}: {what}"),
            Found::Unknown(why) => write!(f, "unknown  {name}: {why}"),
            Found::Bad(missing) => {
                let mark = if self.needed == Needed::ForTimes { "note   " } else { "MISSING" };
                write!(f, "{mark}  {name}: {missing}")
            }
        }
    }
}

impl Machine {
    /// Looks at everything, in the order in which things depend on each other. Changes nothing; runs `--version` of the
    /// compilers and a report of `xrt-smi`.
    pub fn doctor(&self) -> Vec<Check> {
        use Needed::{ForTimes, ToBuild, ToRun};
        let mut checks = Vec::new();
        let mut add = |name, needed, found| checks.push(Check { name, needed, found });
        let of = |look: Look| look.map_or_else(Found::Bad, Found::Good);
        add("kernel", ToRun, of(self.kernel()));
        add("driver", ToRun, of(self.driver()));
        match self.node() {
            Ok(node) => {
                add("device node", ToRun, Found::Good(format!("{} opens for this user", node.display())));
            }
            Err(missing) => missing.into_iter().for_each(|m| {
                let name = if matches!(m, Missing::Permission { .. }) { "group" } else { "device node" };
                add(name, ToRun, Found::Bad(m));
            }),
        }
        add("firmware file", ToRun, of(self.firmware_file()));
        let version = self.firmware_version();
        add("firmware version", ToRun, version.map_or(Found::Unknown("the driver shows none"), of));
        add("locked memory", ToRun, of(self.locked_memory()));
        let xrt = self.xrt().map(|xrt| format!("{} with {}", xrt.core.display(), xrt.npu.display()));
        add("XRT", ToRun, of(xrt));
        add("bindings", ToRun, of(self.bound()));
        let mode = self.power_mode();
        add("power mode", ForTimes, mode.map_or(Found::Unknown("xrt-smi does not tell it here"), of));
        match self.peano() {
            Ok(peano) => add("Peano", ToBuild, Found::Good(peano)),
            Err(missing) => missing.into_iter().for_each(|m| add("Peano", ToBuild, Found::Bad(m))),
        }
        add("aiecc", ToBuild, of(self.aiecc()));
        add("xclbinutil", ToBuild, of(self.xclbinutil()));
        checks
    }
}
