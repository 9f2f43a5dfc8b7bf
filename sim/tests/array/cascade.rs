//! Cascades between cores, with the real kernels.

use super::support::{i8s, shim};
use kiln_dsl::Verified;
use kiln_dsl::array::{Design, DesignBuilder, LowerMode, Port, Tile, lower, verify};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::build::{Acc32, Builder};
use kiln_dsl::kernel::{Kernel, verify as verify_kernel};
use kiln_dsl::num::{Rounding, Saturation};
use kiln_sim::array::{Problem, SimError, SimOptions, Waiting, simulate};
use kiln_sim::report::SimReport;
use kiln_sim::trace::Event;
use std::sync::Arc;

const TOP: Tile = Tile::new(0, 3);
const LOW: Tile = Tile::new(0, 2);
/// Bytes of an object: what fills one value of the cascade as 32-bit lanes.
const OBJECT: u32 = 16;

fn kernel(name: &str, author: impl for<'k> FnOnce(&'k Builder)) -> Arc<Verified<Kernel>> {
    let kernel = Kernel::build(name, Rounding::ConvEven, Saturation::On, author);
    Arc::new(verify_kernel(kernel).unwrap_or_else(|e| panic!("{e}")))
}

/// The upper core puts one value an object, three times it; the lower core gets `gets` a call and
/// stores their sum plus 5. `objects` objects in, `results` objects out.
fn two_cores(gets: u32, objects: u32, results: u32) -> Design {
    let d = DesignBuilder::new("two_cores", "");
    d.columns(2);
    let put = d.kernel(kernel("put", |k| {
        let x = k.input::<i8>("x", [OBJECT]);
        let once = x.load::<16>(0).ups::<Acc32>(0);
        (once + once + once).cascade_put();
    }));
    let get = d.kernel(kernel("get", |k| {
        let y = k.output::<i32>("y", [OBJECT]);
        let five = k.splat::<i32, 16>(5).ups::<Acc32>(0);
        let sum = (0..gets).fold(five, |sum, _| sum + k.cascade_get());
        y.store(0, sum.srs::<i32>(0));
    }));
    d.cascade(TOP, LOW);
    let i = d.fifo("i", shim(0), [TOP], i8s(OBJECT));
    let words = kiln_dsl::array::MemType::flat(kiln_dsl::kernel::Elem::I32, OBJECT);
    let o = d.fifo("o", LOW, [shim(0)], words);
    d.core(TOP, |c| {
        c.forever(|c| {
            let x = c.consume(i);
            c.call(put, [x]);
            c.release(i, Port::Consume, 1);
        });
    });
    d.core(LOW, |c| {
        c.forever(|c| {
            let y = c.produce(o);
            c.call(get, [y]);
            c.release(o, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let (x, y) = (OBJECT * objects, OBJECT * results);
        let from = s.buffer("x", i8s(x));
        let to = s.buffer("y", kiln_dsl::array::MemType::flat(kiln_dsl::kernel::Elem::I32, y));
        s.copy_linear(from, i, 0, x.into());
        s.copy_linear(to, o, 0, y.into());
        s.wait(o);
    });
    d.build()
}

fn run(design: Design, host: &mut [Vec<u8>]) -> Result<SimReport, SimError> {
    let device = Device::npu1();
    let design = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::Dynamic).unwrap_or_else(|e| panic!("{e}"));
    let profile = device.profile("phoenix-laptop").expect("a profile of npu1");
    let options = SimOptions { trace_events: 10_000, ..SimOptions::default() };
    simulate(&design, &lowered, device, profile, host, &options)
}

fn bytes(objects: u32) -> Vec<u8> {
    (0..OBJECT * objects).map(|i| (i * 37 % 251) as u8).collect()
}

#[test]
fn a_reader_takes_what_one_or_several_calls_of_the_writer_sent() {
    for gets in [1u32, 3] {
        let (objects, results) = (12, 12 / gets);
        let mut host = [bytes(objects), vec![0; (4 * OBJECT * results) as usize]];
        let report = run(two_cores(gets, objects, results), &mut host).unwrap_or_else(|e| panic!("{e}"));
        let x: Vec<i32> = host[0].iter().map(|&b| i32::from(b as i8)).collect();
        let expected = x.chunks_exact((OBJECT * gets) as usize).flat_map(|of_call| {
            (0..OBJECT as usize).map(|lane| {
                5 + of_call.iter().skip(lane).step_by(OBJECT as usize).map(|v| 3 * v).sum::<i32>()
            })
        });
        let got: Vec<i32> =
            host[1].chunks_exact(4).map(|w| i32::from_le_bytes(w.try_into().expect("a word"))).collect();
        assert_eq!(got, expected.collect::<Vec<i32>>(), "{gets} a call");
        let [top, low] = [TOP, LOW].map(|t| report.cores.iter().find(|c| c.tile == t).expect("a core"));
        assert_eq!((top.calls, low.calls), (12, u64::from(results)), "a call that waits counts once");
        assert!(low.cascade_stall_cycles > 0 && top.cascade_stall_cycles == 0, "{report:?}");
        assert!(report.trace.events.iter().any(|e| e.event == Event::CascadeStall && e.tile == LOW));
    }
}

#[test]
fn a_writer_that_never_comes_is_a_deadlock_that_names_it() {
    let mut host = [bytes(4), vec![0; 4 * OBJECT as usize * 2]];
    let error = run(two_cores(3, 4, 2), &mut host).expect_err("two values are missing");
    let SimError::Deadlock { circle, .. } = &error else { panic!("{error}") };
    let found = circle.iter().any(|w| {
        matches!(w, Waiting::Cascade { tile: LOW, from: TOP, unread: 1, site, .. } if site.kernel == "get")
    });
    assert!(found, "{error}");
    let text = error.to_string();
    assert!(text.contains("core (0,2) waits since cycle") && text.contains("from core (0,3)"), "{text}");
}

#[test]
fn a_cascade_to_a_core_without_a_program_is_refused() {
    let (mut design, east) = (two_cores(1, 1, 1), Tile::new(1, 2));
    let mut onwards = design.cascades[0].clone();
    (onwards.from, onwards.to) = (LOW, east);
    design.cascades.push(onwards);
    let error = run(design, &mut [bytes(1), vec![0; 64]]);
    let Err(SimError::Invalid { problems }) = error else { panic!("{error:?}") };
    assert!(problems.contains(&Problem::CascadeEnd { from: LOW, to: east, idle: east }), "{problems:?}");
}
