//! What simulates the kernels of a design that is read from MLIR, where they are names of external functions.
//!
//! A kernel is a [`Verified<Kernel>`], by default the catalogue's of the same name, or a black box: so many cycles a call,
//! after which what it writes counts as written, and is what it was.

use kiln_dsl::Verified;
use kiln_dsl::array::{Design, KernelId};
use kiln_dsl::kernel::{Kernel, verify};
use kiln_kernels::{catalogue, designs};
use kiln_sim::core::CoreExecutor;
use kiln_sim::executor::{ArgValue, CallCost, Cascade, ExecError, KernelExecutor, TileMemories};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// How one external function is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// As the kernel of this name in the catalogue.
    Kernel(String),
    /// As a black box of so many cycles.
    Cycles(u64),
}

impl FromStr for Model {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Model, Self::Err> {
        Ok(text.parse().map_or_else(|_| Model::Kernel(text.to_owned()), Model::Cycles))
    }
}

/// Why the kernels of a design cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The design calls no such function.
    #[error("--model {name}=..: design {design} calls no function @{name}\n  help: it calls {called}")]
    NotCalled {
        /// Name of the design.
        design: String,
        /// What was given a model.
        name: String,
        /// What it calls.
        called: String,
    },
    /// The catalogue has no such kernel.
    #[error("--model {name}={kernel}: no kernel is named \"{kernel}\"\n  help: `kiln list` prints the names")]
    NoKernel {
        /// The function.
        name: String,
        /// The kernel it was to be.
        kernel: String,
    },
    /// Functions that nothing says how to simulate.
    #[error("design {design}: no kernel of the catalogue has the name of @{}{}", .names.join(", @"), help(.names))]
    Unknown {
        /// Name of the design.
        design: String,
        /// The functions.
        names: Vec<String>,
    },
}

fn help(names: &[String]) -> String {
    let name = names.first().map_or("", String::as_str);
    format!(
        "\n  help: `--model {name}=KERNEL` simulates a function as a kernel of `kiln list`, `--model {name}=CYCLES` as a black box"
    )
}

/// Cycles of the kernels that are black boxes, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlackBoxes(BTreeMap<String, u64>);

impl fmt::Display for BlackBoxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> =
            self.0.iter().map(|(name, cycles)| format!("@{name} ({cycles} cycles)")).collect();
        f.write_str(&all.join(", "))
    }
}

impl BlackBoxes {
    /// Whether every kernel is computed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The executor of a design's kernels, with these as black boxes.
    pub fn executor(&self, design: &Design, executor: CoreExecutor) -> ModelledExecutor {
        let cycles = design.kernels.iter().map(|kernel| self.0.get(&kernel.name).copied()).collect();
        ModelledExecutor { executor, cycles }
    }
}

/// Gives the kernels of a design that have no body one: the given model, else the catalogue's kernel of the same name.
/// Returns those that are black boxes.
///
/// # Errors
/// See [`ModelError`].
pub fn give(design: &mut Design, models: &[(String, Model)]) -> Result<BlackBoxes, ModelError> {
    let named = |design: &Design| design.name.clone();
    if let Some((name, _)) = models.iter().find(|(name, _)| design.kernels.iter().all(|k| k.name != *name)) {
        let called: Vec<String> = design.kernels.iter().map(|k| format!("@{}", k.name)).collect();
        let (design, called) = (named(design), called.join(", "));
        return Err(ModelError::NotCalled { design, name: name.clone(), called });
    }
    let mut boxes = BlackBoxes::default();
    let mut unknown = Vec::new();
    for kernel in &mut design.kernels {
        let given = models.iter().rev().find(|(name, _)| *name == kernel.name).map(|(_, model)| model);
        match given {
            Some(Model::Cycles(cycles)) => {
                boxes.0.insert(kernel.name.clone(), *cycles);
            }
            Some(Model::Kernel(model)) => {
                let no_kernel = || ModelError::NoKernel { name: kernel.name.clone(), kernel: model.clone() };
                *kernel = Arc::new(called(known(model).ok_or_else(no_kernel)?, &kernel.name));
            }
            None if !kernel.ops.is_empty() => {}
            None => match known(&kernel.name) {
                Some(model) => *kernel = Arc::new(model),
                None => unknown.push(kernel.name.clone()),
            },
        }
    }
    if unknown.is_empty() {
        Ok(boxes)
    } else {
        Err(ModelError::Unknown { design: named(design), names: unknown })
    }
}

/// A kernel of the catalogue, or of a listed design.
fn known(name: &str) -> Option<Verified<Kernel>> {
    if let Some(entry) = catalogue::find(name) {
        return Some(entry.kernel);
    }
    let mut kernels = designs::designs().into_iter().flat_map(|d| d.kernels);
    kernels.find(|k| k.name == name).map(|k| Verified::clone(&k))
}

/// The kernel under the name that the design calls it by.
fn called(kernel: Verified<Kernel>, name: &str) -> Verified<Kernel> {
    let renamed = Kernel { name: name.to_owned(), ..Kernel::clone(&kernel) };
    // A name does not make a kernel wrong; one that C does not take keeps the catalogue's.
    verify(renamed).unwrap_or(kernel)
}

/// Kernels in the simulator, some of them black boxes.
#[derive(Clone, Debug)]
pub struct ModelledExecutor {
    executor: CoreExecutor,
    /// Of each kernel: its cycles as a black box.
    cycles: Vec<Option<u64>>,
}

impl KernelExecutor for ModelledExecutor {
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
        cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError> {
        match self.cycles.get(kernel.index()).copied().flatten() {
            Some(cycles) => Ok(CallCost { cycles, ..CallCost::default() }),
            None => self.executor.call(kernel, args, memories, cascade),
        }
    }
}
