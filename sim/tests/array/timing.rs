//! Cycles, derived by hand from the numbers of `npu1.yaml`.

use crate::support::*;
use kiln_dsl::array::lowered::Direction;
use kiln_sim::report::SimReport;

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
    // The core has waited for it. An acquire or release takes objectfifo_call 13 and arbitration 1:
    // two acquires, the kernel's 100 cycles, two releases.
    let computed = filled + 2 * 14 + 100 + 2 * 14;
    // The MM2S channel has waited for the lock: locks.acquire 1, bd_setup 4, channel_start 2,
    // memory_latency 5; 64 words, the way back.
    let returned = computed + 1 + 4 + 2 + 5 + 64 + 15;
    // shim.s2mm_task 179 and memory_latency 5 end the task. Its own start was over long before.
    let token = returned + 179 + 5;
    assert_eq!(report.cycles, token + FIRST_WAIT);
    assert_eq!(report.cycles, 13208);
    // Waiting from 0 until the object is there, and from the second acquire, which comes after the
    // releases, to the end of the run.
    assert_eq!(report.cores[0].lock_stall_cycles, filled + (report.cycles - computed));
    assert_eq!(report.cores[0].lock_op_cycles, 4 * 14);
    // push_cold, then push_min 520 for the second push, then from the token on.
    assert_eq!(report.controller_cycles, 3050 + 520 + FIRST_WAIT);
}

fn cycles(objects: u32, bytes: u32, kernel: u64) -> u64 {
    let total = bytes * objects;
    let report =
        one_core(bytes, objects, objects).run(&mut [ramp(total), vec![0; total as usize]], &[kernel]);
    report.unwrap().cycles
}

#[test]
fn a_slow_core_sets_the_pace_and_holds_its_streams_back() {
    // Each object costs the kernel and four lock calls of 14 cycles; the streams' 64 words hide behind.
    assert_eq!(cycles(50, 256, 1000) - cycles(10, 256, 1000), 40 * (1000 + 4 * 14));
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
    assert_eq!(many.cycles - few.cycles, 40 * (2000 + 4 * 14));
    // The fast core gets its objects at the same pace, and waits for the rest of the time.
    let waits = |r: &SimReport| r.cores[1].lock_stall_cycles;
    assert_eq!(waits(&many) - waits(&few), 40 * (2000 + 4 * 14 - (30 + 4 * 14)));
    // Both ends saw every word once; the two receivers hold at most two objects more than were used.
    assert_eq!(words(&many, "shared", Direction::Mm2s), [64 * 50]);
    assert_eq!(words(&many, "shared", Direction::S2mm), [64 * 50, 64 * 50]);
}
