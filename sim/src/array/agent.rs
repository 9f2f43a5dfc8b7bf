//! Who acts: cores, DMA channels and the controller run beside each other and meet at locks, streams and tokens.

/// One of those that act, by dense index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Agent {
    /// A core, by position in `Lowered::cores`.
    Core(u32),
    /// A DMA channel, by dense index.
    Channel(u32),
    /// The controller.
    Controller,
}
