//! Which compiler turns the emitted C++ into bundles: it changes cycles and sizes, never bits.

use std::fmt;
use std::str::FromStr;

/// A compiler whose schedules are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Compiler {
    /// llvm-aie, the open one: what MLIR-AIE uses by default.
    #[default]
    Peano,
    /// The vendor's `xchesscc`.
    Chess,
    /// None that exists: loses nothing but what slots, latencies, registers and banks take.
    Ideal,
}

impl Compiler {
    /// Every compiler, the default first.
    pub const ALL: [Compiler; 3] = [Compiler::Peano, Compiler::Chess, Compiler::Ideal];

    /// Name on command lines and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Compiler::Peano => "peano",
            Compiler::Chess => "chess",
            Compiler::Ideal => "ideal",
        }
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No compiler has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is not a compiler\nhelp: the compilers are peano, chess and ideal")]
pub struct UnknownCompiler {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Compiler {
    type Err = UnknownCompiler;

    fn from_str(name: &str) -> Result<Compiler, UnknownCompiler> {
        let found = Compiler::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| UnknownCompiler { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_invert() {
        for compiler in Compiler::ALL {
            assert_eq!(compiler.name().parse(), Ok(compiler));
        }
        let unknown = "gcc".parse::<Compiler>().expect_err("no such compiler").to_string();
        for compiler in Compiler::ALL {
            assert!(unknown.contains(compiler.name()), "{unknown}");
        }
    }
}
