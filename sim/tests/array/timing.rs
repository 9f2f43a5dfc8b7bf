//! Cycles, derived by hand from the numbers of `npu1.yaml`.

use crate::support::*;
use kiln_dsl::array::lowered::Direction;
use kiln_dsl::array::{DesignBuilder, LowerMode, lower};
use kiln_sim::report::SimReport;

/// Moving the counter of a FIFO on: latency_cycles.load_scalar 7, four operations of scalar_alu 1, store 1.
const COUNTER: u64 = 7 + 4 + 1;

/// An acquire: locks.objectfifo_call 13, arbitration 1; then load_scalar 7 of the counter, and for the two
/// buffers one comparison of 1 and one branch of core_timing.branch 6.
const ACQUIRE: u64 = 14 + 7 + 1 + 6;

/// A release: the call again, and the counter.
const RELEASE: u64 = 14 + COUNTER;

/// The calls of a core that passes one object on.
const TURN: u64 = 2 * (ACQUIRE + RELEASE);

/// From the token of a task to the return of the run's first wait.
const FIRST_WAIT: u64 = 7981; // controller.wait_first_cycles

#[test]
fn one_object_through_one_core_takes_what_the_yaml_says() {
    let report = one_core(256, 1, 1).run(&mut [ramp(256), vec![0; 256]], &[100]).unwrap();
    // The words of the input leave the shim when the controller has pushed its task and the task has
    // started: controller.push_cold 3050, dma.channel_start 2, bd_setup 4, memory_latency 5,
    // shim.mm2s_cold_start 1330, mm2s_task 325.
    let start = 3050 + 2 + 4 + 5 + 1330 + 325;
    // 64 words at 1 a cycle (DDR would give 15 bytes a cycle); two tiles up: stream.local_to_external 4,
    // external_to_external 4, external_to_local 3, 2 hops of 2; locks.release 1.
    let filled = start + 64 + (4 + 4 + 3 + 2 * 2) + 1;
    // The core has waited for it: two acquires, the kernel's 100 cycles, two releases.
    let computed = filled + 2 * ACQUIRE + 100 + 2 * RELEASE;
    // The MM2S channel has waited for the lock, which is given before the counter moves on: locks.acquire 1,
    // bd_setup 4, channel_start 2, memory_latency 5; 64 words, the way back.
    let returned = computed - COUNTER + 1 + 4 + 2 + 5 + 64 + 15;
    // shim.s2mm_task 179 and memory_latency 5 end the task. Its own start was over long before.
    let token = returned + 179 + 5;
    assert_eq!(report.cycles, token + FIRST_WAIT);
    assert_eq!(report.cycles, 13248);
    // Waiting from 0 until the object is there, and from the second acquire, which comes after the
    // releases, to the end of the run.
    assert_eq!(report.cores[0].lock_stall_cycles, filled + (report.cycles - computed));
    assert_eq!(report.cores[0].lock_op_cycles, 2 * (ACQUIRE + RELEASE));
    // push_cold, then the registers of the second push, which asks for a token: 203 + 112 + 100 + 210, more than push_min
    // 520; then from the token on.
    assert_eq!(report.controller_cycles, 3050 + 625 + FIRST_WAIT);
}

fn cycles(objects: u32, bytes: u32, kernel: u64) -> u64 {
    let total = bytes * objects;
    let report =
        one_core(bytes, objects, objects).run(&mut [ramp(total), vec![0; total as usize]], &[kernel]);
    report.unwrap().cycles
}

#[test]
fn a_slow_core_sets_the_pace_and_holds_its_streams_back() {
    // Each object costs the kernel and four calls; the streams' 64 words hide behind.
    assert_eq!(cycles(50, 256, 1000) - cycles(10, 256, 1000), 40 * (1000 + TURN));
}

#[test]
fn a_fast_core_waits_for_its_stream() {
    // 512 words and the hole of dma.bd_switch_hole 1 for each object.
    assert_eq!(cycles(50, 2048, 10) - cycles(10, 2048, 10), 40 * (512 + 1));
}

fn through(objects: u32, bytes: u32, depth: u32) -> u64 {
    let total = bytes * objects;
    let host = &mut [ramp(total), vec![0; total as usize]];
    let report = through_mem_tile(bytes, objects, depth).run(host, &[]).unwrap();
    assert_eq!(host[0], host[1]);
    report.cycles
}

