//! Things of the DSL as workloads name them.

use kiln_dsl::device::Compiler;
use kiln_dsl::kernel::Elem;
use serde::de::{Deserialize, Deserializer, Error};

/// An element type by its name in the kernel IR: `i8`, `u8`, `i16`, `i32`, `bf16` or `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype(pub Elem);

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Dtype, D::Error> {
        let name = String::deserialize(from)?;
        Elem::from_name(&name).map(Dtype).ok_or_else(|| {
            let known = Elem::ALL.map(Elem::name).join(", ");
            D::Error::custom(format!("no element type \"{name}\", expected one of {known}"))
        })
    }
}

/// Reads a compiler by its name.
pub(super) fn compiler<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Compiler>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}
