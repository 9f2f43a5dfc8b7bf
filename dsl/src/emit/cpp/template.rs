//! Filling the C++ templates of the op table.

use super::names::{element, type_name};
use crate::kernel::Type;
use crate::kernel::ops::Form;

/// `template` with every `$x` replaced by what `part('x')` gives.
///
/// # Errors
/// What `part` returns, or `missing('x')` where it knows no such placeholder.
pub(crate) fn expand<E>(
    template: &str,
    mut part: impl FnMut(char) -> Result<Option<String>, E>,
    missing: impl FnOnce(char) -> E,
) -> Result<String, E> {
    let mut text = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        if c != '$' {
            text.push(c);
            continue;
        }
        let placeholder = rest.next().unwrap_or('$');
        match part(placeholder)? {
            Some(filled) => text.push_str(&filled),
            None => return Err(missing(placeholder)),
        }
    }
    Ok(text)
}

/// The placeholders that a form's types and shape determine.
pub(crate) fn of_form(form: &Form, placeholder: char) -> Option<String> {
    let result = form.result;
    let dimension = |i: usize| form.shape.map(|s| s[i].to_string());
    match placeholder {
        'T' => result.map(type_name),
        'E' => result.and_then(element).map(str::to_string),
        'N' => result.map(|t: Type| t.lanes().to_string()),
        'I' => form.operands.first().and_then(|&t| element(t)).map(str::to_string),
        'M' => dimension(0),
        'K' => dimension(1),
        'L' => dimension(2),
        _ => None,
    }
}
