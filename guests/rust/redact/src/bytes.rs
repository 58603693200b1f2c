//! The input as the specification sees it: bytes that can be asked for at any position, and classes of bytes.

/// The input. Reading before its start or past its end gives 0, which is in no class, so that no match needs to check
/// for the ends.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    /// The byte at `position`.
    pub(crate) fn at(self, position: usize) -> u8 {
        self.0.get(position).copied().unwrap_or(0)
    }

    /// The byte `distance` before `position`.
    pub(crate) fn before(self, position: usize, distance: usize) -> u8 {
        position.checked_sub(distance).map_or(0, |position| self.at(position))
    }

    /// Where the run of bytes of one class that starts at `position` ends.
    pub(crate) fn run(self, position: usize, class: impl Fn(u8) -> bool) -> usize {
        let rest = self.0.get(position..).unwrap_or_default();
        position + rest.iter().take_while(|&&byte| class(byte)).count()
    }

    /// Where the run of bytes of one class that ends just before `position` starts.
    pub(crate) fn run_back(self, position: usize, class: impl Fn(u8) -> bool) -> usize {
        let rest = self.0.get(..position).unwrap_or_default();
        position - rest.iter().rev().take_while(|&&byte| class(byte)).count()
    }

    /// Whether `word` stands at `position`, in any mixture of upper and lower case.
    pub(crate) fn has_word(self, position: usize, word: &str) -> bool {
        let found = self.0.get(position..position.saturating_add(word.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    }
}

pub(crate) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

pub(crate) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

pub(crate) fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

pub(crate) fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}
