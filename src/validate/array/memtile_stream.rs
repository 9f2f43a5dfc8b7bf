//! `memtile_stream`: one buffer descriptor of a mem tile, read into a stream.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{channel, first, run};
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::array::{DesignBuilder, LowerMode, MemType, Tile};
use kiln_dsl::kernel::Elem;
use kiln_sim::trace::Event;
use serde::Deserialize;

/// `words` words, `stride_words` apart in the mem tile: from the grant of the descriptor's lock to its end, or
/// the words on the stream with `observe: port_cycles`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemtileStream {
    words: u32,
    #[serde(default = "one")]
    stride_words: u32,
}

fn one() -> u32 {
    1
}

impl Workload for MemtileStream {
    const KIND: &'static str = "memtile_stream";
    /// Cycles in which words pass the stream port.
    const QUANTITIES: &'static [&'static str] = &["port_cycles"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let (words, stride) = (self.words, self.stride_words);
        let fits =
            u64::from(words) * u64::from(stride) * 4 <= u64::from(conditions.device.mem.memory_bytes());
        if words == 0 || stride == 0 || !words.is_multiple_of(stride) || !fits {
            let bytes = conditions.device.mem.memory_bytes();
            return Err(format!(
                "words: {words}, stride_words: {stride}: expected words that the stride divides, at most {bytes} B"
            ));
        }
        let d = DesignBuilder::new("memtile_stream", "One object out of a mem tile.");
        let [shim, mem] = [0, 1].map(|row| Tile::new(0, row));
        let object = MemType::flat(Elem::I32, words);
        let input = d.fifo("in", shim, [mem], object.clone()).depth(1);
        let mut output = d.fifo("out", mem, [shim], object.clone()).depth(1);
        d.link([input], [output]);
        if stride > 1 {
            output = output.to_stream([(stride, 1), (words / stride, stride)]);
        }
        d.sequence(|s| {
            let (x, y) = (s.buffer("x", object.clone()), s.buffer("y", object.clone()));
            // The receiver first, so that it is there when the mem tile sends.
            s.copy_linear(y, output, 0, u64::from(words));
            s.copy_linear(x, input, 0, u64::from(words));
            s.wait(output);
        });
        let report = run(d.build(), LowerMode::Static, 10_000, conditions)?;
        let mm2s = channel(Direction::Mm2s);
        let granted = first(&report, mem, |e| e == Event::DmaStalledLock(mm2s))?.end;
        let ended = first(&report, mem, |e| e == Event::DmaFinishedBd(mm2s))?.start;
        let port = report.trace.events.iter().filter(|e| {
            e.tile == mem && matches!(e.event, Event::PortRunning { channel, .. } if channel == mm2s)
        });
        let port_cycles: u64 = port.map(|e| e.end - e.start).sum();
        Ok(Outcome {
            cycles: (ended - granted) as f64,
            bytes: f64::from(words) * 4.0,
            quantities: vec![("port_cycles", port_cycles as f64)],
            ..Outcome::default()
        })
    }
}
