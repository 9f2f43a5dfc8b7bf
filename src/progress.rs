//! Progress bars of long commands: on a terminal; elsewhere indicatif draws nothing.

use indicatif::{ProgressBar, ProgressStyle};

/// Of work whose steps are as yet uncounted, under one message.
pub fn steps(message: &'static str) -> ProgressBar {
    bar(1, "{bar:30} {pos}/{len} {msg} ({elapsed})").with_message(message)
}

/// Of the dispatches of an encoding, each with its name as the message.
pub fn dispatches(count: usize) -> ProgressBar {
    bar(count, "{bar:30} {pos}/{len} {msg} ({elapsed}, {eta} left)")
}

fn bar(len: usize, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len as u64).with_style(style)
}
