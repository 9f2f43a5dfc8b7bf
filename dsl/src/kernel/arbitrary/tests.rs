//! Properties of text and verifier over random kernels, valid and damaged.

use super::*;
use crate::kernel::{parse_kernel, verify_ref};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn choices(len: usize) -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..len)
}

/// The kernel as it would be if nobody knew where its parts come from.
fn without_locs(mut kernel: Kernel) -> Kernel {
    kernel.params.iter_mut().for_each(|p| p.loc = Loc::UNKNOWN);
    kernel.ops.iter_mut().for_each(|op| op.loc = Loc::UNKNOWN);
    kernel
}

proptest! {
    #[test]
    fn kernels_are_valid_and_survive_print_and_parse(choices in choices(400)) {
        let kernel = cascade_kernel(&choices);
        let errors = verify_ref(&kernel);
        prop_assert!(errors.is_empty(), "{}\n{}", errors[0], kernel);
        let text = kernel.to_string();
        let parsed = match parse_kernel(&text, "again") {
            Ok(parsed) => parsed,
            Err(errors) => return Err(TestCaseError::fail(format!("{errors}\n{text}"))),
        };
        prop_assert_eq!(&parsed.to_string(), &text);
        prop_assert_eq!(without_locs(parsed), without_locs(kernel));
    }

    /// The parser takes any text, and the verifier and printer any kernel that it gives.
    #[test]
    fn damaged_text_never_panics(
        choices in choices(120),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..6), 1..8),
    ) {
        let mut words: Vec<String> =
            kernel(&choices).to_string().split_inclusive([' ', '\n', ',']).map(str::to_string).collect();
        const ODD: [&str; 16] =
            ["{", "}\n", "for ", "hex\"", "-", "[", ":", "\n", "v0 ", "99999999999999999999", "é", "\"", "///", "= ", "->", "kernel "];
        for (at, from, kind) in edits {
            if words.is_empty() {
                break;
            }
            let (i, j) = (at.index(words.len()), from.index(words.len()));
            match kind {
                0 => drop(words.remove(i)),
                1 => words.swap(i, j),
                2 => words[i] = words[j].clone(),
                3 => words[i] = ODD[j % ODD.len()].to_string(),
                4 => { words[i].pop(); }
                _ => words.truncate(i),
            }
        }
        let text = words.concat();
        match parse_kernel(&text, "damaged") {
            Err(errors) => prop_assert!(!errors.errors.is_empty() && !errors.to_string().is_empty()),
            Ok(kernel) => {
                let _any = verify_ref(&kernel);
                let printed = kernel.to_string();
                let again = parse_kernel(&printed, "again");
                prop_assert!(again.is_ok(), "{}\n{}", again.err().map(|e| e.to_string()).unwrap_or_default(), printed);
                prop_assert_eq!(again.map(|k| k.to_string()), Ok(printed));
            }
        }
    }

    /// Ids, types and constants exchanged at random: errors, never a panic, each with its text.
    #[test]
    fn damaged_kernels_never_panic(choices in choices(120), damage in proptest::collection::vec((0u8..14, any::<u16>(), any::<u16>()), 1..6)) {
        let mut kernel = kernel(&choices);
        for (kind, at, to) in damage {
            spoil(&mut kernel, kind, usize::from(at), to);
        }
        let text = format!("{kernel:#}");
        prop_assert!(text.contains("kernel @"));
        for error in verify_ref(&kernel) {
            prop_assert!(error.to_string().contains("error: "));
        }
    }
}

