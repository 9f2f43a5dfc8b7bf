//! Tokens of copies that nothing waits for.

use super::*;

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
