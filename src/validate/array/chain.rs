//! `chain_stage`: one stage of the way from host memory to a core.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{add, channel, first, pass, run};
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::array::{DesignBuilder, LowerMode, MemType, Tile};
use kiln_dsl::kernel::{Elem, Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};
use kiln_sim::trace::Event;
use serde::Deserialize;

/// The first object of `words` words through shim, mem tile and core.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainStage {
    stage: Stage,
    #[serde(default = "sixteen")]
    words: u32,
}

fn sixteen() -> u32 {
    16
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// From the start of the shim's task to the end of the mem tile's descriptor that takes it.
    ShimToMemtile,
    /// From there to the mem tile's first word out.
    MemtileTurn,
    /// From the end of the mem tile's descriptor to that of the core tile.
    MemtileToCore,
    /// From there until the core has the object.
    DoneToLock,
}

impl Workload for ChainStage {
    const KIND: &'static str = "chain_stage";
    const QUANTITIES: &'static [&'static str] = &[];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let bytes = self.words * 4;
        if self.words == 0 || !bytes.is_multiple_of(32) {
            return Err(format!("words: {}, expected a multiple of 8", self.words));
        }
        let d = DesignBuilder::new("chain", "One object to a core and back.");
        let kernel = Kernel::build("touch", Rounding::ConvEven, Saturation::On, |k: &Builder| {
            let x = k.input::<i8>("x", [bytes]);
            let y = k.output::<i8>("y", [bytes]);
            y.store(0, x.load::<32>(0));
        });
        let touch = add(&d, kernel)?;
        let [shim, mem, core] = [0, 1, 2].map(|row| Tile::new(0, row));
        let object = MemType::flat(Elem::I8, bytes);
        let from = d.fifo("in_l2", shim, [mem], object.clone());
        let input = d.fifo("in_l1", mem, [core], object.clone());
        d.link([from], [input]);
        let output = d.fifo("out", core, [shim], object.clone());
        pass(&d, core, touch, input, output);
        d.sequence(|s| {
            let (x, y) = (s.buffer("x", object.clone()), s.buffer("y", object.clone()));
            s.copy_linear(x, from, 0, u64::from(bytes));
            s.copy_linear(y, output, 0, u64::from(bytes));
            s.wait(output);
        });
        let report = run(d.build(), LowerMode::Static, 10_000, conditions)?;
        let (s2mm, mm2s) = (channel(Direction::S2mm), channel(Direction::Mm2s));
        let at = |tile, event| first(&report, tile, |e| e == event).map(|e| e.start);
        let port =
            first(&report, mem, |e| matches!(e, Event::PortRunning { channel, .. } if channel == mm2s));
        let (start, end) = match self.stage {
            Stage::ShimToMemtile => {
                (at(shim, Event::DmaStartTask(mm2s))?, at(mem, Event::DmaFinishedBd(s2mm))?)
            }
            Stage::MemtileTurn => (at(mem, Event::DmaFinishedBd(s2mm))?, port?.start),
            Stage::MemtileToCore => {
                (at(mem, Event::DmaFinishedBd(mm2s))?, at(core, Event::DmaFinishedBd(s2mm))?)
            }
            Stage::DoneToLock => {
                (at(core, Event::DmaFinishedBd(s2mm))?, at(core, Event::InstrEvent0(touch))?)
            }
        };
        Ok(Outcome { cycles: end as f64 - start as f64, ..Outcome::default() })
    }
}
