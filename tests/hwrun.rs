//! `hwrun`: runs nothing yet, and says what is missing.

use std::process::Command;

#[test]
fn says_what_is_missing_and_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_hwrun")).output().expect("hwrun starts");
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{message}");
    // The same account that the library gives of this machine.
    let expected = kiln::hw::npu_status().map_or_else(|e| e.to_string(), |npu| npu.to_string());
    assert!(!expected.is_empty() && message.starts_with(&expected), "{message}");
}
