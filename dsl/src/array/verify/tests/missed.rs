//! What mlir-aie accepts and the hardware gets wrong, case by case of the reference notes on the
//! toolchain: each is an error here, which names the object and the remedy.

use super::*;

/// The design is refused with one message that has all these parts and a remedy.
pub(super) fn refused(design: Design, parts: &[&str]) {
    let name = design.name.clone();
    let text = verify(design, Device::npu1()).expect_err(&name).to_string();
    let said = |message: &str| message.contains("help: ") && parts.iter().all(|p| message.contains(p));
    assert!(text.split("\n- ").any(said), "{parts:?} in\n{text}");
}

#[test]
fn copy_past_its_host_buffer() {
    refused(
        relu2(|d| copy(d, 0).1[3] = 65_540),
        &["in_l2", "element 65539", "buffer x, which has 65536", "examples.rs"],
    );
    // Inside by its sizes, outside by an offset in an outer dimension.
    let offset = |d: &mut Design| {
        let (offsets, sizes, strides, _) = copy(d, 1);
        (*offsets, *sizes, *strides) = ([0, 1, 0, 0], [1, 1, 4, 1024], [0, 65_536, 1024, 1]);
    };
    refused(relu2(offset), &["out_l2", "element 69631", "buffer y, which has 65536"]);
}

#[test]
fn shim_bd_beyond_the_last() {
    refused(relu2(|d| *copy(d, 0).3 = 16), &["in_l2", "BD 16", "0 to 15", "control registers"]);
}

#[test]
fn sixty_five_repeats() {
    let repeats = |n: u64| move |d: &mut Design| (copy(d, 0).1[0], copy(d, 0).1[3]) = (n, 4);
    refused(relu2(repeats(65)), &["in_l2", "size 65 of dimension 0", "1 to 64"]);
    let allowed = errors(relu2(repeats(64)));
    assert!(!allowed.iter().any(|e| matches!(e, ArrayError::CopySize { .. })), "{allowed:?}");
}

#[test]
fn bd_pushed_again_before_its_task_was_awaited() {
    refused(relu2(|d| *copy(d, 1).3 = 0), &["out_l2", "BD 0 of tile (0,0)", "still belongs", "wait"]);
}

#[test]
fn link_whose_parts_do_not_add_up() {
    let short = relu2(|d| d.fifos[0].object = i8s(4000));
    refused(short, &["in_c1", "2048 to 4000 of in_l2", "2048 B", "1952 B", "hangs"]);
    // A join that leaves a gap, and one whose parts overlap.
    for offset in [2052, 2044] {
        refused(relu2(|d| d.links[1].source_offsets = vec![0, offset]), &["out_c1", "out_l2", "2048 B"]);
    }
}

#[test]
fn mem_tile_overflow() {
    let deep = dispatch(|d| d.fifos[2].depths = vec![2, 65]);
    refused(deep, &["tile (0,1)", "532480 B of 524288 B", "8192 B over", "ab3_cons_buff_0"]);
}

#[test]
fn lock_that_starts_above_its_maximum() {
    let deep = dispatch(|d| (d.fifos[1].depths, d.fifos[2].depths) = (vec![64, 2], vec![2, 64]));
    refused(deep, &["tile (0,1)", "ab3_cons", "depth 64", "63"]);
}

#[test]
fn acquire_deeper_than_the_fifo() {
    let three = relu2(|d| match &mut turn(d)[0] {
        Stmt::Acquire { objects, .. } => *objects = vec![ObjectId(0), ObjectId(2), ObjectId(3)],
        other => panic!("{other:?}"),
    });
    refused(three, &["core (0,2)", "acquires 3 objects of fifo in_c0", "holds 2"]);
}

