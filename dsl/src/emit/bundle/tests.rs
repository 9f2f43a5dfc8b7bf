//! What the manifest says of the examples, and that it reads back.

use super::*;
use crate::array::{LowerMode, examples, lower, verify};

fn bundle(design: Design) -> Bundle {
    let device = Device::npu1();
    let design = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::Dynamic).unwrap_or_else(|e| panic!("{e}"));
    emit_bundle(&design, &lowered, device, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn relu2_manifest() {
    let mut manifest = bundle(examples::relu2()).manifest;
    // Hashes change with every word of a kernel or the script; other tests look at them.
    manifest.files.clear();
    manifest.content = Sha::of(b"");
    insta::assert_snapshot!(manifest.to_json());
}

#[test]
fn a_manifest_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for design in examples::all() {
        let mut bundle = bundle(design);
        let hashes = vec![Sha::of(b"x"); bundle.manifest.buffers.len()];
        bundle.manifest.expected = Some(Expected {
            seed: u64::MAX,
            before: hashes.clone(),
            after: hashes,
            predicted_cycles: 17,
            profile: "p".into(),
        });
        std::fs::write(folder.path().join(Manifest::FILE), bundle.manifest.to_json()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), bundle.manifest);
    }
}

#[test]
fn other_files_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let message = |text: &str| {
        std::fs::write(folder.path().join(Manifest::FILE), text).unwrap();
        Manifest::read(folder.path()).unwrap_err().to_string()
    };
    let good = bundle(examples::relu2()).manifest.to_json();
    assert!(message("{").contains("line 1"));
    assert!(message(&good.replace("\"format\": 1", "\"format\": 2")).contains("format 2, this Kiln reads 1"));
    assert!(message(&good.replacen("\"kiln\"", "\"kilns\"", 1)).contains("unknown field `kilns`"));
    let hash = bundle(examples::relu2()).manifest.content.to_string();
    assert!(message(&good.replace(&hash, "é".repeat(32).as_str())).contains("is no SHA-256"));
    assert!(message(&good.replace(&hash, &hash[1..])).contains("is no SHA-256"));
    let absent = Manifest::read(&folder.path().join("absent")).unwrap_err().to_string();
    assert!(absent.contains("manifest.json") && absent.contains("kiln emit"), "{absent}");
}

#[test]
fn whatever_a_binary_is_made_from_changes_the_content() {
    let content = |design| bundle(design).manifest.content;
    let plain = content(examples::relu2());
    assert_eq!(plain, content(examples::relu2()));
    let mut deeper = examples::relu2();
    deeper.fifos[1].depths = vec![2, 3];
    assert_ne!(plain, content(deeper));
    let mut stack = examples::relu2();
    stack.cores[0].stack_bytes = Some(4096);
    assert_ne!(plain, content(stack));
    // Names and contents cannot change places.
    let hash = |parts: [(&str, &[u8]); 2]| Sha::of_parts(parts);
    assert_ne!(hash([("a", b"bc"), ("d", b"")]), hash([("ab", b"c"), ("d", b"")]));
    assert_ne!(hash([("a", b"b"), ("c", b"d")]), hash([("a", b"bc"), ("d", b"")]));
}

#[test]
fn every_file_is_listed_with_its_hash() {
    for design in examples::all() {
        let bundle = bundle(design);
        let files = bundle.files();
        let (manifest, listed) = files.split_last().unwrap();
        assert_eq!(manifest.path, Manifest::FILE);
        assert_eq!(listed.len(), bundle.manifest.files.len());
        for file in listed {
            let entry = bundle.manifest.file(&file.path).unwrap();
            assert_eq!((entry.bytes, entry.sha256), (file.bytes.len() as u64, Sha::of(&file.bytes)));
        }
        let executable: Vec<&str> = files.iter().filter(|f| f.executable).map(|f| f.path.as_str()).collect();
        assert_eq!(executable, ["build.sh"]);
    }
}

#[test]
fn words_of_the_script_are_quoted() {
    assert_eq!(quote("a b"), "'a b'");
    assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
}
