//! The proof that something passed `verify`.

use std::ops::Deref;

/// A `T` that `verify` accepted. Emitters, `lower` and the simulator take only these; the
/// constructor is private to this crate's verifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) fn new(inner: T) -> Verified<T> {
        Verified(inner)
    }

    /// Gives up the proof, for example to change the thing and verify again.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
