//! `shim_task`: tasks of one shim channel.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{channel, run};
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::array::{DesignBuilder, LowerMode, MemType, Tile};
use kiln_dsl::kernel::Elem;
use kiln_sim::trace::Event;
use serde::Deserialize;

/// Task number `task` (from 0) of `tasks` in a queue, of `words` contiguous words each, from its start to its
/// end. What a task writes is there when it starts, what it reads is taken at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShimTask {
    direction: Way,
    words: u32,
    #[serde(default = "one")]
    tasks: u32,
    #[serde(default)]
    task: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Mm2s,
    S2mm,
}

fn one() -> u32 {
    1
}

impl Workload for ShimTask {
    const KIND: &'static str = "shim_task";
    /// From the start of the task before to that of the task.
    const QUANTITIES: &'static [&'static str] = &["start_to_start"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let (words, tasks) = (self.words, self.tasks);
        if words == 0 || tasks == 0 || tasks > 16 || self.task >= tasks {
            return Err(format!(
                "words: {words}, tasks: {tasks}, task: {}: expected words, 1 to 16 tasks and one of them",
                self.task
            ));
        }
        let d = DesignBuilder::new("shim_task", "Tasks of one shim channel.");
        let [shim, mem] = [0, 1].map(|row| Tile::new(0, row));
        let object = MemType::flat(Elem::I32, words);
        let input = d.fifo("in", shim, [mem], object.clone()).depth(tasks);
        let output = d.fifo("out", mem, [shim], object).depth(tasks);
        d.link([input], [output]);
        d.sequence(|s| {
            let all = MemType::flat(Elem::I32, words * tasks);
            let (x, y) = (s.buffer("x", all.clone()), s.buffer("y", all));
            s.keep_in_flight(4);
            let each = || (0..u64::from(tasks)).map(|at| at * u64::from(words));
            each().for_each(|from| {
                s.copy_linear(x, input, from, u64::from(words));
            });
            s.wait(input);
            each().for_each(|from| {
                s.copy_linear(y, output, from, u64::from(words));
            });
            s.wait(output);
        });
        let report = run(d.build(), LowerMode::Static, 100_000, conditions)?;
        let of = channel(match self.direction {
            Way::Mm2s => Direction::Mm2s,
            Way::S2mm => Direction::S2mm,
        });
        let times = |event: Event| -> Vec<u64> {
            let events = report.trace.events.iter().filter(|e| e.tile == shim && e.event == event);
            events.map(|e| e.start).collect()
        };
        let (starts, ends) = (times(Event::DmaStartTask(of)), times(Event::DmaFinishedTask(of)));
        let at = self.task as usize;
        let (Some(start), Some(end)) = (starts.get(at), ends.get(at)) else {
            return Err(format!("task {at} did not run"));
        };
        let before = at.checked_sub(1).and_then(|at| starts.get(at));
        Ok(Outcome {
            cycles: (end - start) as f64,
            bytes: f64::from(words) * 4.0,
            quantities: before.map(|b| ("start_to_start", (start - b) as f64)).into_iter().collect(),
            ..Outcome::default()
        })
    }
}
