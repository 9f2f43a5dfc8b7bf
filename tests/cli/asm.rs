//! `kiln asm`.

use crate::support::kiln;

/// The number before `unit` in the first line that has both.
fn number(text: &str, unit: &str) -> f64 {
    let line = text.lines().find(|l| l.contains(unit)).unwrap_or_else(|| panic!("{unit} in\n{text}"));
    let words: Vec<&str> = line[..line.find(unit).unwrap_or(0)].split_whitespace().collect();
    words.last().and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{unit} in {line}"))
}

#[test]
fn bundles_of_a_loop_that_stores_every_cycle() {
    let text = kiln(&["asm", "zero_i32_4096", "--compiler", "ideal"]).success();
    assert!(text.starts_with("zero_i32_4096, compiled by ideal for npu1\n"), "{text}");
    assert!(text.contains("bound by slot st"), "{text}");
    assert!(text.contains("st: vst"), "{text}");
    assert!(text.contains("movxm ls") && text.contains("movxm le") && text.contains("mov lc"), "{text}");
    assert!(number(&text, " cycles predicted") >= 512.0, "{text}");
    assert_eq!(text, kiln(&["asm", "zero_i32_4096", "--compiler", "ideal"]).success());
}

#[test]
fn the_beginning_of_several_names_gives_their_totals() {
    let text = kiln(&["asm", "matmul_i8_i"]).success();
    let ideal = kiln(&["asm", "matmul_i8_i", "--compiler", "ideal"]).success();
    assert!(text.contains("compiled by peano for npu1"), "{text}");
    assert!(
        text.contains("II ") && text.contains(" MAC/cycle") && text.contains(" B of 16384 B, frame "),
        "{text}"
    );
    assert!(number(&text, " cycles predicted") >= number(&ideal, " cycles predicted"), "{text}\n{ideal}");
    // Totals and loops, no bundles.
    assert!(!text.contains("vec: vmac"), "{text}");
}

#[test]
fn what_does_not_exist_is_told() {
    kiln(&["asm", "no_such_kernel"]).error(&["no_such_kernel", "kiln list"]);
    let outcome = kiln(&["asm", "relu_i8", "--compiler", "gcc"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("peano, chess and ideal"), "{}", outcome.err);
}

/// What finds no register is told where it is, and adds up to the frame.
#[test]
fn spills_are_shown() {
    let text = kiln(&["asm", "attention_bf16_block_16x64"]).success();
    let spilled = |line: &str| line.split_once(" 256-bit parts spilled")?.0.trim().parse::<f64>().ok();
    let parts: Vec<f64> = text.lines().filter_map(spilled).collect();
    assert!(!parts.is_empty(), "{text}");
    let frame = text.split_once(", frame ").and_then(|(_, rest)| rest.split_once(" B\n"));
    let frame: f64 = frame.and_then(|(bytes, _)| bytes.parse().ok()).expect("bytes of the frame");
    assert_eq!(parts.iter().sum::<f64>() * 32.0, frame, "{text}");
}
