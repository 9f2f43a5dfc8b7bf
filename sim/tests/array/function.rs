//! The right bytes arrive, twice the same way.

use crate::support::*;
use kiln_dsl::array::{
    CoreBuilder, DesignBuilder, KernelId, LowerMode, MemType, ObjectId, Port, WordRef, lower,
};
use kiln_dsl::kernel::Elem;
use kiln_sim::array::{UNINITIALISED, simulate};
use kiln_sim::trace::Event;

#[test]
fn one_core_returns_what_it_was_sent_plus_one() {
    let ready = one_core(256, 7, 7);
    let mut host = [ramp(1792), vec![0; 1792]];
    let report = ready.run_on(&mut host, &mut Copier { cycles: vec![100], add: 1 }).unwrap();
    let expected: Vec<u8> = ramp(1792).iter().map(|b| b.wrapping_add(1)).collect();
    assert_eq!(host[1], expected);
    assert_eq!(host[0], ramp(1792), "inputs stay");
    assert_eq!((report.ddr_read_bytes, report.ddr_write_bytes), (1792, 1792));
    let used = &report.cores[0];
    assert_eq!((used.tile, used.calls, used.busy_cycles), (core(0, 0), 7, 700));
    assert_eq!((report.kernels[0].calls, report.kernels[0].cycles), (7, 700));
    // Default stack 1024, two buffers at each end of both FIFOs; the counters of the dynamic lowering.
    let tile = &ready.lowered.tiles[&core(0, 0)];
    let buffers: u32 = tile.buffers.iter().map(|b| b.bytes).sum();
    assert!(buffers >= 4 * 256);
    assert_eq!(report.l1_peak_bytes, u64::from(buffers + 1024));
    assert_eq!(report.l2_peak_bytes, 0);
}

#[test]
fn real_kernels_run_in_place_and_take_their_time() {
    for ready in [one_core(256, 7, 7), broadcast(256, 5)] {
        let profile = ready.device.profile(ready.profile).unwrap();
        let mut host: Vec<Vec<u8>> =
            ready.design.sequence.buffers.iter().map(|b| vec![0; b.ty.bytes() as usize]).collect();
        host[0] = ramp(host[0].len() as u32);
        let report =
            simulate(&ready.design, &ready.lowered, &ready.device, profile, &mut host, &ready.options)
                .unwrap();
        assert!(host[1..].iter().all(|y| *y == host[0]));
        for (core, kernel) in report.cores.iter().zip(&report.kernels) {
            assert_eq!((core.calls, core.busy_cycles), (kernel.calls, kernel.cycles));
            // Four vectors of 64 bytes, each at least a load and a store of 32 bytes twice.
            assert!(kernel.cycles >= kernel.calls * 8, "{kernel:?}");
        }
    }
}

