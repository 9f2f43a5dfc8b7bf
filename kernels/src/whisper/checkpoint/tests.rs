//! One encoder in every format gives the same weights; damaged files of every format give errors.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use ::safetensors::tensor::{Dtype, TensorView};
use proptest::prelude::*;

use super::*;
use crate::whisper::{EncoderWeights, ModelConfig};

/// The encoder of `tests/data/torch_files.py`.
fn config() -> ModelConfig {
    ModelConfig {
        name: "custom-1x8x4".into(),
        mels: 4,
        d: 8,
        heads: 2,
        layers: 1,
        ffn: 16,
        positions: 4,
        conv2: true,
    }
}

/// Its tensors under OpenAI's names, as that script fills them.
fn tensors() -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let config = config();
    let (d, f) = (config.d, config.ffn);
    let mut list: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: &str, shape: &[usize]| list.push((name.to_string(), shape.to_vec()));
    add("conv1.weight", &[d, config.mels, 3]);
    add("conv1.bias", &[d]);
    add("conv2.weight", &[d, d, 3]);
    add("conv2.bias", &[d]);
    add("positional_embedding", &[config.positions, d]);
    for (module, outputs, inputs) in [
        ("attn.query", d, d),
        ("attn.key", d, d),
        ("attn.value", d, d),
        ("attn.out", d, d),
        ("mlp.0", f, d),
        ("mlp.2", d, f),
    ] {
        add(&format!("blocks.0.{module}.weight"), &[outputs, inputs]);
        if module != "attn.key" {
            add(&format!("blocks.0.{module}.bias"), &[outputs]);
        }
    }
    for module in ["blocks.0.attn_ln", "blocks.0.mlp_ln", "ln_post"] {
        add(&format!("{module}.weight"), &[d]);
        add(&format!("{module}.bias"), &[d]);
    }
    let value = |name: &str, i: usize| ((i * 7 + name.len()) % 13) as f32 / 16.0 - 6.0 / 16.0;
    let filled = |(name, shape): (String, Vec<usize>)| {
        let values = (0..shape.iter().product()).map(|i| value(&name, i)).collect();
        (format!("encoder.{name}"), shape, values)
    };
    list.into_iter().map(filled).collect()
}

