//! What the pictures share: a size with its content, and numbers and names as people read them.

use maud::{Markup, PreEscaped, html};

/// Colours and strokes, in light and in dark; the page uses it too.
pub(super) const STYLE: &str = include_str!("style.css");

/// A drawing of a size in pixels.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// Width and height.
    pub size: (f64, f64),
    /// What it shows, for who cannot see it.
    pub label: String,
    /// The elements.
    pub content: Markup,
}

/// The picture inside a page, as wide as there is room.
pub(super) fn inline(picture: &Picture) -> Markup {
    let (width, height) = picture.size;
    html! {
        svg.picture viewBox=(format!("0 0 {width} {height}")) style=(format!("max-width:{width}px")) role="group" aria-label=(picture.label) {
            (picture.content)
        }
    }
}

/// The picture as a file.
pub(super) fn document(picture: &Picture) -> String {
    let (width, height) = picture.size;
    let body = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(picture.label) {
            style { (PreEscaped(STYLE)) }
            rect.paper width=(width) height=(height) {}
            (picture.content)
        }
    };
    body.into_string()
}

/// A number with its thousands apart.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// At most `most` characters of a name, with its middle left out where it is longer.
pub(super) fn shortened(name: &str, most: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = (most.saturating_sub(1) / 2, most.saturating_sub(1).div_ceil(2));
    let ends = [&chars[..head], &['…'], &chars[chars.len() - tail..]];
    ends.concat().into_iter().collect()
}

/// A share as whole per cent.
pub(super) fn percent(part: u64, whole: u64) -> String {
    format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A name as the id of an element: letters, digits and `_`; others become `-` and their number.
pub(super) fn id(prefix: &str, name: &str) -> String {
    name.chars().fold(format!("{prefix}-"), |mut id, c| {
        if c.is_ascii_alphanumeric() || c == '_' {
            id.push(c);
        } else {
            id.push_str(&format!("-{:x}", c as u32));
        }
        id
    })
}
