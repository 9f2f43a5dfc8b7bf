//! Designs and an executor for the tests.

use kiln_dsl::Verified;
use kiln_dsl::array::lowered::{CoreOp, Lowered};
use kiln_dsl::array::{
    Design, DesignBuilder, FifoRef, KernelId, LowerMode, MemType, Port, Tile, lower, verify,
};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Elem, Kernel, verify as verify_kernel};
use kiln_dsl::num::{Rounding, Saturation};
use kiln_sim::array::{SimError, SimOptions, simulate_with};
use kiln_sim::core::RunError;
use kiln_sim::executor::{ArgValue, CallCost, Cascade, ExecError, KernelExecutor, TileMemories};
use kiln_sim::report::SimReport;
use std::sync::Arc;

/// `count` bytes.
pub fn i8s(count: u32) -> MemType {
    MemType::flat(Elem::I8, count)
}

/// A kernel that copies `bytes` from its first to its second parameter.
pub fn copy_kernel(name: &str, bytes: u32) -> Arc<Verified<Kernel>> {
    let kernel = Kernel::build(name, Rounding::ConvEven, Saturation::On, |k| {
        let x = k.input::<i8>("x", [bytes]);
        let y = k.output::<i8>("y", [bytes]);
        k.for_step(0, bytes, 64, |i| y.store(i, x.load::<64>(i)));
    });
    Arc::new(verify_kernel(kernel).unwrap_or_else(|e| panic!("{e}")))
}

/// Copies the first argument to the second, plus a constant, in a time that each kernel has.
pub struct Copier {
    /// Cycles of each kernel.
    pub cycles: Vec<u64>,
    /// Added to every byte.
    pub add: u8,
}

impl KernelExecutor for Copier {
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
        _cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError> {
        let [ArgValue::Memory { tile, address, bytes }, ArgValue::Memory { tile: to, address: at, .. }] =
            *args
        else {
            let (kernel, got) = (kernel.to_string(), args.len());
            return Err(RunError::ArgumentCount { kernel, expected: 2, got }.into());
        };
        let outside = |memory, address| RunError::ArgumentOutside {
            kernel: kernel.to_string(),
            param: String::new(),
            memory,
            address: u64::from(address),
            end: u64::from(address) + u64::from(bytes),
            memory_bytes: 0,
        };
        let mut data = memories.get(tile, address, bytes).ok_or(outside(tile, address))?.to_vec();
        data.iter_mut().for_each(|b| *b = b.wrapping_add(self.add));
        memories.get_mut(to, at, bytes).ok_or(outside(to, at))?.copy_from_slice(&data);
        Ok(CallCost { cycles: self.cycles[kernel.index()], ..CallCost::default() })
    }
}

/// A design ready to simulate.
pub struct Ready {
    /// It.
    pub design: Verified<Design>,
    /// What the toolchain would make of it.
    pub lowered: Lowered,
    /// On this device.
    pub device: Device,
    /// And machine.
    pub profile: &'static str,
    /// With these options.
    pub options: SimOptions,
}

impl Ready {
    /// Verifies and lowers.
    pub fn new(design: Design) -> Ready {
        let device = Device::npu1().clone();
        let design = verify(design, &device).unwrap_or_else(|e| panic!("{e}"));
        let lowered = lower(&design, &device, LowerMode::Dynamic).unwrap_or_else(|e| panic!("{e}"));
        let options = SimOptions { trace_events: 100_000, hazards: true, ..SimOptions::default() };
        Ready { design, lowered, device, profile: "phoenix-laptop", options }
    }

    /// Simulates with a copier that takes `cycles` per kernel and adds nothing.
    pub fn run(&self, host: &mut [Vec<u8>], cycles: &[u64]) -> Result<SimReport, SimError> {
        self.run_on(host, &mut Copier { cycles: cycles.to_vec(), add: 0 })
    }

    /// Simulates.
    pub fn run_on(&self, host: &mut [Vec<u8>], executor: &mut Copier) -> Result<SimReport, SimError> {
        let profile = self.device.profile(self.profile).expect("a profile of npu1");
        simulate_with(&self.design, &self.lowered, &self.device, profile, host, &self.options, executor)
    }
}

/// The shim of a column.
pub const fn shim(col: u8) -> Tile {
    Tile::new(col, 0)
}

/// The mem tile of a column.
pub const fn mem(col: u8) -> Tile {
    Tile::new(col, 1)
}

/// A core, by column and row among the cores.
pub const fn core(col: u8, row: u8) -> Tile {
    Tile::new(col, row + 2)
}

