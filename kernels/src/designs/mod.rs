//! Whole designs: array programs with their runtime sequences.

pub mod attention;
mod cascade;
pub mod choose;
mod dispatch;
pub mod gemm;
mod inputs;
pub mod mel;
mod mm4x4;
mod relu2;
pub mod rows;
mod single;

pub use attention::attention_64x64;
pub use cascade::{cascade, cascade_reference};
pub use dispatch::dispatch;
pub use mm4x4::mm4x4;
pub use relu2::relu2;
pub use single::{Single, counted, single};

use crate::whisper::ModelConfig;
use crate::whisper::plan::{Plan, PlanError};
use crate::whisper::scheme::Scheme;
use kiln_dsl::array::{Design, Tile};
use kiln_dsl::device::Device;

/// The designs that are listed, emitted and tested: examples, the design document's tile of attention, the log-mel
/// spectrogram, and those of the tiny encoder for npu1's cores.
///
/// # Panics
/// When a design of the tiny encoder does not fit npu1, which the tests exclude.
pub fn designs() -> Vec<Design> {
    let plan = tiny(Scheme::default(), Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    examples().into_iter().chain(plan.designs().into_iter().cloned()).collect()
}

/// A design that is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// By the name that [`find_for`] knows.
    pub design: Design,
    /// Schemes whose tiny encoder has it; none of examples.
    pub schemes: Vec<Scheme>,
}

/// What [`designs`] has, and behind it what other schemes have besides: each once, for npu1. Their names end in the
/// first scheme that has them, as `attention.bf16`.
///
/// # Panics
/// As [`designs`].
pub fn listed() -> Vec<Listed> {
    let mut all: Vec<Listed> =
        examples().into_iter().map(|design| Listed { design, schemes: Vec::new() }).collect();
    let examples = all.len();
    for scheme in Scheme::ALL {
        let plan = tiny(scheme, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
        for design in plan.designs() {
            let same = |listed: &&mut Listed| {
                let of_same = |first: &Scheme| scheme_name(&design.name, *first) == listed.design.name;
                listed.schemes.first().is_some_and(of_same)
                    && Design { name: design.name.clone(), ..listed.design.clone() } == *design
            };
            match all[examples..].iter_mut().find(same) {
                Some(known) => known.schemes.push(scheme),
                None => {
                    let design = Design { name: scheme_name(&design.name, scheme), ..design.clone() };
                    all.push(Listed { design, schemes: vec![scheme] });
                }
            }
        }
    }
    all
}

/// The listed name of a scheme's design.
fn scheme_name(name: &str, scheme: Scheme) -> String {
    if scheme == Scheme::default() { name.to_owned() } else { format!("{name}.{scheme}") }
}

/// The designs of one size, whatever the device.
fn examples() -> [Design; 6] {
    let log_mel = mel::LogMel::new(mel::LISTED_MELS).design();
    [relu2(), mm4x4(), dispatch(), cascade(), attention_64x64().1, log_mel]
}

/// The plan of the tiny encoder.
fn tiny(scheme: Scheme, device: &Device) -> Result<Plan, PlanError> {
    Plan::new(&ModelConfig::tiny(), &scheme.recipe(), device)
}

/// Host buffers with which a listed design computes something, from a seed: inputs hold data over the whole range of
/// their types and parameters that make sense, outputs zeros. `None` for others, those of other schemes among them.
///
/// The same seed gives the same bytes for ever.
///
/// # Errors
/// When the design is none of the examples, and the tiny encoder does not fit the device that it is for.
pub fn inputs(design: &Design, device: &Device, seed: u64) -> Result<Option<Vec<Vec<u8>>>, PlanError> {
    match inputs::of_example(design, seed) {
        Some(host) => Ok(Some(host)),
        None => Ok(inputs::of_encoder(design, &tiny(Scheme::default(), device)?, seed)),
    }
}

/// The listed design with a name, as it is for npu1.
pub fn find(name: &str) -> Option<Design> {
    find_for(name, Device::npu1()).ok().flatten()
}

/// The listed design with a name, with the tile shapes that a device has room for.
///
/// # Errors
/// When the design is one of the tiny encoder's, and that does not fit the device in the design's scheme.
pub fn find_for(name: &str, device: &Device) -> Result<Option<Design>, PlanError> {
    if let Some(example) = examples().into_iter().find(|d| d.name == name) {
        return Ok(Some(example));
    }
    let of_scheme = name.rsplit_once('.').and_then(|(of, scheme)| Some((of, scheme.parse().ok()?)));
    let (of, scheme) = of_scheme.unwrap_or((name, Scheme::default()));
    match tiny(scheme, device) {
        Ok(plan) => {
            let design = plan.designs().into_iter().find(|d| scheme_name(&d.name, scheme) == name);
            Ok(design.map(|design| Design { name: name.to_owned(), ..design.clone() }))
        }
        Err(too_big) => {
            let known = designs().iter().any(|d| d.name == of);
            if known { Err(too_big) } else { Ok(None) }
        }
    }
}

/// The sixteen cores, column by column.
pub(crate) fn cores() -> impl Iterator<Item = Tile> {
    (0..4).flat_map(|col| (2..6).map(move |row| Tile::new(col, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_its_designs_listed_once() {
        let all = listed();
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|o| o.design.name != one.design.name), "{} twice", one.design.name);
            assert_eq!(find(&one.design.name).as_ref(), Some(&one.design));
        }
        assert!(all.iter().zip(designs()).all(|(one, design)| one.design == design));
        let schemes = |name: &str| {
            let one = all.iter().find(|one| one.design.name == name);
            one.unwrap_or_else(|| panic!("{name} is not listed")).schemes.clone()
        };
        assert_eq!(schemes("mm4x4"), []);
        assert_eq!(schemes("attention"), [Scheme::W8A8, Scheme::W8A8Static]);
        assert_eq!(schemes("attention.bf16"), [Scheme::Bf16]);
        for scheme in Scheme::ALL {
            let plan = tiny(scheme, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
            let count = all.iter().filter(|one| one.schemes.contains(&scheme)).count();
            assert_eq!(count, plan.designs().len(), "{scheme}");
        }
    }
}
