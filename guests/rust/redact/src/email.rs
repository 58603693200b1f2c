//! E-mail addresses: a local part without quotes, `@`, and a domain of at least two labels.

use crate::bytes::{Bytes, is_alnum, is_letter};

/// Finds e-mail addresses in one pass from left to right.
///
/// It remembers how far it has looked in vain: a local run that is no address from its start is none from its middle
/// either. Without that, a long run that another kind matches parts of would be read again after each of them.
#[derive(Default)]
pub(crate) struct Finder {
    tried: usize,
}

impl Finder {
    /// The address at `i`, as its end. To be called with growing `i`.
    pub(crate) fn matches(&mut self, text: Bytes<'_>, i: usize) -> Option<usize> {
        if i < self.tried || !is_local(text.at(i)) {
            return None;
        }
        let local_end = text.run(i, is_local);
        let end = if text.at(local_end) == b'@' { domain(text, local_end + 1) } else { None };
        if end.is_none() {
            self.tried = local_end;
        }
        end
    }
}

/// Where the longest domain that starts at `position` ends: its last label starts with a letter and has two bytes.
fn domain(text: Bytes<'_>, position: usize) -> Option<usize> {
    let mut end = None;
    let mut start = position;
    let mut is_first = true;
    while is_alnum(text.at(start)) {
        let label_end = label(text, start);
        if !is_first && is_letter(text.at(start)) && label_end - start >= 2 {
            end = Some(label_end);
        }
        if text.at(label_end) != b'.' {
            break;
        }
        start = label_end + 1;
        is_first = false;
    }
    end
}

/// Where the label that starts at `start` ends. Hyphens belong to it only in its middle.
fn label(text: Bytes<'_>, start: usize) -> usize {
    let mut end = text.run(start, is_alnum);
    loop {
        let after_hyphens = text.run(end, |byte| byte == b'-');
        if after_hyphens == end || !is_alnum(text.at(after_hyphens)) {
            return end;
        }
        end = text.run(after_hyphens, is_alnum);
    }
}

fn is_local(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}
