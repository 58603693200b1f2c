//! Sizes and durations as people write them: `64MiB`, `500ms`.
//!
//! A size without a unit is a number of bytes; a duration without a unit is an error, since `5` could be
//! milliseconds to one reader and seconds to the next. Fractions (`1.5GiB`) are deliberately absent: they make two
//! spellings of one limit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

/// A number of bytes.
///
/// ```
/// use host::policy::Bytes;
/// assert_eq!("64MiB".parse::<Bytes>().unwrap(), Bytes::from_mib(64));
/// assert_eq!(Bytes::from_mib(64).to_string(), "64MiB");
/// assert!("64Mib".parse::<Bytes>().unwrap_err().to_string().contains("unknown unit"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Bytes(pub u64);

/// A span of time.
///
/// ```
/// use host::policy::Span;
/// assert_eq!("1500ms".parse::<Span>().unwrap(), Span::from_millis(1500));
/// assert!("5".parse::<Span>().unwrap_err().to_string().contains("needs a unit"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Why a size or a duration could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number at the front.
    #[error("`{0}` does not begin with a whole number")]
    NoNumber(String),
    /// A duration without a unit.
    #[error("`{0}` needs a unit: one of {1}")]
    NoUnit(String, &'static str),
    /// A unit that does not exist.
    #[error("unknown unit `{0}`: use one of {1}")]
    UnknownUnit(String, &'static str),
    /// The number does not fit 64 bits in the base unit.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

const SIZE_UNITS: &str = "B, KiB, MiB, GiB, kB, MB, GB";
const TIME_UNITS: &str = "ns, us, ms, s, m, h";

impl Bytes {
    /// So many mebibytes.
    pub const fn from_mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// So many kibibytes.
    pub const fn from_kib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 10))
    }
}

impl Span {
    /// Longer than anything lasts.
    pub const UNLIMITED: Self = Self(Duration::from_nanos(u64::MAX));

    /// So many milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// Nanoseconds, at most `u64::MAX` of them.
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let scale: u64 = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(UnitError::UnknownUnit(unit.to_owned(), SIZE_UNITS)),
        };
        number.checked_mul(scale).map(Self).ok_or_else(|| UnitError::TooLarge(text.to_owned()))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(UnitError::NoUnit(text.to_owned(), TIME_UNITS)),
            _ => return Err(UnitError::UnknownUnit(unit.to_owned(), TIME_UNITS)),
        };
        let total = number.checked_mul(nanos).ok_or_else(|| UnitError::TooLarge(text.to_owned()))?;
        Ok(Self(Duration::from_nanos(total)))
    }
}

/// The largest unit that divides the value, so that what is printed can be read back to the same value.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(scale, _)| self.0 >= *scale && self.0.is_multiple_of(*scale)) {
            Some((scale, unit)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos();
        let units = [(1_000_000_000u64, "s"), (1_000_000, "ms"), (1_000, "us")];
        match units.iter().find(|(scale, _)| nanos >= *scale && nanos.is_multiple_of(*scale)) {
            Some((scale, unit)) => write!(f, "{}{unit}", nanos / scale),
            None => write!(f, "{nanos}ns"),
        }
    }
}

fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::NoNumber(text.to_owned()));
    }
    let number = digits.parse().map_err(|_| UnitError::TooLarge(text.to_owned()))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_to_the_same_value() {
        for n in [0, 1, 1023, 1024, 1025, 1 << 20, (1 << 20) + 1, 3 << 30, u64::MAX] {
            assert_eq!(Bytes(n).to_string().parse::<Bytes>(), Ok(Bytes(n)));
        }
        for n in [0u64, 1, 999, 1_000, 1_000_001, 60_000_000_000] {
            let span = Span(Duration::from_nanos(n));
            assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }
    }

    #[test]
    fn wrong_units_are_errors_that_name_the_right_ones() {
        assert_eq!("5MB".parse(), Ok(Bytes(5_000_000)));
        assert!("5mb".parse::<Bytes>().unwrap_err().to_string().contains("MiB"));
        assert!("5".parse::<Span>().unwrap_err().to_string().contains("ms"));
        assert!("-5s".parse::<Span>().is_err());
        assert!("".parse::<Bytes>().is_err());
        assert!("1.5GiB".parse::<Bytes>().is_err());
        assert!("99999999999999999999".parse::<Bytes>().is_err());
        assert!("18446744073709551615KiB".parse::<Bytes>().is_err());
    }
}
