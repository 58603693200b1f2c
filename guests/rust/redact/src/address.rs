//! IPv4 addresses in dotted decimals, and IPv6 addresses in all forms of RFC 4291: full, with `::`, with an IPv4
//! address at the end.

use crate::bytes::{Bytes, is_alnum, is_digit, is_hex};

/// The IPv4 address at `i`, as its end.
pub(crate) fn matches_v4(text: Bytes<'_>, i: usize) -> Option<usize> {
    let before = text.before(i, 1);
    if is_alnum(before) || (before == b'.' && is_digit(text.before(i, 2))) {
        return None;
    }
    let end = quad(text, i)?;
    (!is_alnum(text.at(end)) && !has_fraction(text, end)).then_some(end)
}

/// The IPv6 address at `i`, as its end.
pub(crate) fn matches_v6(text: Bytes<'_>, i: usize) -> Option<usize> {
    if !can_start_v6(text, i) {
        return None;
    }
    let mut groups = 0;
    let mut short = text.at(i) == b':';
    let mut p = if short { i + 2 } else { i };
    while !(short && groups == 7) {
        let has_room_for_quad = if short { groups <= 5 } else { groups == 6 };
        if has_room_for_quad && let Some(end) = quad(text, p) {
            p = end;
            groups += 2;
            break;
        }
        let Some(end) = group(text, p) else { break };
        p = end;
        groups += 1;
        if groups == 8 || text.at(p) != b':' {
            break;
        }
        if text.at(p + 1) == b':' && !short {
            short = true;
            p += 2;
        } else if group(text, p + 1).is_some() {
            p += 1;
        } else {
            break;
        }
    }
    let is_whole = if short { (1..=7).contains(&groups) } else { groups == 8 };
    let goes_on = text.at(p) == b':' && (text.at(p + 1) == b':' || group(text, p + 1).is_some());
    (is_whole && !is_alnum(text.at(p)) && !goes_on && !has_fraction(text, p)).then_some(p)
}

/// Whether an IPv6 address may start at `i`, judged by what stands there and before it.
fn can_start_v6(text: Bytes<'_>, i: usize) -> bool {
    let before = text.before(i, 1);
    if is_alnum(before) {
        return false;
    }
    if text.at(i) == b':' {
        return text.at(i + 1) == b':' && before != b':';
    }
    if group(text, i).is_none() {
        return false;
    }
    if before != b':' {
        return true;
    }
    // `i` is in the middle of something with colons; a name such as in `source:fe80::1` is fine, a group isn't.
    if text.before(i, 2) == b':' {
        return false;
    }
    let run = (2..=6).take_while(|&distance| is_alnum(text.before(i, distance))).count();
    let is_group = (1..=4).contains(&run) && (2..2 + run).all(|distance| is_hex(text.before(i, distance)));
    !is_group
}

/// Where the group at `position` ends: one to four hexadecimal digits that nothing alphanumeric follows.
fn group(text: Bytes<'_>, position: usize) -> Option<usize> {
    let length = (0..5).take_while(|&k| is_hex(text.at(position + k))).count();
    let end = position + length;
    ((1..=4).contains(&length) && !is_alnum(text.at(end))).then_some(end)
}

/// Where the four decimal octets at `position` end.
fn quad(text: Bytes<'_>, position: usize) -> Option<usize> {
    let mut p = octet(text, position)?;
    for _ in 0..3 {
        if text.at(p) != b'.' {
            return None;
        }
        p = octet(text, p + 1)?;
    }
    Some(p)
}

/// Where the number of at most three digits and at most 255 at `position` ends.
fn octet(text: Bytes<'_>, position: usize) -> Option<usize> {
    let length = (0..4).take_while(|&k| is_digit(text.at(position + k))).count();
    let value = (0..length).fold(0, |value, k| value * 10 + u32::from(text.at(position + k) - b'0'));
    ((1..=3).contains(&length) && value <= 255).then_some(position + length)
}

/// Whether the text goes on at `position` with a dot and a digit, so that a number before it is not yet complete.
fn has_fraction(text: Bytes<'_>, position: usize) -> bool {
    text.at(position) == b'.' && is_digit(text.at(position + 1))
}
