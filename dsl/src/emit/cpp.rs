//! AIE2 C++ of a kernel, over aie_api.
//!
//! Every operation is one statement made from its template in the op table; the emitter itself
//! knows only loops, constants and addresses. Template placeholders:
//!
//! | | |
//! |---|---|
//! | `$0` .. | operands |
//! | `$i` | the integer immediate |
//! | `$p` | the address as a pointer to the element accessed |
//! | `$T` `$E` `$N` | C++ type, element (or accumulator tag) and lanes of the result; of a store, of what it stores |
//! | `$I` | element of operand 0 |
//! | `$M` `$K` `$L` | M, K and N of a matrix product |
//! | `$q` `$e` `$s` `$b` | of a lookup: second table, entries, step log2, bias |

mod names;
mod pointer;
pub(crate) mod template;

use crate::Verified;
use crate::kernel::ops::{Effect, Form, Opcode, form, spec};
use crate::kernel::{
    BlockId, Elem, Imm, Kernel, Loc, LoopHint, OpData, OpId, Param, ParamKind, Type, ValueId,
};
use crate::num::lut;
use crate::num::{Rounding, Saturation};
pub(crate) use names::type_name;
use names::{Names, element};
pub(crate) use pointer::c_element;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Why a verified kernel could not be printed as C++.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CppError {
    /// The op table has no form for the operation's types.
    #[error("{loc}: {op} `{mnemonic}` of kernel `{kernel}` has no form in the op table")]
    NoForm {
        /// Kernel.
        kernel: String,
        /// Operation.
        op: OpId,
        /// Its name.
        mnemonic: &'static str,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// A template asks for something that its operation lacks.
    #[error(
        "{loc}: {op} of kernel `{kernel}`: C++ template `{template}` wants ${placeholder}, which the operation lacks"
    )]
    Placeholder {
        /// Kernel.
        kernel: String,
        /// Operation.
        op: OpId,
        /// The template.
        template: &'static str,
        /// The letter or digit after `$`.
        placeholder: char,
        /// Where the author wrote it.
        loc: Loc,
    },
    /// A lookup that aie_api does not offer.
    #[error(
        "{loc}: {op} of kernel `{kernel}`: aie::parallel_lookup wants {wants}; got bias {bias}\n  help: {help}"
    )]
    LookupBias {
        /// Kernel.
        kernel: String,
        /// Operation.
        op: OpId,
        /// The rule.
        wants: &'static str,
        /// The bias asked for, in entries.
        bias: u32,
        /// What to do.
        help: &'static str,
        /// Where the author wrote it.
        loc: Loc,
    },
}

/// What a schedule says of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopPlan {
    /// Cycles from one iteration to the next.
    pub interval_cycles: u32,
    /// Iterations in flight; 1: not pipelined.
    pub stages: u32,
}

/// The innermost loops of one kernel as scheduled, by operation.
pub type LoopPlans = BTreeMap<OpId, LoopPlan>;

/// The kernel as one C++ translation unit: `extern "C" void name(...)` with a bare pointer for every
/// memory parameter (const when only read, always `__restrict`) and `int32_t` for run-time integers.
/// Loops that their author wants pipelined ask the compiler for it.
///
/// # Errors
/// When the op table lacks a form or a template does not fit its operation.
pub fn emit_cpp(kernel: &Verified<Kernel>) -> Result<String, CppError> {
    emit(kernel, None)
}

/// As [`emit_cpp`], but the loops that ask to be pipelined are those that a schedule pipelines, and say how.
///
/// # Errors
/// As [`emit_cpp`].
pub fn emit_cpp_scheduled(kernel: &Verified<Kernel>, plans: &LoopPlans) -> Result<String, CppError> {
    emit(kernel, Some(plans))
}

fn emit(kernel: &Verified<Kernel>, plans: Option<&LoopPlans>) -> Result<String, CppError> {
    let mut e = Emitter { kernel, plans, names: Names::new(kernel), out: String::new(), depth: 0 };
    e.header();
    e.depth = 1;
    e.block(Kernel::BODY)?;
    e.out.push_str("}\n");
    Ok(e.out)
}

