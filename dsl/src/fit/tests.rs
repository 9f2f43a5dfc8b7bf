//! Budgets of the example designs and of designs that are too big.

use super::{FitReport, Usage, fit};
use crate::array::{Design, DesignBuilder, MemType, Port, Tile, examples};
use crate::device::Device;
use crate::kernel::build::Builder;
use crate::kernel::{Elem, Kernel, verify};
use crate::num::{Rounding, Saturation};
use std::sync::Arc;

fn report(design: &Design) -> FitReport {
    fit(design, Device::npu1())
}

#[test]
fn mm4x4_takes_what_the_toolchain_gives_it() {
    let report = report(&examples::mm4x4());
    assert!(report.fits);
    let core = report.tiles.iter().find(|t| t.tile == "0,2").expect("in use");
    let memory = core.memory.as_ref().expect("a core");
    // Stack, one 16 KiB C, two A, two B, three counters.
    assert_eq!(memory.bytes, Usage { used: 3328 + 16384 + 4 * 4096 + 12, limit: 65536 });
    assert_eq!(
        memory.banks.iter().map(|b| b.used).collect::<Vec<_>>(),
        [3328 + 4096, 16384, 8192, 4096 + 12]
    );
    assert_eq!((memory.object_bytes, memory.counter_bytes), (16384 + 4 * 4096, 12));
    let mem = report.tiles.iter().find(|t| t.tile == "0,1").expect("in use");
    assert_eq!(mem.s2mm, Usage { used: 6, limit: 6 });
    assert_eq!(mem.bds, [Usage { used: 16, limit: 24 }, Usage { used: 8, limit: 24 }]);
    assert_eq!(mem.locks, Usage { used: 12, limit: 64 });
    let shim = report.tiles.iter().find(|t| t.tile == "0,0").expect("in use");
    assert_eq!(shim.bds, [Usage { used: 3, limit: 16 }]);
}

#[test]
fn views_counts_tables_and_locals() {
    let report = report(&examples::views());
    let core = report.tiles.iter().find(|t| t.tile == "0,2").expect("in use");
    let memory = core.memory.as_ref().expect("a core");
    assert_eq!((memory.table_bytes, memory.local_bytes, memory.stack_bytes), (256, 2048 + 64, 2048));
}

fn too_big() -> Design {
    let d = DesignBuilder::new("too_big", "Three inputs of 20 KB.");
    let core = Tile::new(0, 2);
    let input = |name: &str, mem| d.fifo(name, mem, [core], MemType::flat(Elem::I8, 20_000)).depths([1, 2]);
    let inputs = [input("a", Tile::new(0, 1)), input("b", Tile::new(0, 1)), input("c", Tile::new(0, 1))];
    d.core(core, |c| {
        c.forever(|c| {
            for i in inputs {
                c.consume(i);
                c.release(i, Port::Consume, 1);
            }
        });
    });
    d.build()
}

#[test]
fn what_is_over_is_named_with_its_excess() {
    let report = report(&too_big());
    assert!(!report.fits);
    let over: Vec<(&str, &str, u64)> =
        report.over.iter().map(|o| (o.tiles[0].as_str(), o.resource, o.by)).collect();
    // Stack 1024, six objects, counters of three ends; a core has two input channels.
    let excess = 1024 + 6 * 20_000 + 12 - 65_536;
    assert_eq!(over, [("0,2", "data memory", excess), ("0,2", "S2MM channels", 1)]);
    assert_eq!(report.over[1].objects, ["a", "b", "c"]);
    assert!(
        report.over[0].objects.iter().any(|o| o.starts_with("a_cons_buff_")),
        "{:?}",
        report.over[0].objects
    );
}

/// Whether a report's first help starts so.
fn helps(design: &Design, expected: &[&str]) {
    let report = report(design);
    let found: Vec<&str> = report.over.iter().flat_map(|o| &o.help).map(String::as_str).collect();
    assert_eq!(found, expected, "{report}");
}

