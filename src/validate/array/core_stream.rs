//! `core_stream`: objects through one core that does next to nothing.

use super::super::workload::{Conditions, Outcome, Workload};
use super::{Launch, add, pass, run};
use kiln_dsl::array::{Design, DesignBuilder, LowerMode, MemType, Tile};
use kiln_dsl::kernel::{Elem, Kernel, build::Builder};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// `objects` objects of `in_bytes` to a core and as many of `out_bytes` back. Its bytes are those that go in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreStream {
    in_bytes: u32,
    out_bytes: u32,
    objects: u32,
    /// Both ways through the mem tile.
    #[serde(default)]
    through_memtile: bool,
    #[serde(default)]
    launch: Launch,
}

impl Workload for CoreStream {
    const KIND: &'static str = "core_stream";
    /// Milliseconds for each 10^6 bytes in, once it flows: the second half of the objects.
    const QUANTITIES: &'static [&'static str] = &["ms_per_mb"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let half = self.objects / 2;
        let cycles = |objects| {
            Ok::<_, String>(run(self.design(objects)?, LowerMode::default(), 0, conditions)?.cycles)
        };
        let whole = cycles(self.objects)?;
        let mut quantities = Vec::new();
        if half > 0 {
            let ms = (whole - cycles(half)?) as f64 / conditions.clock_hz() * 1e3;
            quantities
                .push(("ms_per_mb", ms / (f64::from(self.in_bytes) * f64::from(self.objects - half) / 1e6)));
        }
        Ok(Outcome {
            cycles: whole as f64,
            host_us: self.launch.us(conditions),
            bytes: f64::from(self.in_bytes) * f64::from(self.objects),
            quantities,
            ..Outcome::default()
        })
    }
}

impl CoreStream {
    fn design(&self, objects: u32) -> Result<Design, String> {
        for (name, bytes) in [("in_bytes", self.in_bytes), ("out_bytes", self.out_bytes)] {
            if bytes == 0 || !bytes.is_multiple_of(32) {
                return Err(format!("{name}: {bytes}, expected a multiple of 32"));
            }
        }
        if objects == 0 {
            return Err("objects: 0, expected at least 1".to_owned());
        }
        let d = DesignBuilder::new("core_stream", "Objects through one core.");
        let (x, y) = (MemType::flat(Elem::I8, self.in_bytes), MemType::flat(Elem::I8, self.out_bytes));
        let touch = add(&d, touch(self.in_bytes, self.out_bytes))?;
        let [shim, mem, core] = [0, 1, 2].map(|row| Tile::new(0, row));
        let (input, output);
        let (first, last);
        if self.through_memtile {
            first = d.fifo("in_l2", shim, [mem], x.clone());
            input = d.fifo("in_l1", mem, [core], x);
            d.link([first], [input]);
            output = d.fifo("out_l1", core, [mem], y.clone());
            last = d.fifo("out_l2", mem, [shim], y);
            d.link([output], [last]);
        } else {
            input = d.fifo("in", shim, [core], x);
            output = d.fifo("out", core, [shim], y);
            (first, last) = (input, output);
        }
        pass(&d, core, touch, input, output);
        let (in_all, out_all) = (self.in_bytes * objects, self.out_bytes * objects);
        d.sequence(|s| {
            let x = s.buffer("x", MemType::flat(Elem::I8, in_all));
            let y = s.buffer("y", MemType::flat(Elem::I8, out_all));
            s.copy_linear(x, first, 0, u64::from(in_all));
            s.copy_linear(y, last, 0, u64::from(out_all));
            s.wait(last);
        });
        Ok(d.build())
    }
}

/// Copies the first vector.
fn touch(in_bytes: u32, out_bytes: u32) -> Kernel {
    Kernel::build("touch", Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let x = k.input::<i8>("x", [in_bytes]);
        let y = k.output::<i8>("y", [out_bytes]);
        y.store(0, x.load::<32>(0));
    })
}
