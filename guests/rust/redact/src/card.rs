//! Payment card numbers: 13 to 19 digits that pass the Luhn check, together or with single separators.

use crate::bytes::{Bytes, is_alnum, is_digit};

const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// The longest card number at `i`, as its end.
pub(crate) fn matches(text: Bytes<'_>, i: usize) -> Option<usize> {
    if !is_digit(text.at(i)) || is_alnum(text.before(i, 1)) {
        return None;
    }
    // Each digit with the position after it.
    let mut digits = [(0_u8, 0_usize); LONGEST];
    let mut count = 0;
    let mut next = i;
    let mut separator = None;
    for slot in &mut digits {
        if count > 0 && !is_digit(text.at(next)) {
            let byte = text.at(next);
            let fits = matches!(byte, b' ' | b'-') && separator.is_none_or(|separator| separator == byte);
            if !fits || !is_digit(text.at(next + 1)) {
                break;
            }
            separator = Some(byte);
            next += 1;
        }
        *slot = (text.at(next) - b'0', next + 1);
        count += 1;
        next += 1;
    }
    (SHORTEST..=count).rev().find_map(|length| {
        let number = digits.get(..length)?;
        let &(_, end) = number.last()?;
        (!is_alnum(text.at(end)) && passes_luhn(number)).then_some(end)
    })
}

/// Whether the check digit at the end is right.
fn passes_luhn(number: &[(u8, usize)]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(k, &(digit, _))| u32::from(if k % 2 == 1 { doubled(digit) } else { digit }))
        .sum();
    sum.is_multiple_of(10)
}
