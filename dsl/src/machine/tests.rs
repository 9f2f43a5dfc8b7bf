//! Bytes that other tools wrote, and every form with random operands.

use super::*;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// The reference data, if it is there.
fn isa_data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from).join("data/isa");
    if !folder.is_dir() {
        println!("skipped: {} is not there (set KILN_SHARED)", folder.display());
        return None;
    }
    Some(folder)
}

fn bytes(text: &str) -> Vec<u8> {
    text.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Text to bytes, bytes to a bundle of the same bytes, and its text to the same bytes.
fn agrees(text: &str, expected: &[u8]) -> Result<(), String> {
    let told = |what: &str, e: MachineError| format!("{text}: {what}: {e}");
    let encoded = text.parse::<Bundle>().and_then(|b| b.encode()).map_err(|e| told("encode", e))?;
    if encoded != expected {
        return Err(format!("{text}: expected {expected:02x?}, got {encoded:02x?}"));
    }
    let decoded = Bundle::decode(expected).map_err(|e| told("decode", e))?;
    let again = decoded.encode().map_err(|e| told("encode what was decoded", e))?;
    if again != expected {
        return Err(format!("{text}: decoded as {decoded}, which is {again:02x?}"));
    }
    Ok(())
}

/// All vectors of a table of text and bytes.
fn all_agree(vectors: &[(String, Vec<u8>)], count: usize) {
    assert_eq!(vectors.len(), count);
    let wrong: Vec<String> = vectors.iter().filter_map(|(text, bytes)| agrees(text, bytes).err()).collect();
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn table(file: &Path) -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[0].to_owned(), bytes(columns[1]))
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn llvm_aie_and_shipped_programs_agree_on_every_byte() {
    let Some(folder) = isa_data() else { return };
    all_agree(&table(&folder.join("encodings.tsv")), 909);
    all_agree(&table(&folder.join("bundles.tsv")), 407);
}

#[test]
fn programs_that_ran_agree_on_every_byte() {
    let Some(folder) = isa_data() else { return };
    let text = std::fs::read_to_string(folder.join("programs.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut vectors = Vec::new();
    for program in json["programs"].as_array().unwrap() {
        let mut image = Vec::new();
        for bundle in program["bundles"].as_array().unwrap() {
            assert_eq!(bundle["pc"], image.len());
            let one = bytes(bundle["bytes"].as_str().unwrap());
            image.extend(&one);
            vectors.push((bundle["asm"].as_str().unwrap().to_owned(), one));
        }
        let Disassembly { bundles, end } = disassemble(&image);
        assert_eq!((bundles.len(), end), (program["bundles"].as_array().unwrap().len(), None));
    }
    all_agree(&vectors, 237);
}

/// A few of the kinds above, for a clone without the data.
#[test]
fn bundles_of_all_sizes() {
    for (text, expected) in [
        ("nop", "01 00"),
        ("clb r18, r3", "19 1c e4 10"),
        ("paddb [sp], #-65536", "19 00 03 3c"),
        ("movxm sp, #458752", "55 00 e0 0c 07 00"),
        ("mova r2, #1 ; mov s0, #3", "8d 0f b0 88 20 00"),
        ("vclr cm0", "09 02 3c 00"),
    ] {
        agrees(text, &bytes(expected)).unwrap();
    }
}

#[test]
fn the_table_is_sound() {
    let isa = Isa::aie2();
    assert_eq!(isa.ops().count(), 607);
    assert_eq!(isa.ops().filter(|(_, op)| op.is_seen()).count(), 556);
    for (_, op) in isa.ops() {
        let mut taken = op.mask;
        assert_eq!(op.value & !op.mask, 0, "{}", op.name);
        for field in &op.fields {
            assert_eq!(taken & field.mask(), 0, "{}: {} overlaps", op.name, field.name);
            taken |= field.mask();
        }
        assert_eq!(taken >> isa.width(op.slot), 0, "{} is wider than its slot", op.name);
        assert!(
            op.itinerary == "-" || !op.is_seen() || isa.cycles.contains_key(&op.itinerary),
            "{}",
            op.name
        );
    }
    for format in &isa.formats {
        let mut taken = format.mask;
        for &(slot, at) in &format.slots {
            let bits = ((1u128 << isa.width(slot)) - 1) << at;
            assert_eq!(taken & bits, 0, "{format:?}");
            taken |= bits;
        }
    }
    // A nop of every slot, so that a set of slots without a format of its own takes a larger one.
    assert!(Slot::ALL.iter().all(|&slot| isa.nop(slot).is_some()));
}

#[test]
fn sizes_are_those_of_formats() {
    use Slot::*;
    // The nine sets whose size is not 4 bits and the slots', rounded up to 2 bytes (reference/backend.md).
    for (slots, size) in [
        (&[Alu, Mv][..], 8),
        (&[St, Mv], 8),
        (&[Ldb, Vec], 8),
        (&[Ldb, Lng], 10),
        (&[Ldb, Alu, Mv], 10),
        (&[Ldb, Lda, Mv], 10),
        (&[Ldb, St, Mv], 10),
        (&[Lda, St, Mv, Vec], 14),
        (&[Lda, Ldb, St, Mv, Vec], 16),
    ] {
        assert_eq!(Bundle::bytes_of(slots), Some(size), "{slots:?}");
    }
    assert_eq!(Bundle::bytes_of(&[]), Some(2));
    assert_eq!(Bundle::bytes_of(&[Lng, Alu]), None);
}

#[test]
fn what_is_no_instruction_is_told() {
    let said = |text: &str| text.parse::<Bundle>().and_then(|b| b.encode()).unwrap_err().to_string();
    assert!(said("mova r0, #9999999").contains("`mova r0, #9999999` is no instruction; there is mova"));
    assert!(said("vmax r0").contains("names near it: vmax_lt"), "{}", said("vmax r0"));
    assert!(said("movx r0, #1 ; movx r1, #2").contains("no bundle holds these instructions together"));
    assert!(said("").contains("is no instruction"));
    let unseen = Isa::aie2().ops().find(|(_, op)| !op.is_seen()).map(|(_, op)| op.name.clone()).unwrap();
    let bundle = Bundle {
        instructions: vec![Instruction { op: Isa::aie2().named(&unseen).unwrap(), values: vec![] }],
    };
    assert!(matches!(bundle.encode(), Err(MachineError::Unseen { op }) if op == unseen));
    assert!(matches!(Bundle::decode(&[0x00, 1]), Err(MachineError::Short { expected: 16, got: 2, .. })));
    assert!(matches!(Bundle::decode(&[]), Err(MachineError::Short { .. })));
}

/// An instruction of a form with encodings drawn from numbers.
fn drawn(op: OpId, seeds: &[u64; 6]) -> Option<Instruction> {
    let isa = Isa::aie2();
    let values = isa.op(op).fields.iter().zip(seeds).map(|(field, seed)| match field.kind {
        Kind::Register(class) => {
            let registers = &isa.classes[class].registers;
            let valid: Vec<usize> = (0..registers.len()).filter(|&r| registers[r].is_some()).collect();
            Value(valid[*seed as usize % valid.len()] as u64)
        }
        Kind::Number(number) => Value(seed & ((1 << number.bits) - 1)),
    });
    let values: Vec<Value> = values.collect();
    (values.len() == isa.op(op).fields.len()).then_some(Instruction { op, values })
}

proptest! {
    #[test]
    fn decoding_never_panics_and_gives_the_bytes_back(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(bundle) = Bundle::decode(&bytes)
            && let Ok(again) = bundle.encode()
        {
            prop_assert_eq!(&again[..], &bytes[..again.len()], "{}", bundle);
        }
    }

    #[test]
    fn text_and_bytes_of_random_instructions_agree(op in 0..607u16, seeds in any::<[u64; 6]>()) {
        let Some(instruction) = drawn(OpId(op), &seeds) else { return Ok(()) };
        if !instruction.form().is_seen() || instruction.form().slot == Slot::Nop {
            return Ok(());
        }
        let bundle = Bundle { instructions: vec![instruction] };
        let bytes = bundle.encode().unwrap();
        let decoded = Bundle::decode(&bytes).unwrap();
        prop_assert_eq!(decoded.encode().unwrap(), bytes.clone(), "{} as {}", bundle, decoded);
        // Registers with several encodings, and forms of equal text, may come back as another encoding of the same.
        let parsed: Bundle = bundle.to_string().parse().unwrap();
        prop_assert_eq!(parsed.to_string(), bundle.to_string());
    }
}
