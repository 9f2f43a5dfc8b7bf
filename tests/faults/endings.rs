//! Requests to end: every command is gone within moments, whatever it was at, and leaves no half of a file.

use super::{Folder, HWRUN, KILN, fails, kiln, sample, start};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a program may take that was asked to end: it gives itself 0.6 s, the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a signal, and asserts that the program ends as interrupted.
fn ends(mut child: Child, signal: &str) {
    Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    let asked = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if asked.elapsed() > PATIENCE {
            child.kill().expect("a child");
            panic!("still at work {PATIENCE:?} after {signal}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}

#[test]
fn long_work_ends_when_asked() {
    let folder = Folder::new();
    let (speech, out, trace) = (sample(), folder.arg("f.npy"), folder.arg("t.json"));
    let works: [&[&str]; 3] = [
        &["encode", &speech, "--model", "small", "--backend", "reference", "--out", &out],
        &["encode", &speech, "--model", "small", "--backend", "model", "--out", &out],
        &["encode", &speech, "--model", "base", "--out", &out, "--trace", &trace],
    ];
    for args in works {
        for (signal, after_ms) in [("-INT", 300), ("-TERM", 2000)] {
            let child = start(KILN, args);
            std::thread::sleep(Duration::from_millis(after_ms));
            ends(child, signal);
            assert!(folder.names().is_empty(), "{args:?} left {:?}", folder.names());
        }
    }
}

#[test]
fn a_bench_ends_when_asked() {
    let folder = Folder::new();
    let design = folder.arg("relu2");
    assert!(kiln(&["emit", "relu2", "--out", &design]).status.success());
    let args = ["bench", &design, "--xrt", "simulated", "-i", "1000000", "-w", "0", "--list", "0"];
    let child = start(HWRUN, &args);
    std::thread::sleep(Duration::from_millis(1000));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    let output = child.wait_with_output().expect("a child");
    fails(&output, &["stopped"]);
}