/// Shim, mem tile or core to core, and back to the shim; `edit` sets the depths.
fn through(from: Tile, core: Tile, bytes: u32, depths: [u32; 2]) -> Design {
    let d = DesignBuilder::new("through", "");
    let x = d.fifo("x", from, [core], MemType::flat(Elem::I8, bytes)).depths(depths);
    let y = d.fifo("y", core, [Tile::new(0, 0)], MemType::flat(Elem::I8, 32)).depth(1);
    d.core(core, |c| {
        c.forever(|c| {
            c.consume(x);
            c.produce(y);
            c.release(x, Port::Consume, 1);
            c.release(y, Port::Produce, 1);
        });
    });
    d.build()
}

#[test]
fn remedies_are_tried() {
    let (shim, mem, core) = (Tile::new(0, 0), Tile::new(0, 1), Tile::new(0, 2));
    // 1024 B of stack, 32 B of y and 8 B of counters leave 64,472 B.
    helps(
        &through(shim, core, 12_800, [1, 8]),
        &[
            "depth 5 instead of 8 of fifo x at (0,2) fits",
            "fifo x linked through mem tile (0,1) fits: 5 of its objects here, 8 there",
            "a smaller tile fits: objects of fifo x of at most 8032 B instead of 12800 B",
        ],
    );
    // Depth 1 is not enough.
    helps(
        &through(mem, core, 80_000, [1, 1]),
        &["a smaller tile fits: objects of fifo x of at most 64448 B instead of 80000 B"],
    );
    // A core that holds two objects keeps two.
    let mut window = through(mem, core, 32_768, [1, 3]);
    if let crate::array::Stmt::Loop { body, .. } = &mut window.cores[0].body[0]
        && let crate::array::Stmt::Acquire { objects, .. } = &mut body[0]
    {
        objects.push(crate::array::ObjectId(7));
    }
    helps(&window, &["a smaller tile fits: objects of fifo x of at most 21472 B instead of 32768 B"]);
    // Every proposal holds.
    for (bytes, depth) in [(8032, 8), (12_800, 5), (64_448, 1), (21_472, 3)] {
        assert!(report(&through(mem, core, bytes, [1, depth])).fits, "{bytes} {depth}");
        assert!(!report(&through(mem, core, bytes + 32, [1, depth])).fits || bytes == 12_800);
    }
}

#[test]
fn a_link_moves_to_a_mem_tile_with_room() {
    let d = DesignBuilder::new("mem", "");
    d.columns(2);
    for (name, depth) in [("a", 5), ("b", 4)] {
        let up =
            d.fifo(format!("{name}3"), Tile::new(0, 0), [Tile::new(0, 1)], MemType::flat(Elem::I8, 65_536));
        let down = d.fifo(name, Tile::new(0, 1), [Tile::new(0, 2)], MemType::flat(Elem::I8, 65_536)).depth(1);
        d.link([up.depths([1, depth])], [down]);
    }
    let design = d.build();
    let mem = report(&design).over.into_iter().find(|o| o.tiles == ["0,1"]).expect("over");
    assert_eq!(mem.by, 65_536);
    assert_eq!(mem.help[0], "depth 4 instead of 5 of fifo a3 at (0,1) fits");
    assert_eq!(mem.help[1], "the link of fifo a3 in mem tile (1,1) fits");
}

#[test]
fn tiles_that_are_over_in_the_same_way_are_one_entry() {
    let report = report(&examples::mm4x4_too_deep());
    let [over] = &report.over[..] else { panic!("{report}") };
    assert_eq!((over.tiles.len(), over.resource, over.by), (16, "data memory", 3340));
    assert_eq!(over.help[0], "depth 5 instead of 6 of fifo a_0 at (0,2) fits");
    let text = report.to_string();
    assert!(text.contains("tile 0,2 and 15 alike (0,3 0,4"), "{text}");
    assert_eq!(text.matches("help: ").count(), over.help.len());
}