fn spoil(kernel: &mut Kernel, kind: u8, at: usize, to: u16) {
    // Mostly ids that exist, sometimes one that does not.
    let id = |len: usize| u32::from(to) % (len as u32 + 1);
    let (values, ops, blocks, params) =
        (kernel.values.len(), kernel.ops.len(), kernel.blocks.len(), kernel.params.len());
    let op_at = at % ops.max(1);
    let Some(op) = kernel.ops.get_mut(op_at) else { return };
    match kind {
        0 => op.operands.push(ValueId(id(values))),
        1 => drop(op.operands.pop()),
        2 => op.results.push(ValueId(id(values))),
        3 => drop(op.results.pop()),
        4 => op.body = Some(BlockId(id(blocks))),
        5 => op.body = None,
        6 => op.imm = Imm::Loop { step: u32::from(to % 3), hint: LoopHint::default() },
        7 => op.imm = Imm::Int(i64::MIN + i64::from(to)),
        8 => {
            let terms = [(ValueId(id(values)), i64::MAX - i64::from(to))].into_iter().collect();
            op.address = Some(Address { param: ParamId(id(params)), terms, offset_bytes: i64::MIN });
        }
        9 => op.opcode = Opcode::ALL[usize::from(to) % Opcode::ALL.len()],
        10 => kernel.blocks[at % blocks].ops.push(OpId(id(ops))),
        11 => drop(kernel.blocks[at % blocks].ops.pop()),
        12 => kernel.blocks[at % blocks].args.push(ValueId(id(values))),
        _ => kernel.values[at % values] = Type::vector(Elem::I8, to),
    }
}

/// Without this the properties above could hold for kernels that do nothing.
#[test]
fn the_kernels_use_every_operation_and_most_forms() {
    let mut seen = BTreeSet::new();
    let mut forms = BTreeSet::new();
    let mut state = 1u32;
    for _ in 0..400 {
        let choices: Vec<u16> = (0..600)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as u16
            })
            .collect();
        let kernel = cascade_kernel(&choices);
        for op in &kernel.ops {
            seen.insert(op.opcode);
            if let Some(form) = crate::kernel::ops::form(&kernel, op) {
                forms.insert(std::ptr::from_ref(form));
            }
        }
    }
    let missing: Vec<&Opcode> = Opcode::ALL.iter().filter(|o| !seen.contains(o)).collect();
    assert!(missing.is_empty(), "never used: {missing:?}");
    let all: usize = Opcode::ALL.iter().map(|&o| spec(o).forms.len()).sum();
    assert!(forms.len() * 10 > all * 8, "{} of {all} forms are used", forms.len());
}

#[test]
fn loops_deeper_than_the_limit_are_errors_of_parser_and_verifier() {
    let deep = |depth: usize| {
        let open: String = (0..depth).map(|i| format!("for i{i} = a to a step 1 {{\n")).collect();
        let close = "yield\n}\n".repeat(depth);
        format!("kernel @deep rounding(floor) saturation(off) {{\na = sconst 1 : i32\n{open}{close}}}\n")
    };
    let limit = crate::kernel::print::MAX_DEPTH;
    let kernel = parse_kernel(&deep(limit), "deep").expect("as deep as allowed");
    assert!(verify_ref(&kernel).is_empty());
    assert!(parse_kernel(&kernel.to_string(), "deep").is_ok());
    let error = parse_kernel(&deep(limit + 1), "deep").expect_err("too deep").to_string();
    assert!(error.contains("deeper than 64"), "{error}");
    assert!(parse_kernel(&deep(100_000), "deep").is_err());
    assert!(parse_kernel(&"for {\n".repeat(100_000), "deep").is_err());

    let mut nested = kernel;
    for _ in 0..3 {
        // One more loop around the innermost body's `yield`.
        let body = BlockId(nested.blocks.len() as u32);
        let innermost = nested.blocks.len() - 1;
        let ops = std::mem::take(&mut nested.blocks[innermost].ops);
        let index = ValueId(nested.values.len() as u32);
        nested.values.push(Type::Scalar);
        nested.blocks.push(Block { args: vec![index], ops });
        let outer = nested.ops.iter().find(|op| op.body.is_some()).cloned().expect("a loop");
        let for_id = OpId(nested.ops.len() as u32);
        nested.ops.push(OpData { body: Some(body), ..outer });
        let end = OpId(nested.ops.len() as u32);
        let yield_op = nested.ops.iter().find(|op| op.opcode == Opcode::Yield).cloned().expect("a yield");
        nested.ops.push(yield_op);
        nested.blocks[innermost].ops = vec![for_id, end];
    }
    let errors = verify_ref(&nested);
    assert!(errors.iter().any(|e| e.problem.to_string().contains("loops nest 65 deep")), "{errors:?}");
}
