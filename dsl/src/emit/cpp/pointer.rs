//! Addresses as C++ pointer expressions.

use super::names::{Names, element_name};
use crate::kernel::{Address, Elem, Kernel};

/// The C element type of a pointer parameter.
pub(crate) const fn c_element(elem: Elem) -> &'static str {
    match elem {
        Elem::I8 => "int8_t",
        Elem::U8 => "uint8_t",
        Elem::I16 => "int16_t",
        Elem::I32 => "int32_t",
        Elem::Bf16 => "bfloat16",
        Elem::F32 => "float",
    }
}

/// aie_api's element type.
pub(super) const fn element(elem: Elem) -> &'static str {
    element_name(elem)
}

/// `param + 32 * i + 8`, in units of `elem`. Where the parameter has another element the pointer is
/// cast; where the byte address is no multiple of the element it is formed in bytes.
pub(super) fn expression(kernel: &Kernel, names: &Names, address: &Address, elem: Elem) -> String {
    let param = kernel.param(address.param);
    let name = names.param(param);
    let constant = if param.kind.is_written() { "" } else { "const " };
    let divides = |unit: i64| {
        address.offset_bytes % unit == 0 && address.terms.iter().all(|&(_, bytes)| bytes % unit == 0)
    };
    let unit = i64::from(elem.bytes());
    if param.elem == elem && divides(unit) {
        return format!("{name}{}", offset(names, address, unit));
    }
    let cast = format!("({constant}{} *)", c_element(elem));
    if divides(unit) {
        return format!("{cast}{name}{}", offset(names, address, unit));
    }
    format!("{cast}(({constant}uint8_t *){name}{})", offset(names, address, 1))
}

/// ` + 32 * i - 8`: terms in the address's order, then the constant.
fn offset(names: &Names, address: &Address, unit: i64) -> String {
    let mut text = String::new();
    let mut constant = address.offset_bytes / unit;
    for &(value, bytes) in &address.terms {
        let factor = bytes / unit;
        if let Some(known) = names.constant(value) {
            constant += known * factor;
            continue;
        }
        let sign = if factor < 0 { '-' } else { '+' };
        let name = names.value(value);
        match factor.unsigned_abs() {
            1 => text.push_str(&format!(" {sign} {name}")),
            n => text.push_str(&format!(" {sign} {n} * {name}")),
        }
    }
    if constant != 0 {
        let sign = if constant < 0 { '-' } else { '+' };
        text.push_str(&format!(" {sign} {}", constant.unsigned_abs()));
    }
    text
}
