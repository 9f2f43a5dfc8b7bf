//! How much program memory the loops of a kernel take.

use kiln_dsl::kernel::build::{Builder, Hinted};

/// How the loops of a kernel are written. The bits are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Code {
    /// For time: inner loops are pipelined, short ones written out.
    #[default]
    Fast,
    /// For devices whose program memory is short: every loop stays a loop, and none is pipelined, since the starts and ends
    /// of pipelined loops are most of their code.
    Compact,
}

impl Code {
    /// The hint for an inner loop that runs at least once.
    pub fn inner(self, k: &Builder) -> Hinted<'_> {
        match self {
            Code::Fast => k.pipelined(1),
            Code::Compact => k.compact(),
        }
    }

    /// Appended to the name of a kernel.
    pub fn suffix(self) -> &'static str {
        match self {
            Code::Fast => "",
            Code::Compact => "_compact",
        }
    }
}