/// aie_api's name of a rounding mode (`aie_types.hpp`).
pub(crate) const fn rounding_name(mode: Rounding) -> &'static str {
    match mode {
        Rounding::Floor => "floor",
        Rounding::Ceil => "ceil",
        Rounding::TowardZero => "symmetric_floor",
        Rounding::AwayFromZero => "symmetric_ceil",
        Rounding::NegInf => "negative_inf",
        Rounding::PosInf => "positive_inf",
        Rounding::SymZero => "symmetric_zero",
        Rounding::SymInf => "symmetric_inf",
        Rounding::ConvEven => "conv_even",
        Rounding::ConvOdd => "conv_odd",
    }
}

/// aie_api's name of a saturation mode (`aie_types.hpp`).
pub(crate) const fn saturation_name(mode: Saturation) -> &'static str {
    match mode {
        Saturation::Off => "none",
        Saturation::On => "saturate",
        Saturation::Symmetric => "symmetric",
    }
}

struct Emitter<'a> {
    kernel: &'a Kernel,
    plans: Option<&'a LoopPlans>,
    names: Names,
    out: String,
    depth: usize,
}

impl Emitter<'_> {
    fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            self.out.push_str("    ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn header(&mut self) {
        let kernel = self.kernel;
        self.out.push_str("// Emitted by Kiln.\n");
        for line in kernel.doc.lines() {
            self.line(format!("// {line}").trim_end());
        }
        if !kernel.params.is_empty() {
            self.out.push_str("//\n");
        }
        for p in &kernel.params {
            self.line(&format!("// {}", describe(p)));
        }
        self.out.push_str("#include \"kiln_kernel.h\"\n#include <aie_api/aie.hpp>\n\n");
        let params: Vec<String> = kernel.params.iter().map(|p| self.declare(p)).collect();
        let head = format!("extern \"C\" void {}(", kernel.name);
        let joined = params.join(", ");
        if head.len() + joined.len() <= 100 {
            let _ = writeln!(self.out, "{head}{joined}) {{");
        } else {
            let indent = " ".repeat(head.len());
            let _ = writeln!(self.out, "{head}{}) {{", params.join(&format!(",\n{indent}")));
        }
        let (rounding, saturation) = (rounding_name(kernel.rounding), saturation_name(kernel.saturation));
        let _ = writeln!(self.out, "    aie::set_rounding(aie::rounding_mode::{rounding});");
        let _ = writeln!(self.out, "    aie::set_saturation(aie::saturation_mode::{saturation});");
    }

    fn declare(&self, p: &Param) -> String {
        let name = self.names.param(p);
        let unused = if self.names.param_used(p) { "" } else { "[[maybe_unused]] " };
        if !p.kind.is_memory() {
            return format!("{unused}int32_t {name}");
        }
        let constant = if p.kind.is_written() { "" } else { "const " };
        format!("{unused}{constant}{} *__restrict {name}", pointer::c_element(p.elem))
    }

    fn block(&mut self, block: BlockId) -> Result<(), CppError> {
        let kernel = self.kernel;
        for &id in &kernel.block(block).ops {
            let op = kernel.op(id);
            match op.opcode {
                Opcode::For => self.for_loop(id, op)?,
                // The enclosing loop prints it.
                Opcode::Yield => {}
                _ => self.statement(id, op)?,
            }
        }
        Ok(())
    }

    fn statement(&mut self, id: OpId, op: &OpData) -> Result<(), CppError> {
        if op.results.first().is_some_and(|&r| self.names.is_literal(r)) {
            return Ok(());
        }
        let kernel = self.kernel;
        let form = form(kernel, op).ok_or_else(|| CppError::NoForm {
            kernel: kernel.name.clone(),
            op: id,
            mnemonic: op.opcode.mnemonic(),
            loc: op.loc.clone(),
        })?;
        let text = self.expand(id, op, form)?;
        match op.results.first() {
            Some(&result) if self.names.is_assignment(result) => {
                self.line(&format!("{} = {};", self.names.value(result), strip_parentheses(&text)));
            }
            Some(&result) => {
                let unused = if self.names.is_used(result) { "" } else { "[[maybe_unused]] " };
                let (ty, name) = (type_name(kernel.ty(result)), self.names.value(result));
                self.line(&format!("{unused}const {ty} {name} = {};", strip_parentheses(&text)));
            }
            None => self.line(&format!("{text};")),
        }
        Ok(())
    }

    /// The element that the op's address points at: that of the vector loaded or stored, else the
    /// parameter's.
    fn accessed(&self, op: &OpData) -> Option<Elem> {
        let address = op.address.as_ref()?;
        let vector = |v: &ValueId| match self.kernel.ty(*v) {
            Type::Vector { elem, .. } => Some(elem),
            _ => None,
        };
        let moved = match spec(op.opcode).effect {
            Effect::Read if op.operands.is_empty() => op.results.first().and_then(vector),
            Effect::Write => op.operands.first().and_then(vector),
            _ => None,
        };
        Some(moved.unwrap_or(self.kernel.param(address.param).elem))
    }

    fn expand(&self, id: OpId, op: &OpData, form: &Form) -> Result<String, CppError> {
        let missing = |placeholder| CppError::Placeholder {
            kernel: self.kernel.name.clone(),
            op: id,
            template: form.cpp,
            placeholder,
            loc: op.loc.clone(),
        };
        template::expand(form.cpp, |c| self.placeholder(c, id, op, form), missing)
    }

    fn placeholder(&self, c: char, id: OpId, op: &OpData, form: &Form) -> Result<Option<String>, CppError> {
        let result = op.results.first().map(|&r| self.kernel.ty(r));
        let lookup = |part: fn(u8, u32) -> String| match op.imm {
            Imm::Lookup { step_log2, bias, .. } => Some(part(step_log2, bias)),
            _ => None,
        };
        Ok(match c {
            '0'..='9' => op.operands.get(c as usize - '0' as usize).map(|&v| self.names.value(v)),
            'i' => match op.imm {
                Imm::Int(value) => Some(literal(value)),
                _ => None,
            },
            'p' => op
                .address
                .as_ref()
                .zip(self.accessed(op))
                .map(|(address, elem)| pointer::expression(self.kernel, &self.names, address, elem)),
            'E' if form.result.and_then(element).is_none() => {
                self.accessed(op).map(|e| pointer::element(e).to_string())
            }
            'q' => match op.imm {
                Imm::Lookup { second, .. } => Some(self.names.param(self.kernel.param(second)).to_string()),
                _ => None,
            },
            'e' => op.address.as_ref().map(|a| {
                let table = self.kernel.param(a.param);
                let bytes = table.bytes() as usize;
                lut::entries(bytes, result.and_then(vector_elem).unwrap_or(table.elem)).to_string()
            }),
            's' => lookup(|step, _| step.to_string()),
            'b' => {
                self.check_bias(id, op)?;
                lookup(|_, bias| bias.to_string())
            }
            _ => template::of_form(form, c),
        })
    }

    /// aie_api takes a bias only with signed indices, and only powers of two (`aie.hpp`, constructors
    /// of `parallel_lookup`).
    fn check_bias(&self, id: OpId, op: &OpData) -> Result<(), CppError> {
        let Imm::Lookup { bias, .. } = op.imm else { return Ok(()) };
        let unsigned = op.operands.first().is_some_and(|&v| vector_elem(self.kernel.ty(v)) == Some(Elem::U8));
        let (wants, help) = if unsigned && bias != 0 {
            ("no bias with unsigned indices", "cast the indices to i8 or shift the table")
        } else if bias != 0 && !bias.is_power_of_two() {
            ("a bias that is a power of two", "pad the table in front")
        } else {
            return Ok(());
        };
        let (kernel, loc) = (self.kernel.name.clone(), op.loc.clone());
        Err(CppError::LookupBias { kernel, op: id, wants, bias, help, loc })
    }

    fn for_loop(&mut self, id: OpId, op: &OpData) -> Result<(), CppError> {
        let kernel = self.kernel;
        let Some(body) = op.body else {
            return Err(CppError::NoForm {
                kernel: kernel.name.clone(),
                op: id,
                mnemonic: op.opcode.mnemonic(),
                loc: op.loc.clone(),
            });
        };
        let (step, hint) = match op.imm {
            Imm::Loop { step, hint } => (step, hint),
            _ => (1, LoopHint::default()),
        };
        let args = &kernel.block(body).args;
        for ((&result, &arg), &init) in op.results.iter().zip(&args[1..]).zip(&op.operands[2..]) {
            // One variable carries the value through the loop and is its result.
            let used = self.names.is_used(result) || self.names.is_used(arg);
            let unused = if used { "" } else { "[[maybe_unused]] " };
            let (ty, name, init) =
                (type_name(kernel.ty(result)), self.names.value(result), self.names.value(init));
            self.line(&format!("{unused}{ty} {name} = {init};"));
        }
        let (lo, hi) = (op.operands[0], op.operands[1]);
        let trips = match (self.names.constant(lo), self.names.constant(hi)) {
            (Some(lo), Some(hi)) => {
                u32::try_from((hi - lo + i64::from(step) - 1) / i64::from(step)).unwrap_or(0)
            }
            _ => 0,
        };
        let min_trips = hint.min_trips.max(trips);
        let plan = self.plans.map(|plans| plans.get(&id).copied().filter(|plan| plan.stages > 1));
        let mut hints = Vec::new();
        if plan.map_or(hint.pipeline, |plan| plan.is_some()) {
            hints.push("KILN_PIPELINE".to_string());
        }
        if hint.compact {
            // Without promised trips: Peano pipelines a loop that promises two whatever else is said.
            hints.push("KILN_COMPACT".to_string());
        } else if hint.unroll {
            hints.push("KILN_UNROLL".to_string());
        } else if min_trips > 0 {
            hints.push(format!("KILN_MIN_TRIPS({min_trips})"));
            if trips > 0 {
                hints.push(format!("KILN_MAX_TRIPS({trips})"));
            }
        }
        if let Some(LoopPlan { interval_cycles, stages }) = plan.flatten() {
            self.line(&format!("// Predicted: {interval_cycles} cycles an iteration, {stages} in flight."));
        }
        if !hints.is_empty() {
            self.line(&hints.join(" "));
        }
        let index = self.names.value(args[0]);
        let (lo, hi) = (self.names.value(lo), self.names.value(hi));
        let next = if step == 1 { format!("++{index}") } else { format!("{index} += {step}") };
        self.line(&format!("for (int32_t {index} = {lo}; {index} < {hi}; {next}) {{"));
        self.depth += 1;
        self.block(body)?;
        self.assign_carried(op, body);
        self.depth -= 1;
        self.line("}");
        Ok(())
    }

    /// The carried variables take their next values, as if all at once.
    fn assign_carried(&mut self, op: &OpData, body: BlockId) {
        let kernel = self.kernel;
        let Some(&end) = kernel.block(body).ops.last() else { return };
        let mut pending: Vec<(String, String)> = Vec::new();
        let mut types = Vec::new();
        for (&result, &next) in op.results.iter().zip(&kernel.op(end).operands) {
            let pair = (self.names.value(result), self.names.value(next));
            if pair.0 != pair.1 {
                pending.push(pair);
                types.push(kernel.ty(result));
            }
        }
        while !pending.is_empty() {
            // One whose old value nobody still needs can go; in a cycle, a copy frees the first.
            let free = (0..pending.len())
                .find(|&i| pending.iter().enumerate().all(|(j, p)| j == i || p.1 != pending[i].0));
            match free {
                Some(i) => {
                    let (to, from) = pending.remove(i);
                    types.remove(i);
                    self.line(&format!("{to} = {from};"));
                }
                None => {
                    let old = pending[0].0.clone();
                    let copy = format!("{old}_old");
                    let ty = type_name(types[0]);
                    self.line(&format!("const {ty} {copy} = {old};"));
                    for p in pending.iter_mut().filter(|p| p.1 == old) {
                        p.1.clone_from(&copy);
                    }
                }
            }
        }
    }
}

fn vector_elem(ty: Type) -> Option<Elem> {
    match ty {
        Type::Vector { elem, .. } => Some(elem),
        _ => None,
    }
}

/// A constant as C++ writes it; the least i32 has no literal of its own.
fn literal(value: i64) -> String {
    if value == i64::from(i32::MIN) { "INT32_MIN".to_string() } else { value.to_string() }
}

/// Without the outer parentheses that a template keeps for use inside expressions.
fn strip_parentheses(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    let mut depth = 0i32;
    for c in inner.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return text;
        }
    }
    inner
}

fn describe(p: &Param) -> String {
    use crate::kernel::Layout;
    let role = match &p.kind {
        ParamKind::I32 => return format!("{}: run-time integer", p.name),
        kind => kind.keyword(),
    };
    let shape = match &p.layout {
        Layout::RowMajor(shape) => {
            format!("[{}]", shape.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
        }
        Layout::Tiled { tile, grid } => {
            format!("[{}, {}] tiles of {}x{}", grid[0], grid[1], tile[0], tile[1])
        }
    };
    format!("{}: {role}, {}{shape}, {}-byte aligned", p.name, p.elem, p.align_bytes)
}

#[cfg(test)]
mod tests;