#[test]
fn two_buffers_in_the_mem_tile_hide_its_latency_and_one_does_not() {
    // Two buffers: the stream's words and hole.
    assert_eq!(through(60, 4096, 2) - through(20, 4096, 2), 40 * (1024 + 1));
    // One buffer, turn by turn. 1024 words in; release 1, acquire 1, bd_setup 4, channel_start 2,
    // memory_latency 5 (13 cycles: what silicon takes from S2MM done to MM2S started); 1024 words out, the
    // last read 12 cycles before it leaves (mm2s_egress_words); release 1, acquire 1, and 16 words wait
    // before the S2MM channel (s2mm_ingress_words).
    assert_eq!(through(60, 4096, 1) - through(20, 4096, 1), 40 * (1024 + 13 + 1024 - 12 + 2 - 16));
}

fn words(report: &SimReport, fifo: &str, direction: Direction) -> Vec<u64> {
    let of = |c: &&kiln_sim::report::ChannelReport| c.fifo == fifo && c.channel.direction == direction;
    report.channels.iter().filter(of).map(|c| c.words).collect()
}

#[test]
fn a_multicast_runs_at_the_pace_of_its_slowest_receiver() {
    let run = |objects: u32| {
        let total = 256 * objects;
        let host = &mut [ramp(total), vec![0; total as usize], vec![0; total as usize]];
        let report = broadcast(256, objects).run(host, &[2000, 30]).unwrap();
        assert_eq!(host[1], host[0]);
        assert_eq!(host[2], host[0]);
        report
    };
    let (few, many) = (run(10), run(50));
    assert_eq!(many.cycles - few.cycles, 40 * (2000 + TURN));
    // The fast core gets its objects at the same pace, and waits for the rest of the time.
    let waits = |r: &SimReport| r.cores[1].lock_stall_cycles;
    assert_eq!(waits(&many) - waits(&few), 40 * (2000 - 30));
    // Both ends saw every word once; the two receivers hold at most two objects more than were used.
    assert_eq!(words(&many, "shared", Direction::Mm2s), [64 * 50]);
    assert_eq!(words(&many, "shared", Direction::S2mm), [64 * 50, 64 * 50]);
}

#[test]
fn the_static_lowering_needs_no_counters() {
    let run = |mode| {
        let mut ready = one_core(256, 10, 10);
        ready.lowered = lower(&ready.design, &ready.device, mode).unwrap();
        ready.run(&mut [ramp(2560), vec![0; 2560]], &[1000]).unwrap()
    };
    let (counters, unrolled) = (run(LowerMode::Dynamic), run(LowerMode::Static));
    // The eleventh acquire is granted in neither.
    assert_eq!(unrolled.cores[0].lock_op_cycles, 10 * 4 * 14);
    assert_eq!(counters.cores[0].lock_op_cycles, 10 * TURN);
}

/// 64 rows of 64 bytes, next to each other or 4096 bytes apart.
fn rows(stride: u64) -> u64 {
    let bytes = 4096;
    let d = DesignBuilder::new("rows", "Rows of host memory.");
    d.columns(1);
    let copy = d.kernel(copy_kernel("copy", bytes));
    let input = d.fifo("of_in", shim(0), [core(0, 0)], i8s(bytes));
    let output = d.fifo("of_out", core(0, 0), [shim(0)], i8s(bytes));
    pass(&d, core(0, 0), copy, input, output);
    d.sequence(|s| {
        let x = s.buffer("x", i8s(64 * 4096));
        let y = s.buffer("y", i8s(bytes));
        s.copy(x, input, [0; 4], [1, 1, 64, 64], [0, 0, stride, 1]);
        s.copy_linear(y, output, 0, u64::from(bytes));
        s.wait(output);
    });
    let host = &mut [ramp(64 * 4096), vec![0; 4096]];
    Ready::new(d.build()).run(host, &[10]).unwrap().cycles
}

#[test]
fn rows_that_are_apart_cost_their_interval() {
    // 16 words of a row take less than profiles.ddr_row_ns 22.2 and an eighth of ddr_walk_ns 19.0, at 1 GHz; four
    // chunks of 16 rows round up.
    let interval = 22_200 + 19_000 * 4096 / 32_768;
    assert_eq!(rows(4096) - rows(64), 4 * (16u64 * interval).div_ceil(1000) - 1024);
}