fn safetensors_of<'a>(tensors: impl Iterator<Item = &'a (String, Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let list: Vec<_> =
        tensors.map(|(n, s, v)| (n, s.clone(), bytemuck::cast_slice::<f32, u8>(v).to_vec())).collect();
    let views = list.iter().map(|(n, s, b)| (n, TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    let heads = [("heads".to_string(), "2".to_string())].into_iter().collect();
    ::safetensors::serialize(views, Some(heads)).unwrap()
}

/// A ggml file, as whisper.cpp's conversion writes it: `kind` is that of the matrices with whole blocks in a row.
fn ggml_of(kind: u32, encode: &dyn Fn(&[f32]) -> Vec<u8>) -> Vec<u8> {
    let mut file = b"lmgg".to_vec();
    let word = |file: &mut Vec<u8>, n: usize| file.extend((n as u32).to_le_bytes());
    for n in [2, 4, 8, 2, 1, 4, 8, 2, 1, 4, 1] {
        word(&mut file, n);
    }
    word(&mut file, 4);
    word(&mut file, 3);
    file.extend([0; 4 * 3 * 4]);
    word(&mut file, 2);
    for token in ["a", "bc"] {
        word(&mut file, token.len());
        file.extend(token.bytes());
    }
    for (name, shape, values) in tensors() {
        let bias = name.starts_with("encoder.conv") && name.ends_with("bias");
        let shape = if bias { vec![shape[0], 1] } else { shape };
        let blocks = shape.len() == 2 && shape[1].is_multiple_of(32);
        word(&mut file, shape.len());
        word(&mut file, name.len());
        word(&mut file, if blocks { kind as usize } else { 0 });
        shape.iter().rev().for_each(|n| word(&mut file, *n));
        file.extend(name.bytes());
        file.extend(if blocks { encode(&values) } else { bytemuck::cast_slice(&values).to_vec() });
    }
    file
}

fn load(name: &str, bytes: Vec<u8>) -> Result<EncoderWeights, WeightsError> {
    let file = Checkpoint::from_source(Path::new(name), Box::new(Cursor::new(bytes)))?;
    EncoderWeights::from_checkpoint(file, None)
}

fn refused(name: &str, bytes: Vec<u8>) -> String {
    load(name, bytes).map(|w| w.config).unwrap_err().to_string()
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn same(got: &EncoderWeights, expected: &EncoderWeights) {
    let unnamed = |w: &EncoderWeights| EncoderWeights { source: expected.source.clone(), ..w.clone() };
    assert_eq!(unnamed(got), unnamed(expected));
}

#[test]
fn every_format_gives_the_same_weights() {
    let expected = load("w.safetensors", safetensors_of(tensors().iter())).unwrap();
    assert_eq!((&expected.config, expected.unknown.len()), (&config(), 0));
    let single = |values: &[f32]| bytemuck::cast_slice(values).to_vec();
    same(&load("ggml.bin", ggml_of(0, &single)).unwrap(), &expected);
    // Written by PyTorch itself: f16 and OpenAI's names; f32 with a bf16 tensor and a view, and Hugging Face's.
    same(&EncoderWeights::load(&recorded("openai.pt"), None).unwrap(), &expected);
    let config = config();
    same(&EncoderWeights::load(&recorded("huggingface.bin"), Some(&config)).unwrap(), &expected);
}

#[test]
fn shards_give_the_same_weights_and_missing_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let list = tensors();
    let (first, second) = list.split_at(9);
    std::fs::write(dir.path().join("one.safetensors"), safetensors_of(first.iter())).unwrap();
    std::fs::write(dir.path().join("two.safetensors"), safetensors_of(second.iter())).unwrap();
    let index = dir.path().join("model.safetensors.index.json");
    let write = |edit: &dyn Fn(usize, &str) -> String| {
        let file = |i| if i < 9 { "one.safetensors" } else { "two.safetensors" };
        let map: serde_json::Map<_, _> =
            list.iter().enumerate().map(|(i, t)| (t.0.clone(), edit(i, file(i)).into())).collect();
        std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    };
    let message = || EncoderWeights::load(&index, None).unwrap_err().to_string();

    write(&|_, file| file.to_string());
    let expected = load("w.safetensors", safetensors_of(list.iter())).unwrap();
    same(&EncoderWeights::load(&index, None).unwrap(), &expected);
    same(&EncoderWeights::load(dir.path(), None).unwrap(), &expected);
    write(&|i, file| if i == 0 { "three.safetensors".into() } else { file.into() });
    assert!(message().contains("1 shard(s) missing beside it: three.safetensors"), "{}", message());
    write(&|i, file| if i == 0 { "two.safetensors".into() } else { file.into() });
    assert!(
        message().contains("1 tensor(s) missing: encoder.conv1.weight (two.safetensors)"),
        "{}",
        message()
    );
    write(&|_, file| format!("../{file}"));
    assert!(message().contains("not a file of the same folder"), "{}", message());
    std::fs::write(&index, "[]").unwrap();
    assert!(message().contains("malformed list of shards"), "{}", message());
    std::fs::remove_file(&index).unwrap();
    let folder = EncoderWeights::load(dir.path(), None).unwrap_err().to_string();
    assert!(folder.contains("a folder without model.safetensors.index.json"), "{folder}");
}

#[test]
fn ggml_blocks_lose_no_more_than_their_step() {
    // A row of 32 equal steps from -16 to 15 is exact in 5 and 8 bits.
    let wide = |kind: u32, bytes: &[u8]| {
        let mut file = b"lmgg".to_vec();
        file.extend([0; 11 * 4 + 8 + 4]);
        for n in [2, 1, kind, 32, 1] {
            file.extend(n.to_le_bytes());
        }
        file.push(b'w');
        file.extend(bytes);
        let file = Checkpoint::from_source(Path::new("q.bin"), Box::new(Cursor::new(file)));
        file.unwrap().read("w").unwrap()
    };
    let expected: Vec<f32> = (0..32).map(|i| i as f32 - 16.0).collect();
    let one = half::f16::ONE.to_le_bytes();
    let nibbles: Vec<u8> = (0..16).map(|j| j | j << 4).collect();
    let fifth = 0xffff_0000u32.to_le_bytes();
    let offset = half::f16::from_f32(-16.0).to_le_bytes();
    assert_eq!(wide(6, &[&one[..], &fifth, &nibbles].concat()), expected);
    assert_eq!(wide(7, &[&one[..], &offset, &fifth, &nibbles].concat()), expected);
    let quants: Vec<u8> = (-16i8..16).map(|q| q as u8).collect();
    assert_eq!(wide(8, &[&one[..], &quants].concat()), expected);
}

/// Found by the fuzz target `weights_ggml`: as many mel filters as two words can say.
#[test]
fn ggml_filters_beyond_the_file_are_told() {
    let file = [&b"lmgg"[..], &[0; 11 * 4], &[0xff; 8]].concat();
    let refused = refused("m.bin", file);
    assert!(
        refused.contains("the mel filters takes 18446744073709551615 bytes at byte 56, 0 are left"),
        "{refused}"
    );
}

#[test]
fn pickles_execute_nothing() {
    let module = EncoderWeights::load(&recorded("whole_module.pt"), None).unwrap_err().to_string();
    assert!(module.contains("`torch.nn.modules.module.Module`, which is no part of a tensor"), "{module}");
    let read = |text: &[u8]| pickle::read(Path::new("p"), text).map(|p| p.tensors.len());
    let message = |text: &[u8]| read(text).unwrap_err().to_string();
    assert!(message(b"cos\nsystem\nX\x04\x00\x00\x00trueR.").contains("`os.system`"));
    assert!(message(b"\x8c\x02os\x8c\x06system\x93.").contains("`os.system`"));
    assert!(message(b"}ibuiltins\neval\n").contains("opcode 0x69"));
    assert!(message(b"X\xff\xff\xff\xffabc").contains("ends early"));
    assert!(message(b"h\x01.").contains("never kept"));
    assert!(message(b"t.").contains("no mark") && message(b".").contains("stack is empty"));
    assert!(message(b"K\x01.").contains("holds no dictionary"));
    assert_eq!(read(b"}.").unwrap(), 0);
    // A list in itself, and a million nested tuples: positions in one list, so nothing recurses.
    assert!(message(b"]q\x00h\x00a.").contains("holds no dictionary"));
    let nested = [&b")"[..], &vec![0x85; 1 << 20], b"."].concat();
    assert!(message(&nested).contains("holds no dictionary"));
}

#[test]
fn formats_that_are_not_read_say_what_to_do() {
    assert!(refused("m.gguf", b"GGUF\x03\0\0\0".to_vec()).contains("help: whisper.cpp's own format is ggml"));
    assert!(refused("m.bin", b"ggml\0\0\0\0".to_vec()).contains("big-endian ggml"));
    assert!(refused("m.pt", b"\x80\x02\x8a\x0a".to_vec()).contains("before version 1.6"));
    assert!(refused("m", b"words and more words".to_vec()).contains("not a weight file of a known format"));
    let mut twice = tensors();
    let (_, shape, values) = twice[0].clone();
    twice.push(("model.encoder.conv1.weight".into(), shape, values));
    let message = refused("w", safetensors_of(twice.iter()));
    assert!(message.contains("encoder.conv1.weight and model.encoder.conv1.weight are both"), "{message}");
}

#[test]
fn swapped_bytes_do_not_pass_for_numbers() {
    // f32 whose exponents' bytes come last: among a few hundred weights, one of them is all ones.
    let mut weights = tensors();
    for (_, _, values) in &mut weights {
        let noisy = |i: usize, v: f32| v + (i * i % 977) as f32 * 1e-5;
        values
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = f32::from_bits(noisy(i, *v).to_bits().swap_bytes()));
    }
    let message = refused("w", safetensors_of(weights.iter()));
    assert!(
        message.contains("expected a finite number") && message.contains("big-endian order"),
        "{message}"
    );
}

/// Every format's file, to be damaged.
fn files() -> Vec<Vec<u8>> {
    let single = |values: &[f32]| bytemuck::cast_slice(values).to_vec();
    let read = |name| std::fs::read(recorded(name)).unwrap();
    vec![safetensors_of(tensors().iter()), ggml_of(0, &single), read("openai.pt"), read("huggingface.bin")]
}

#[test]
fn every_truncation_and_padding_is_refused() {
    for (number, whole) in files().into_iter().enumerate() {
        for length in (0..whole.len()).step_by(7) {
            refused("cut", whole[..length].to_vec());
        }
        // A zip archive may have a comment behind it; the other formats end where they say.
        if number < 2 {
            refused("padded", [&whole[..], &[0; 3]].concat());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Damage never panics, and never makes a file's tensors larger than the file.
    #[test]
    fn damage_is_survived(which in 0usize..4, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = files().swap_remove(which);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let size = bytes.len();
        if let Ok(file) = Checkpoint::from_source(Path::new("damaged"), Box::new(Cursor::new(bytes))) {
            let elements = |name: &str| file.shape(name).unwrap_or_default().iter().product::<usize>();
            prop_assert!(file.names().all(|name| elements(name) <= 2 * size));
            drop(EncoderWeights::from_checkpoint(file, None));
        }
    }
}