/// Host, mem tile, one core, host; what comes to the mem tile, or what the core makes, goes on `times` times.
fn repeated(times: u32, depth: u32, by_core: bool) -> Ready {
    let d = DesignBuilder::new("repeated", "Each object goes on several times.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 64));
    let first = d.fifo("l2", shim(0), [mem(0)], i8s(64)).depth(depth);
    let input = d.fifo("l1", mem(0), [core(0, 0)], i8s(64));
    d.link([first], [input]);
    let output = d.fifo("out", core(0, 0), [shim(0)], i8s(64)).depth(depth);
    if by_core {
        output.repeat(times)
    } else {
        input.repeat(times)
    };
    pass(&d, core(0, 0), copy, input, output);
    let objects = 5;
    d.sequence(|s| {
        let x = s.buffer("x", i8s(64 * objects));
        let y = s.buffer("y", i8s(64 * objects * times));
        s.copy_linear(x, first, 0, u64::from(64 * objects));
        s.copy_linear(y, output, 0, u64::from(64 * objects * times));
        s.wait(output);
    });
    Ready::new(d.build())
}

#[test]
fn a_repeated_object_arrives_as_often_as_it_is_sent() {
    for (times, depth, by_core) in [(3, 2, false), (3, 1, false), (2, 3, true), (4, 1, true)] {
        let mut ready = repeated(times, depth, by_core);
        for mode in [LowerMode::Dynamic, LowerMode::Static] {
            ready.lowered = lower(&ready.design, &ready.device, mode).unwrap();
            let x = ramp(320);
            let mut host = [x.clone(), vec![0; 320 * times as usize]];
            ready.run(&mut host, &[50]).unwrap_or_else(|e| panic!("{times} {depth} {by_core}: {e}"));
            let expected: Vec<u8> = x.chunks(64).flat_map(|object| object.repeat(times as usize)).collect();
            assert_eq!(host[1], expected, "{times} {depth} {by_core}");
        }
    }
}

#[test]
fn initial_objects_are_there_before_any_producer() {
    for via_dma in [false, true] {
        let d = DesignBuilder::new("filled", "A producer without a program has objects from the start.");
        d.columns(1);
        let copy = d.kernel(copy_kernel("copy", 64));
        let objects = [ramp(64), vec![7; 64], vec![9; 64]];
        let input = d.fifo("filled", core(0, 1), [core(0, 0)], i8s(64)).depth(3).init(objects.clone());
        if via_dma {
            input.via_dma();
        }
        let output = d.fifo("out", core(0, 0), [shim(0)], i8s(64));
        pass(&d, core(0, 0), copy, input, output);
        d.sequence(|s| {
            let y = s.buffer("y", i8s(192));
            s.copy_linear(y, output, 0, 192);
            s.wait(output);
        });
        let mut host = [vec![0; 192]];
        Ready::new(d.build()).run(&mut host, &[50]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(host[0], objects.concat());
    }
}

#[test]
fn two_runs_are_equal_in_bytes_cycles_and_trace() {
    for ready in [one_core(512, 40, 40), through_mem_tile(1024, 30, 2), broadcast(256, 20)] {
        let sizes: Vec<u32> = ready.design.sequence.buffers.iter().map(|b| b.ty.bytes() as u32).collect();
        let host: Vec<Vec<u8>> = sizes.into_iter().map(ramp).collect();
        let (mut a, mut b) = (host.clone(), host);
        let first = ready.run(&mut a, &[300, 10]).unwrap();
        let second = ready.run(&mut b, &[300, 10]).unwrap();
        assert_eq!(first, second);
        assert_eq!(a, b);
        assert!(first.trace.events.len() > 100);
        assert!(first.trace.events.is_sorted_by_key(|e| e.start));
    }
}

#[test]
fn the_trace_has_the_hardwares_names_and_is_bounded() {
    let mut ready = one_core(256, 2, 2);
    let report = ready.run(&mut [ramp(512), vec![0; 512]], &[100]).unwrap();
    let names: Vec<String> = report.trace.events.iter().map(|e| e.event.name().into_owned()).collect();
    for name in [
        "LOCK_STALL",
        "INSTR_EVENT_0",
        "INSTR_EVENT_1",
        "PORT_RUNNING_0",
        "PORT_RUNNING_1",
        "DMA_MM2S_0_START_TASK",
        "DMA_S2MM_0_FINISHED_BD",
        "DMA_S2MM_0_FINISHED_TASK",
        "DMA_MM2S_0_STALLED_LOCK",
    ] {
        assert!(names.iter().any(|n| n == name), "no {name} in {names:?}");
    }
    let calls: Vec<u64> = report
        .trace
        .events
        .iter()
        .filter(|e| matches!(e.event, Event::InstrEvent0(_)))
        .map(|e| e.start)
        .collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(report.trace.dropped, 0);
    ready.options.trace_events = 5;
    let bounded = ready.run(&mut [ramp(512), vec![0; 512]], &[100]).unwrap();
    assert_eq!(bounded.trace.events.len(), 5);
    assert_eq!(bounded.trace.dropped, report.trace.events.len() as u64 - 5);
    assert_eq!(bounded.cycles, report.cycles, "tracing takes no time");
}

#[test]
fn words_of_an_object_steer_loops_switches_and_survive_its_release() {
    let d = DesignBuilder::new("steered", "A header says how many objects to pass, and which kernel.");
    d.columns(1);
    let kernels = ["copy_a", "copy_b"].map(|name| d.kernel(copy_kernel(name, 64)));
    let header = d.fifo("header", shim(0), [core(0, 0)], MemType::flat(Elem::I32, 4));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(64));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(64));
    d.core(core(0, 0), |c| {
        c.forever(|c| {
            let h = c.consume(header);
            let (count, which) = (h.word(0), h.word(2));
            c.release(header, Port::Consume, 1);
            c.repeat_word(count, |c| {
                let (x, y) = (c.consume(input), c.produce(output));
                pass_on(c, which, kernels, (x, y));
                c.release(input, Port::Consume, 1);
                c.release(output, Port::Produce, 1);
            });
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", MemType::flat(Elem::I32, 12));
        let x = s.buffer("x", i8s(64 * 5));
        let y = s.buffer("y", i8s(64 * 5));
        s.copy_linear(h, header, 0, 12);
        s.copy_linear(x, input, 0, 64 * 5);
        s.copy_linear(y, output, 0, 64 * 5);
        s.wait(output);
    });
    let ready = Ready::new(d.build());
    // Three objects by the kernel of case 5, none (a negative count), two by the default.
    let headers: Vec<u8> =
        [3, 0, 5, 0, -7, 0, 0, 0, 2, 0, 6, 0].iter().flat_map(|w: &i32| w.to_le_bytes()).collect();
    let mut host = [headers, ramp(320), vec![0; 320]];
    let report = ready.run(&mut host, &[10, 20]).unwrap();
    assert_eq!(host[2], ramp(320));
    assert_eq!(report.kernels.iter().map(|k| k.calls).collect::<Vec<_>>(), [2, 3]);
}

fn pass_on(c: &CoreBuilder<'_>, which: WordRef, kernels: [KernelId; 2], args: (ObjectId, ObjectId)) {
    c.switch(which, |s| {
        s.case(5, |c| c.call(kernels[1], args)).default(|c| c.call(kernels[0], args));
    });
}

#[test]
fn memory_that_nothing_wrote_holds_the_documented_pattern() {
    let d = DesignBuilder::new("garbage", "A core returns a buffer that nothing has written.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", 64));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(64));
    let unwritten = d.local("unwritten", core(0, 0), i8s(64), None, None);
    let known = d.local("known", core(0, 0), i8s(64), Some(ramp(64)), None);
    d.core(core(0, 0), |c| {
        for local in [unwritten, known] {
            let y = c.produce(output);
            c.call(copy, (local, y));
            c.release(output, Port::Produce, 1);
        }
    });
    d.sequence(|s| {
        let y = s.buffer("y", i8s(128));
        s.copy_linear(y, output, 0, 128);
        s.wait(output);
    });
    let mut host = [vec![0; 128]];
    let mut ready = Ready::new(d.build());
    ready.options.hazards = false;
    ready.run(&mut host, &[10]).unwrap();
    assert_eq!(host[0][..64], [UNINITIALISED; 64]);
    assert_eq!(host[0][64..], ramp(64));
}

