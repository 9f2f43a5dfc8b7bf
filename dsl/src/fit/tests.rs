//! Budgets of the example designs and of designs that are too big.

use super::{FitReport, Usage, fit};
use crate::array::{Design, DesignBuilder, MemType, Port, Tile, examples};
use crate::device::Device;
use crate::kernel::Elem;

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
        report.over.iter().map(|o| (o.tile.as_str(), o.resource, o.by)).collect();
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
