//! `ddr_passthrough`: host memory through mem tiles and back.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{Launch, run};
use kiln_dsl::array::{Design, DesignBuilder, FifoRef, LowerMode, MemType, Tile};
use kiln_dsl::kernel::Elem;
use serde::Deserialize;

/// Words of an object.
const OBJECT_WORDS: u32 = 4096;

/// `words` through each of `channels` channels each way at once, channel by channel in a column of its own, then
/// a second in each. Its bytes are those of one direction.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdrPassthrough {
    /// Words of one channel.
    words: u32,
    #[serde(default = "one")]
    channels: u32,
    #[serde(default)]
    launch: Launch,
}

fn one() -> u32 {
    1
}

impl Workload for DdrPassthrough {
    const KIND: &'static str = "ddr_passthrough";
    /// Rate of one direction once it flows, in 10^9 bytes a second: the second half of the words.
    const QUANTITIES: &'static [&'static str] = &["gb_per_s"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let cycles =
            |words| Ok::<_, String>(run(self.design(words)?, LowerMode::default(), 0, conditions)?.cycles);
        let half = self.words / 2 / OBJECT_WORDS * OBJECT_WORDS;
        let whole = cycles(self.words)?;
        let bytes = |words: u32| f64::from(words) * 4.0 * f64::from(self.channels);
        let mut quantities = Vec::new();
        if half > 0 {
            let seconds = (whole - cycles(half)?) as f64 / conditions.clock_hz();
            quantities.push(("gb_per_s", bytes(self.words - half) / seconds / 1e9));
        }
        Ok(Outcome {
            cycles: whole as f64,
            host_us: self.launch.us(conditions),
            bytes: bytes(self.words),
            quantities,
            ..Outcome::default()
        })
    }
}

impl DdrPassthrough {
    fn design(&self, words: u32) -> Result<Design, String> {
        if !(1..=8).contains(&self.channels) {
            return Err(format!("channels: {}, expected 1 to 8", self.channels));
        }
        if words == 0 || !words.is_multiple_of(OBJECT_WORDS) {
            return Err(format!("words: {words}, expected a multiple of {OBJECT_WORDS}"));
        }
        let d = DesignBuilder::new("ddr_passthrough", "Host memory through mem tiles.");
        let object = MemType::flat(Elem::I32, OBJECT_WORDS);
        let ends: Vec<(FifoRef<'_>, FifoRef<'_>)> = (0..self.channels)
            .map(|at| {
                let [shim, mem] = [0, 1].map(|row| Tile::new((at % 4) as u8, row));
                let input = d.fifo(format!("in_{at}"), shim, [mem], object.clone());
                let output = d.fifo(format!("out_{at}"), mem, [shim], object.clone());
                d.link([input], [output]);
                (input, output)
            })
            .collect();
        d.sequence(|s| {
            let ty = MemType::flat(Elem::I32, words * self.channels);
            let (x, y) = (s.buffer("x", ty.clone()), s.buffer("y", ty));
            for (at, &(input, output)) in (0u64..).zip(&ends) {
                let from = at * u64::from(words);
                s.copy_linear(x, input, from, u64::from(words));
                s.copy_linear(y, output, from, u64::from(words));
            }
            ends.iter().for_each(|&(_, output)| s.wait(output));
        });
        Ok(d.build())
    }
}
