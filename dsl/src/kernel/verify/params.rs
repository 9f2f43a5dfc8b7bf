//! Names, layouts, alignments and tables of parameters.

use super::error::{Place, Report};
use super::problem::{NameFault, Problem};
use crate::kernel::ir::{Kernel, Layout, Param, ParamKind};
use crate::kernel::ops::{Effect, spec};
use crate::kernel::types::{Elem, Type};
use std::collections::BTreeMap;

/// Keywords and alternative tokens of C++20 ([lex.key], [lex.digraph]).
const CPP_KEYWORDS: [&str; 92] = [
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
];

/// Namespaces and functions that the emitted C++ uses or that C++ reserves.
const CPP_RESERVED: [&str; 4] = ["aie", "kiln", "main", "std"];

/// Reports everything about the kernel's name and parameters.
pub(super) fn check(kernel: &Kernel, report: &mut Report) {
    name(&kernel.name, Place::Kernel, report);
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, p) in kernel.params.iter().enumerate() {
        let place = Place::Param(crate::kernel::ParamId(i as u32));
        name(&p.name, place, report);
        if p.name == kernel.name || first.contains_key(p.name.as_str()) {
            report.add(place, Problem::Name { name: p.name.clone(), fault: NameFault::Taken });
        }
        first.entry(&p.name).or_insert(i);
        value(kernel, p, place, report);
        if p.kind.is_memory() {
            memory(p, place, report);
        }
    }
}

/// Reports `out` parameters that nothing stores to.
pub(super) fn check_outputs(kernel: &Kernel, report: &mut Report) {
    let mut stored = vec![false; kernel.params.len()];
    for op in kernel.ops.iter().filter(|op| spec(op.opcode).effect == Effect::Write) {
        if let Some(address) = &op.address {
            stored[address.param.index()] = true;
        }
    }
    for (i, p) in kernel.params.iter().enumerate() {
        if p.kind == ParamKind::Out && !stored[i] {
            report.param(i, Problem::NeverStored { param: p.name.clone() });
        }
    }
}

fn name(name: &str, place: Place, report: &mut Report) {
    let fault = if !crate::kernel::print::is_identifier(name) {
        NameFault::NotAnIdentifier
    } else if CPP_KEYWORDS.binary_search(&name).is_ok() {
        NameFault::Keyword
    } else if is_reserved(name) {
        NameFault::Reserved
    } else {
        return;
    };
    report.add(place, Problem::Name { name: name.to_string(), fault });
}

/// Double underscores and a leading one belong to the compiler ([lex.name]); `v12` is a value.
fn is_reserved(name: &str) -> bool {
    let value =
        name.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    value || name.starts_with('_') || name.contains("__") || CPP_RESERVED.contains(&name)
}

fn value(kernel: &Kernel, p: &Param, place: Place, report: &mut Report) {
    let found = p.value.and_then(|v| kernel.values.get(v.index()).copied());
    let is_i32 = p.kind == ParamKind::I32;
    if p.value.is_some() != is_i32 || found.is_some_and(|t| t != Type::Scalar) {
        report.add(place, Problem::ParamValue { param: p.name.clone(), kind: p.kind.keyword(), found });
    }
    if is_i32 && p.elem != Elem::I32 {
        report.add(place, Problem::ParamElem { param: p.name.clone(), found: p.elem });
    }
}

fn memory(p: &Param, place: Place, report: &mut Report) {
    let param = || p.name.clone();
    let align_bytes = p.align_bytes;
    if !align_bytes.is_power_of_two() {
        report.add(place, Problem::AlignNotPowerOfTwo { param: param(), align_bytes });
    } else if align_bytes < p.elem.bytes() {
        report.add(place, Problem::AlignBelowElement { param: param(), align_bytes, elem: p.elem });
    }
    let dims: Vec<u32> = match &p.layout {
        Layout::RowMajor(shape) => shape.clone(),
        Layout::Tiled { tile, grid } => grid.iter().chain(tile).copied().collect(),
    };
    let bytes = dims.iter().try_fold(p.elem.bytes(), |bytes, &d| bytes.checked_mul(d));
    match bytes {
        Some(0) => report.add(place, Problem::EmptyParam { param: param() }),
        None => report.add(place, Problem::ParamTooLarge { param: param() }),
        Some(bytes) => {
            if let ParamKind::Table(data) = &p.kind
                && data.len() as u64 != u64::from(bytes)
            {
                let found = data.len() as u64;
                report.add(place, Problem::TableSize { param: param(), expected: u64::from(bytes), found });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(CPP_KEYWORDS.is_sorted());
    }

    #[test]
    fn reserved_names() {
        for name in ["_a", "a__b", "v0", "v12", "std"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["v", "a_b", "va1", "value", "out"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
