//! Text that a guest chose, made safe to show: it can neither end a line nor drive a terminal.

use std::fmt::Write as _;

/// The text with everything escaped that could end a line, drive a terminal or turn the reading direction.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Writing to a string can't fail.
            c if c.is_control() || is_format(c) => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

/// Line and paragraph separators, direction marks, overrides and isolates, and invisible characters.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text that takes so many bytes and no more: writing past that is an error, which ends whatever is being written.
pub(crate) struct Bounded {
    pub(crate) text: String,
    max: usize,
}

impl Bounded {
    pub(crate) fn new(max: usize) -> Self {
        Self { text: String::new(), max }
    }
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let room = self.max.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or_default());
        self.text.push('…');
        self.max = 0;
        Err(std::fmt::Error)
    }
}

/// The text with every control character escaped but line feeds: the last net under a message that is made of several
/// lines on purpose. Names that a guest chose go through [`escape`] before they become part of one.
pub(crate) fn escape_lines(text: &str) -> String {
    if !text.chars().any(|c| c != '\n' && (c.is_control() || is_format(c))) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Writing to a string can't fail.
            c if c != '\n' && (c.is_control() || is_format(c)) => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_can_neither_forge_a_line_nor_drive_a_terminal() {
        let forged = "ok\n2026-01-01 ERROR host: \u{1b}[2J\r\0\u{202e}\u{9b}31m";
        let safe = escape(forged);
        assert!(!safe.chars().any(|c| c.is_control() || is_format(c)), "{safe}");
        assert_eq!(escape("a\nb"), "a\\nb");
        assert_eq!(escape("größe 日本 🦀"), "größe 日本 🦀");
        assert_ne!(escape("\\n"), escape("\n"));
    }
}
