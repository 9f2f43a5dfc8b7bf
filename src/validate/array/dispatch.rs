//! `dispatch`: a run that does next to nothing.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{Launch, run};
use kiln_dsl::array::{DesignBuilder, LowerMode, MemType, Tile};
use kiln_dsl::kernel::Elem;
use serde::Deserialize;

/// `bytes` from host memory through a mem tile and back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    #[serde(default)]
    launch: Launch,
    #[serde(default = "page")]
    bytes: u32,
}

fn page() -> u32 {
    4096
}

impl Workload for Dispatch {
    const KIND: &'static str = "dispatch";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let bytes = self.bytes;
        if bytes == 0 || !bytes.is_multiple_of(4) {
            return Err(format!("bytes: {bytes}, expected a multiple of 4"));
        }
        let d = DesignBuilder::new("dispatch", "One object through a mem tile.");
        let [shim, mem] = [0, 1].map(|row| Tile::new(0, row));
        let object = MemType::flat(Elem::I8, bytes);
        let input = d.fifo("in", shim, [mem], object.clone());
        let output = d.fifo("out", mem, [shim], object.clone());
        d.link([input], [output]);
        d.sequence(|s| {
            let (x, y) = (s.buffer("x", object.clone()), s.buffer("y", object.clone()));
            s.copy_linear(x, input, 0, u64::from(bytes));
            s.copy_linear(y, output, 0, u64::from(bytes));
            s.wait(output);
        });
        let report = run(d.build(), LowerMode::default(), 0, conditions)?;
        Ok(Outcome {
            cycles: report.cycles as f64,
            host_us: self.launch.us(conditions),
            bytes: f64::from(bytes),
            ..Outcome::default()
        })
    }
}