#[test]
fn neighbours_share_memory_without_dma() {
    let ready = neighbours();
    assert_eq!(ready.lowered.flows.len(), 2, "the shared FIFO needs none");
    let mut host = [ramp(640), vec![0; 640]];
    ready.run_on(&mut host, &mut Copier { cycles: vec![50, 70], add: 3 }).unwrap();
    let expected: Vec<u8> = ramp(640).iter().map(|b| b.wrapping_add(6)).collect();
    assert_eq!(host[1], expected);
}

#[test]
fn copies_with_dimensions_and_repeats_gather_host_memory() {
    let d = DesignBuilder::new("gather", "The sequence reads a 4-d pattern.");
    d.columns(1);
    let input = d.fifo("l2_in", shim(0), [mem(0)], i8s(64));
    let output = d.fifo("l2_out", mem(0), [shim(0)], i8s(64));
    d.link([input], [output]);
    let (offsets, sizes, strides) = ([1, 2, 0, 8], [2, 3, 4, 16], [512, 64, 16, 1]);
    d.sequence(|s| {
        let (x, y) = (s.buffer("x", i8s(2048)), s.buffer("y", i8s(384)));
        s.copy(x, input, offsets, sizes, strides);
        s.copy_linear(y, output, 0, 384);
        s.wait(output);
    });
    let mut host = [ramp(2048), vec![0; 384]];
    Ready::new(d.build()).run(&mut host, &[]).unwrap();
    let (x, mut expected) = (ramp(2048), Vec::new());
    for a in 0..2 {
        for b in 0..3 {
            for c in 0..4 {
                for e in 0..16 {
                    expected.push(x[(1 + a) * 512 + (2 + b) * 64 + c * 16 + 8 + e]);
                }
            }
        }
    }
    assert_eq!(host[1], expected);
}
