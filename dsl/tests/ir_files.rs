//! File tests of the kernel IR: each kernel in `tests/ir/*.kir` carries the errors that it must
//! give as `; error: text` on the offending line, a part of the message each. A kernel without any
//! must verify, and its print must read back to itself.

use kiln_dsl::kernel::{Kernel, parse_kernel, parse_kernels, verify_ref};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Expected = BTreeMap<u32, Vec<String>>;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir");
    let entries = std::fs::read_dir(&folder).expect("tests/ir is in the repository");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a readable entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "kir"));
    files.sort();
    assert!(files.len() > 5, "the file tests are gone");
    files
}

fn expected(text: &str) -> Expected {
    let mut expected = Expected::new();
    for (i, line) in text.lines().enumerate() {
        for part in line.split(';').skip(1) {
            if let Some(message) = part.trim().strip_prefix("error:") {
                expected.entry(i as u32 + 1).or_default().push(message.trim().to_string());
            }
        }
    }
    expected
}

/// Takes each found error out of the expectation; whatever stays or has no match is a failure.
fn compare(file: &str, mut expected: Expected, found: Vec<(u32, String)>) -> Vec<String> {
    let mut failures = Vec::new();
    for (line, message) in found {
        let wanted = expected.entry(line).or_default();
        match wanted.iter().position(|w| message.contains(w.as_str())) {
            Some(at) => {
                wanted.remove(at);
            }
            None => failures.push(format!("{file}:{line}: unexpected: {message}")),
        }
    }
    for (line, wanted) in expected {
        failures.extend(wanted.iter().map(|w| format!("{file}:{line}: missing: {w}")));
    }
    failures
}

fn round_trip(file: &str, kernel: &Kernel) -> Vec<String> {
    let text = kernel.to_string();
    match parse_kernel(&text, file) {
        Err(errors) => {
            vec![format!("{file}: the print of `{}` does not parse:\n{errors}\n{text}", kernel.name)]
        }
        Ok(again) if again.to_string() != text => {
            vec![format!("{file}: `{}` prints differently after a round trip:\n{text}\n{again}", kernel.name)]
        }
        Ok(_) => Vec::new(),
    }
}

#[test]
fn every_file_gives_its_errors_and_no_others() {
    let mut failures = Vec::new();
    for path in files() {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let found = match parse_kernels(&text, &file) {
            Err(errors) => errors.errors.iter().map(|e| (e.at.line, e.syntax.to_string())).collect(),
            Ok(kernels) => {
                failures.extend(kernels.iter().flat_map(|k| round_trip(&file, k)));
                let errors = kernels.iter().flat_map(verify_ref);
                // A kernel has no line of its own; its errors belong to the file's first line.
                errors.map(|e| (e.loc.line.max(1), e.problem.to_string())).collect()
            }
        };
        failures.extend(compare(&file, expected(&text), found));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_expectation_that_is_not_met_fails() {
    let wanted = Expected::from([(3, vec!["no such".to_string()])]);
    assert_eq!(compare("f", wanted.clone(), vec![]).len(), 1);
    assert_eq!(compare("f", wanted.clone(), vec![(2, "no such thing".to_string())]).len(), 2);
    assert_eq!(compare("f", wanted, vec![(3, "no such thing".to_string())]).len(), 0);
}
