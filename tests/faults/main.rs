//! What a machine does to a program: full disks, closed pipes, requests to end at any moment, files that are no files.
//! Outputs are whole or absent, and every command says one clear thing.
#![cfg(unix)]

mod endings;
mod files;
mod hwrun;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");
const HWRUN: &str = env!("CARGO_BIN_EXE_hwrun");

/// A folder for one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn arg(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Names of everything in it, hidden files included.
    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().expect("a folder");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

fn kiln(args: &[&str]) -> Output {
    Command::new(KILN).args(args).output().expect("the program starts")
}

/// Exit code 1, all `words` on standard error, and no panic.
#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "expected {word:?} in\n{said}"));
}

/// Through `sh`, for redirections.
fn shell(line: &str) -> Output {
    Command::new("sh").arg("-c").arg(line).output().expect("sh")
}

/// Starts a program with nothing to read and its words in pipes.
fn start(program: &str, args: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/speech.wav");
    path.to_str().expect("UTF-8").to_owned()
}
