//! Reads the vectors; the format is in the data set's README.md.

use serde_json::{Map, Value};
use std::path::PathBuf;

/// One instruction with its inputs and its result.
pub struct Vector {
    /// File without extension.
    pub file: String,
    /// Mnemonic.
    pub op: String,
    /// Result image.
    pub result: Vec<u8>,
    /// Where it was captured.
    pub source: String,
    /// Control registers and shape.
    pub mode: Map<String, Value>,
    operands: Map<String, Value>,
}

impl Vector {
    /// Image of an operand; `None` when the instruction has none of this name.
    pub fn operand(&self, name: &str) -> Option<Vec<u8>> {
        self.operands.get(name).map(|o| bytes(o["hex"].as_str().expect("operands have hex")))
    }

    /// Image of the `n`th operand.
    pub fn nth(&self, n: usize) -> Option<Vec<u8>> {
        self.operands.keys().nth(n).and_then(|name| self.operand(name))
    }

    /// An operand that is a 32-bit scalar.
    pub fn scalar(&self, name: &str) -> Option<i32> {
        Some(i32::from_le_bytes(self.operand(name)?.try_into().ok()?))
    }

    /// A number of the mode; 0 when it is not stated.
    pub fn setting(&self, name: &str) -> i64 {
        self.mode.get(name).and_then(Value::as_i64).unwrap_or(0)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "hex digits come in pairs: {hex}");
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Bytes as the data set writes them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// All vectors in order of file and line; `None`, said aloud, when the data set is absent.
pub fn load() -> Option<Vec<Vector>> {
    let shared = std::env::var_os("KILN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data/silicon");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no silicon vectors in {} (set KILN_SHARED)", folder.display());
        return None;
    };
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a readable entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    let mut vectors = Vec::new();
    for path in files {
        let file = path.file_stem().expect("files have names").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).expect("a line is one JSON object");
            let text = |key: &str| value[key].as_str().expect("a string").to_string();
            let object = |key: &str| value[key].as_object().expect("an object").clone();
            vectors.push(Vector {
                file: file.clone(),
                op: text("op"),
                result: bytes(value["result"]["hex"].as_str().expect("results have hex")),
                source: text("source"),
                mode: object("mode"),
                operands: object("operands"),
            });
        }
    }
    Some(vectors)
}
