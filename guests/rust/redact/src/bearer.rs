//! Bearer tokens: `Bearer <credential>`, the scheme of RFC 6750, in headers, command lines and prose.

use crate::bytes::{Bytes, is_alnum};

/// A credential shorter than this counts only in an `Authorization` header: prose has bearers of bad news.
const SHORTEST_IN_PROSE: usize = 16;

/// The credential after a `Bearer` at `i`, as its start and its end.
pub(crate) fn matches(text: Bytes<'_>, i: usize) -> Option<(usize, usize)> {
    if is_alnum(text.before(i, 1)) || !text.has_word(i, "bearer") {
        return None;
    }
    let scheme_end = i + "bearer".len();
    let start = text.run(scheme_end, is_blank);
    if start == scheme_end {
        return None;
    }
    let end = text.run(start, is_credential);
    let length = end - start;
    let enough = length >= SHORTEST_IN_PROSE || (length >= 1 && in_authorization(text, i));
    enough.then_some((start, end))
}

/// Whether what stands before `i` is `authorization`, with nothing but a colon, quotes and the like in between.
fn in_authorization(text: Bytes<'_>, i: usize) -> bool {
    let word = "authorization";
    let name_end = text.run_back(i, is_lead);
    name_end.checked_sub(word.len()).is_some_and(|start| text.has_word(start, word))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_credential(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

fn is_lead(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'"' | b'\'' | b':' | b'=')
}