/// A declared depth is what is built, since emitted FIFOs list a depth for every end.
#[test]
fn depth_that_is_not_the_built_one() {
    for depths in [[1, 1], [4, 1], [2, 4], [3, 3]] {
        let design = relu2(|d| d.fifos[1].depths = depths.to_vec());
        let verified = verify(design, Device::npu1()).expect("any depth");
        let lowered = crate::array::lower(&verified, Device::npu1(), Default::default()).expect("lowers");
        let buffers = lowered.tiles[&CORE].buffers.iter().filter(|b| b.name.starts_with("in_c0_cons_buff_"));
        assert_eq!(buffers.count() as u32, depths[1]);
        let text = crate::emit::emit_mlir(&verified, Device::npu1()).expect("emits");
        let list = format!("[{}, {}]", depths[0], depths[1]);
        let line = text.lines().find(|l| l.contains("objectfifo @in_c0(")).expect("declared");
        assert!(line.contains(&list), "{line}");
    }
}

/// The static part; what only a run shows is the simulator's to find.
#[test]
fn deadlock_by_token_counts() {
    // Half of what the cores make is fetched.
    refused(relu2(|d| copy(d, 1).1[3] = 32_768), &["in_c0", "16", "8", "make the copies move"]);
    // A release is missing.
    let kept = relu2(|d| {
        turn(d).retain(|s| !matches!(s, Stmt::Release { port: Port::Consume, .. }));
    });
    refused(kept, &["core (0,2)", "in_c0", "0 objects", "1 after a turn", "release"]);
}

#[test]
fn tables_count_against_l1() {
    let big = views(|d| {
        let bytes = vec![0; 62_000];
        (d.locals[0].ty, d.locals[0].init) = (i8s(62_000), Some(bytes));
    });
    refused(big, &["tile (0,2)", "65536 B", "lut 62000 B"]);
}

/// Parts of objects reach kernels as `memref.view`, whose offset the toolchain keeps.
#[test]
fn offset_of_a_view() {
    let verified = verify(examples::views(), Device::npu1()).expect("verifies");
    let text = crate::emit::emit_mlir(&verified, Device::npu1()).expect("emits");
    assert!(text.contains("memref.view") && text.contains("arith.constant 512 : index"), "{text}");
    assert!(!text.contains("reinterpret_cast") && !text.contains("memref.subview"), "{text}");
}

#[test]
fn fifth_task_in_a_queue() {
    let many = relu2(|d| {
        let first = d.sequence.commands[0].clone();
        for bd in 2..6 {
            let mut next = first.clone();
            if let Command::Copy { bd_id, .. } = &mut next {
                *bd_id = bd;
            }
            d.sequence.commands.insert(1, next);
        }
    });
    refused(many, &["in_l2", "5 copies unawaited", "holds 4", "drops the next one silently"]);
}

/// mlir-aie gives every copy that drains a token, asked for or not, and a wait takes the oldest.
#[test]
fn one_wait_for_two_draining_copies() {
    let halves = |named: bool, waits: usize| {
        let mut design = examples::relu2();
        let last = design.sequence.commands.pop().expect("a wait");
        let second = design.sequence.commands[1].clone();
        design.sequence.commands.push(second);
        for (at, offset) in [(1, 0), (2, 32_768)] {
            let (offsets, sizes, _, bd) = copy(&mut design, at);
            (offsets[3], sizes[3], *bd) = (offset, 32_768, at as u8);
        }
        if let Command::Copy { issue_token, .. } = &mut design.sequence.commands[1] {
            *issue_token = named;
        }
        design.sequence.commands.extend(std::iter::repeat_n(last, waits));
        design
    };
    assert_eq!(errors(halves(true, 2)), []);
    refused(halves(true, 1), &["copy of out_l2", "no wait covers it", "wait once more"]);
    refused(halves(false, 1), &["copy of out_l2", "without issue_token", "oldest"]);
    // The builder's wait covers both.
    let d = DesignBuilder::new("built", "");
    let y = d.fifo("y", CORE, [SHIM], i8s(64));
    d.core(CORE, |c| {
        c.forever(|c| {
            c.produce(y);
            c.release(y, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(128));
        s.copy_linear(h, y, 0, 64);
        s.copy_linear(h, y, 64, 64);
        s.wait(y);
    });
    let built = d.build();
    let waits = built.sequence.commands.iter().filter(|c| matches!(c, Command::Wait { .. })).count();
    assert_eq!((waits, errors(built)), (2, Vec::new()));
}
