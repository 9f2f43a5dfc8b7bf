//! Long work that says how far it is, and ends where that is asked.

use std::ops::ControlFlow;

/// The work was asked to end before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What is told, before each step of some work, how many are done and how many there are.
type Tell<'a> = &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>;

/// Counts the steps of some work for one who watches it.
pub struct Watch<'a> {
    done: usize,
    total: usize,
    tell: Option<Tell<'a>>,
}

impl<'a> Watch<'a> {
    /// Nobody watches: the work goes on to its end.
    pub fn nobody() -> Watch<'a> {
        Watch { done: 0, total: 0, tell: None }
    }

    /// `tell` learns before each step how many are done, and of how many; `Break` ends the work.
    pub fn new(tell: Tell<'a>) -> Watch<'a> {
        Watch { done: 0, total: 0, tell: Some(tell) }
    }

    /// The number of steps that come.
    pub(super) fn expect(&mut self, steps: usize) {
        self.total += steps;
    }

    /// A step begins.
    ///
    /// # Errors
    /// When the work is to end.
    pub(super) fn step(&mut self) -> Result<(), Interrupted> {
        let Some(tell) = &mut self.tell else { return Ok(()) };
        if tell(self.done, self.total).is_break() {
            return Err(Interrupted);
        }
        self.done += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::quantise::{QuantiseError, Quantised};
    use crate::whisper::scheme::Scheme;
    use crate::whisper::{EncoderWeights, ModelConfig};
    use ndarray::Array2;

    #[test]
    fn quantising_tells_every_step_and_ends_at_any() {
        let config =
            ModelConfig { d: 128, heads: 2, layers: 2, ffn: 128, positions: 20, ..ModelConfig::tiny() };
        let weights = EncoderWeights::seeded(&config, 3);
        let mel = Array2::from_shape_fn((80, 40), |(m, t)| ((m * 7 + t * 3) % 17) as f32 / 10.0 - 0.5);
        let mels = [mel.clone(), mel * 0.5];
        for (scheme, steps) in [(Scheme::W8A8, 2 * 2 + 2), (Scheme::DesignDoc, 2 + 2), (Scheme::Bf16, 2)] {
            let ended_at = |last: usize| {
                let mut told = Vec::new();
                let mut tell = |done, total| {
                    told.push((done, total));
                    if done == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let quantised = Quantised::watched(&weights, &mels, scheme, &mut Watch::new(&mut tell));
                (told, quantised)
            };
            let (told, quantised) = ended_at(usize::MAX);
            assert_eq!(told, (0..steps).map(|done| (done, steps)).collect::<Vec<_>>(), "{scheme}");
            assert_eq!(quantised.unwrap().stamp, Quantised::new(&weights, &mels, scheme).unwrap().stamp);
            for last in 0..steps {
                let (told, quantised) = ended_at(last);
                assert_eq!(told.len(), last + 1, "{scheme}");
                assert!(matches!(quantised, Err(QuantiseError::Interrupted(Interrupted))), "{scheme}");
            }
        }
    }
}
