//! What only the compiled code shows: a kernel's frame beyond the stack, and more code than the program memory holds.
//! Cases 9 and 10 of `mlir.md` section 4. The report on the design's budgets has both, and nothing is emitted that it
//! refuses.

use super::*;
use crate::fit::{CodeBytes, fit_with_code};

/// The report on a design whose kernels take this much has one line with all these parts, and a remedy.
fn over(code: CodeBytes, parts: &[&str]) {
    let report = fit_with_code(&examples::relu2(), Device::npu1(), &|_| Some(code));
    let text = report.to_string();
    assert!(!report.fits && text.contains("help: "), "{text}");
    assert!(text.lines().any(|line| parts.iter().all(|p| line.contains(p))), "{parts:?} in\n{text}");
}

#[test]
fn frame_larger_than_the_stack() {
    let fits = CodeBytes { program: 100, frame: 2048 };
    assert!(fit_with_code(&examples::relu2(), Device::npu1(), &|_| Some(fits)).fits);
    over(CodeBytes { frame: 2080, ..fits }, &["tile 0,2", "stack 2080/2048!", "over by 32 B"]);
}

#[test]
fn more_code_than_program_memory() {
    over(CodeBytes { program: 16_384, frame: 0 }, &["tile 0,2", "program memory", "/16384!", "over by"]);
}
