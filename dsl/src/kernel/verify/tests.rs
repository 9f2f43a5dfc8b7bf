//! How errors look, and that `verify` and `verify_ref` agree. What is an error is in `tests/ir`.

use crate::kernel::{parse_kernel, verify, verify_ref};

const WRONG: &str = "\
kernel @copy rounding(conv_even) saturation(on) {
  in x: i8[16, 20] align 32
  out y: i8[16, 32] align 32
  c0 = sconst 0 : i32
  rows = sconst 16 : i32
  n = sconst 3 : i32
  for r = c0 to rows step 1 {
    row = load x[r*20] : vec<i8x32>
    more = add row, n : vec<i8x32>
    last = sadd r, n : i32
    yield
  }
  sstore last, y[0]
}
";

#[test]
fn errors_show_the_authors_place_the_ir_line_and_the_remedy() {
    let kernel = parse_kernel(WRONG, "copy.kir").expect("good syntax");
    let errors = verify(kernel).expect_err("four mistakes");
    insta::assert_snapshot!(errors);
}

#[test]
fn syntax_errors_show_line_and_column() {
    let text = WRONG.replace("to rows", "upto rows").replace("c0 = sconst 0 : i32", "c0 = sconst 0");
    insta::assert_snapshot!(parse_kernel(&text, "copy.kir").expect_err("two mistakes"));
}

#[test]
fn a_kernel_without_mistakes_comes_back_verified() {
    let text = "kernel @nothing rounding(floor) saturation(off) {\n}\n";
    let kernel = parse_kernel(text, "nothing.kir").expect("good syntax");
    assert!(verify_ref(&kernel).is_empty());
    let verified = verify(kernel.clone()).expect("nothing is wrong with nothing");
    assert_eq!(*verified, kernel);
    assert_eq!(verified.to_string(), text);
}

#[test]
fn the_alternate_form_adds_places() {
    let text = "kernel @one rounding(floor) saturation(off) {\n  i32 n -> v0\n\n  v1 = sconst 1 : i32\n}\n";
    let kernel = parse_kernel(text, "one.kir").expect("good syntax");
    let with_places = format!("{kernel:#}");
    assert_eq!(
        with_places,
        "kernel @one rounding(floor) saturation(off) {\n  i32 n -> v0  ; one.kir:2\n  v1 = sconst 1 : i32  ; one.kir:4\n}\n"
    );
    assert_eq!(
        parse_kernel(&with_places, "two.kir").expect("places are comments").to_string(),
        kernel.to_string()
    );
}