/// A core that passes objects from one FIFO to another for ever.
pub fn pass(d: &DesignBuilder, tile: Tile, kernel: KernelId, input: FifoRef<'_>, output: FifoRef<'_>) {
    d.core(tile, |c| {
        c.forever(|c| {
            let x = c.consume(input);
            let y = c.produce(output);
            c.call(kernel, (x, y));
            c.release(input, Port::Consume, 1);
            c.release(output, Port::Produce, 1);
        });
    });
}

/// Shim, one core, shim: `objects` objects of `bytes` bytes in and `out_objects` out.
pub fn one_core(bytes: u32, objects: u32, out_objects: u32) -> Ready {
    let d = DesignBuilder::new("one_core", "One core copies objects.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", bytes));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(bytes));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(bytes));
    pass(&d, core(0, 0), copy, input, output);
    d.sequence(|s| {
        let x = s.buffer("x", i8s(bytes * objects));
        let y = s.buffer("y", i8s(bytes * out_objects));
        s.copy_linear(x, input, 0, u64::from(bytes * objects));
        s.copy_linear(y, output, 0, u64::from(bytes * out_objects));
        s.wait(output);
    });
    Ready::new(d.build())
}

/// Shim, mem tile, shim, without a core.
pub fn through_mem_tile(bytes: u32, objects: u32, depth: u32) -> Ready {
    let d = DesignBuilder::new("through_mem_tile", "The mem tile passes objects on.");
    d.columns(1);
    let input = d.fifo("l2_in", shim(0), [mem(0)], i8s(bytes)).depth(depth);
    let output = d.fifo("l2_out", mem(0), [shim(0)], i8s(bytes)).depth(depth);
    d.link([input], [output]);
    d.sequence(|s| {
        let x = s.buffer("x", i8s(bytes * objects));
        let y = s.buffer("y", i8s(bytes * objects));
        s.copy_linear(x, input, 0, u64::from(bytes * objects));
        s.copy_linear(y, output, 0, u64::from(bytes * objects));
        s.wait(output);
    });
    Ready::new(d.build())
}

/// A mem tile sends objects to two cores at once; each returns its own.
pub fn broadcast(bytes: u32, objects: u32) -> Ready {
    let d = DesignBuilder::new("broadcast", "One stream to two cores.");
    d.columns(1);
    let kernels = ["copy_a", "copy_b"].map(|name| d.kernel(copy_kernel(name, bytes)));
    let input = d.fifo("l2_in", shim(0), [mem(0)], i8s(bytes));
    let shared = d.fifo("shared", mem(0), [core(0, 0), core(0, 1)], i8s(bytes));
    d.link([input], [shared]);
    let outputs = [0, 1].map(|row| {
        let output = d.fifo(format!("out_{row}"), core(0, row), [shim(0)], i8s(bytes));
        pass(&d, core(0, row), kernels[usize::from(row)], shared, output);
        output
    });
    d.sequence(|s| {
        let total = bytes * objects;
        let x = s.buffer("x", i8s(total));
        let y = ["y_a", "y_b"].map(|name| s.buffer(name, i8s(total)));
        s.copy_linear(x, input, 0, u64::from(total));
        for (buffer, output) in y.into_iter().zip(outputs) {
            s.copy_linear(buffer, output, 0, u64::from(total));
        }
        outputs.into_iter().for_each(|output| s.wait(output));
    });
    Ready::new(d.build())
}

/// Two cores, one above the other, that pass ten objects on in memory that they share.
pub fn neighbours() -> Ready {
    let d = DesignBuilder::new("neighbours", "Two cores, one above the other, share a FIFO in memory.");
    d.columns(1);
    let kernels = ["first", "second"].map(|name| d.kernel(copy_kernel(name, 64)));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(64));
    let between = d.fifo("between", core(0, 0), [core(0, 1)], i8s(64));
    let output = d.fifo("of_out", core(0, 1), [shim(0)], i8s(64));
    pass(&d, core(0, 0), kernels[0], input, between);
    pass(&d, core(0, 1), kernels[1], between, output);
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(640)), s.buffer("y", i8s(640)));
        s.copy_linear(x, input, 0, 640);
        s.copy_linear(y, output, 0, 640);
        s.wait(output);
    });
    Ready::new(d.build())
}

/// Bytes that differ from place to place.
pub fn ramp(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8)) as u8).collect()
}

/// Changes every operation of a core's program.
pub fn each_op(body: &mut [CoreOp], change: &dyn Fn(&mut CoreOp)) {
    for op in body {
        change(op);
        if let CoreOp::Loop { body, .. } = op {
            each_op(body, change);
        }
    }
}