#[test]
fn switches_host_and_code_are_counted() {
    let design = examples::mm4x4();
    let plain = report(&design);
    let core = plain.tiles.iter().find(|t| t.tile == "0,2").expect("in use");
    // All four results of the column and, on their way to row 3 and above, A and B.
    assert_eq!(core.switch.south, Usage { used: 4, limit: 4 });
    assert!(core.switch.north.used > 0 && core.switch.west == Usage { used: 0, limit: 0 }, "{core:?}");
    assert_eq!(plain.host.buffers, Usage { used: 3, limit: 16 });
    assert_eq!((core.program, core.stack), (None, None));
    assert!(plain.to_string().contains("program memory: not scheduled"));
    let code = |k: &crate::kernel::Kernel| {
        Some(super::CodeBytes { program: if k.name == "zero_i32" { 700 } else { 16_000 }, frame: 4000 })
    };
    let coded = super::fit_with_code(&design, Device::npu1(), &code);
    let core = coded.tiles.iter().find(|t| t.tile == "0,2").expect("in use");
    let around = core.core_program_bytes;
    assert_eq!(core.program, Some(Usage { used: 880 + around + 700 + 16_000, limit: 16_384 }));
    assert_eq!(core.stack, Some(Usage { used: 4000, limit: 3328 }));
    let over: Vec<_> =
        coded.over.iter().map(|o| (o.resource, o.by, o.tiles.len(), o.objects.join(" "))).collect();
    let both = "zero_i32 mm_i8_i32".to_owned();
    assert_eq!(over, [("program memory", 1196 + around, 16, both.clone()), ("stack", 672, 16, both)]);
    assert!(coded.to_string().contains(&format!("program memory: {around} B predicted")), "{coded}");
    assert!(coded.over[1].help[0].contains("4000 B"), "{coded}");
}

#[test]
fn an_absurd_depth_is_reported_not_built() {
    let mut design = too_big();
    design.fifos[0].depths[1] = u32::MAX;
    let report = report(&design);
    assert!(
        report.over.iter().any(|o| o.resource == "value of a lock" && o.objects == ["a_cons_prod_lock_0"])
    );
}

#[test]
fn text_and_json_say_the_same() {
    let report = report(&too_big());
    insta::assert_snapshot!(report);
    let json = serde_json::to_value(&report).expect("serialises");
    assert_eq!(json["fits"], false);
    assert_eq!(json["over"][1]["usage"]["used"], 3);
}

/// A kernel that loads two inputs in one loop, on inputs of this many bytes.
fn adds(bytes: u32) -> Design {
    let kernel = Kernel::build("add", Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let (a, b) = (k.input::<i8>("a", [bytes]), k.input::<i8>("b", [bytes]));
        let c = k.output::<i8>("c", [bytes]);
        k.for_step(0, bytes, 64, |i| c.store(i, a.load::<64>(i) + b.load::<64>(i)));
    });
    let d = DesignBuilder::new("adds", "Two inputs, one output.");
    let add = d.kernel(Arc::new(verify(kernel).expect("a kernel that verifies")));
    let (core, shim) = (Tile::new(0, 2), Tile::new(0, 0));
    let object = || MemType::flat(Elem::I8, bytes);
    let [a, b] = ["a", "b"].map(|name| d.fifo(name, shim, [core], object()).id());
    let c = d.fifo("c", core, [shim], object()).id();
    d.core(core, |p| {
        p.forever(|p| {
            let (from, with, to) = (p.consume(a), p.consume(b), p.produce(c));
            p.call(add, [from, with, to]);
            p.release(a, Port::Consume, 1);
            p.release(b, Port::Consume, 1);
            p.release(c, Port::Produce, 1);
        });
    });
    d.build()
}

#[test]
fn buffers_of_one_bank_that_a_loop_accesses_together_are_named() {
    // Six buffers of 8 KiB in four banks of 16: some of a, b and c must share one.
    let report = report(&adds(8192));
    assert!(report.fits, "{report}");
    let core = report.tiles.iter().find(|t| t.tile == "0,2").expect("in use");
    assert!(!core.collisions.is_empty());
    for collision in &core.collisions {
        assert_eq!((collision.kernel.as_str(), collision.memory.as_str()), ("add", "0,2"));
        assert_ne!(collision.params[0], collision.params[1]);
        assert!(
            report.to_string().contains(&format!("bank {} of 0,2: {}", collision.bank, collision.buffers[0])),
            "{report}"
        );
    }
}
