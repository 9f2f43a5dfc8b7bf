//! `kiln disasm`.

use crate::support::{Folder, kiln};

/// The start of a core program: `sp`, two registers, an acquire.
const PROGRAM: [u8; 20] = [
    0x55, 0x00, 0xe0, 0x0c, 0x07, 0x00, 0x1d, 0x21, 0x02, 0x0b, 0xe0, 0xff, 0x19, 0x02, 0x02, 0x16, 0x01,
    0x00, 0x01, 0x00,
];

#[test]
fn a_program_is_printed_bundle_by_bundle() {
    let folder = Folder::new();
    let file = folder.file("core.bin", &PROGRAM);
    let text = kiln(&["disasm", &file]).success();
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split("  ").filter(|w| !w.is_empty()).collect()).collect();
    let of = |at: usize| (lines[at][0].trim(), lines[at][1].trim(), lines[at][2].trim());
    assert_eq!(of(0), ("0", "55 00 e0 0c 07 00", "movxm sp, #458752"));
    assert_eq!(of(1), ("6", "1d 21 02 0b e0 ff", "mova r0, #-1 ; movx r1, #776"));
    assert_eq!(of(2), ("12", "19 02 02 16", "acq #48, r0"));
    assert_eq!((lines.len(), of(4)), (5, ("18", "01 00", "nop")));
}

#[test]
fn text_becomes_bytes() {
    let text = kiln(&["disasm", "--encode", "movx r1, #776 ; mova r0, #-1", "--encode", "nop"]).success();
    assert!(
        text.starts_with("1d 21 02 0b e0 ff ") && text.lines().nth(1).expect("a line").starts_with("01 00 ")
    );
    kiln(&["disasm", "--encode", "mova r0, #5000"])
        .error(&["`mova r0, #5000` is no instruction", "there is mova"]);
}

#[test]
fn what_is_no_program_is_told_where_it_ends() {
    let folder = Folder::new();
    let file = folder.file("core.bin", &[&PROGRAM[..12], &[0xff; 16]].concat());
    let outcome = kiln(&["disasm", &file]);
    assert_eq!(outcome.out.lines().count(), 2);
    outcome.error(&["core.bin: address 12: "]);
    let cut = folder.file("cut.bin", &PROGRAM[..15]);
    kiln(&["disasm", &cut]).error(&["cut.bin: address 12: a bundle of 4 B begins with 0x19, 3 B are left"]);
    let elf = folder.file("bad.elf", b"\x7fELFnot");
    kiln(&["disasm", &elf]).error(&["bad.elf"]);
    kiln(&["disasm", "/dev/zero"]).error(&["/dev/zero: more than "]);
}
