//! Contracts as data: does a component fit a world, and does it do what its cases say. Pure.
//!
//! [`check`] compares a component's own types with a world's and finds everything that is wrong at once. It compiles
//! and runs nothing. Both sides are read by the same parser and validator that the engine's tools use, and tests hold
//! its verdict against the engine's linker and against `wit_component::targets`.
//!
//! Threat model: the component is hostile bytes. Its types share their parts, so every pair of types is looked at once
//! however often it is reached; names are looked up in tables; a check ends with the 500th error; and every text that is
//! shown is bounded. So a check takes about as long as reading the component. What a finding says is the component's own
//! word and must not decide what a guest may do: that is the policy's and the linker's business.

mod cases;
mod check;
mod compare;
mod finding;
mod forward;
mod generate;
mod grants;
mod matching;
mod pattern;
mod reader;
mod sample;
mod show;
mod shrink;
mod target;
mod update;
mod verdict;
pub(crate) mod version;
pub(crate) mod wave;

pub use self::cases::{
    Case, Config, Expectation, Expected, Fault, Job, JobExpected, Program, Step, StepCall, Suite, SuiteError,
    SuiteErrors, Text, Times, Work, Written,
};
pub use self::check::check;
pub use self::finding::{Code, Finding, Report, Severity};
pub(crate) use self::forward::{Path, forwarder};
pub(crate) use self::generate::{inputs, smallest};
pub use self::matching::Difference;
pub use self::pattern::{Call, Node, Wrong};
pub(crate) use self::sample::Sample;
pub(crate) use self::shrink::smaller_arguments;
pub use self::target::{BUILT_IN, Target};
pub(crate) use self::update::toml;
pub use self::update::{Updated, update};
pub use self::verdict::{Problem, Seen, Status, Verdict, junit};
pub(crate) use self::wave::escape_quoted;
pub use self::wave::shown;

/// The name that was probably meant, if one is near enough.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.chars().count() / 3).clamp(1, 3);
    let length = name.chars().take(MAX_NAME).count();
    // A name that is longer or shorter by more than that is further away, and needn't be compared to know it.
    let known = known.take(MAX_KNOWN).filter(|known| known.chars().take(MAX_NAME).count().abs_diff(length) <= most);
    let near = known.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

/// How many characters must be changed, added, removed or swapped with the next one to get from one name to another.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(MAX_NAME).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // The row before the last one, and its character: what a swap goes back to.
    let (mut earlier, mut previous): (Vec<usize>, Option<char>) = (Vec::new(), None);
    for (i, a) in one.chars().take(MAX_NAME).enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&row, j) + usize::from(a != *b)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let before = j.checked_sub(1).and_then(|before| other.get(before));
            if previous == Some(*b) && before == Some(&a) {
                least = least.min(at(&earlier, j - 1) + 1);
            }
            next.push(least);
        }
        earlier = std::mem::replace(&mut row, next);
        previous = Some(a);
    }
    row.last().copied().unwrap_or_default()
}

/// Characters of a name that are compared: a component chooses its names, and comparing takes time.
const MAX_NAME: usize = 200;

/// Names among which a near one is looked for: a component has as many as it likes.
const MAX_KNOWN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["echo-point", "echo-points", "run"];
        assert_eq!(nearest("echo-pint", known.into_iter()), Some("echo-point"));
        assert_eq!(nearest("echopoints", known.into_iter()), Some("echo-points"));
        assert_eq!(nearest("rnu", known.into_iter()), Some("run"));
        assert_eq!(nearest("nru", known.into_iter()), None);
        assert_eq!(nearest("nmae", ["name", "date"].into_iter()), Some("name"));
        assert_eq!(nearest("ran", known.into_iter()), Some("run"));
        assert_eq!(nearest("", [].into_iter()), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("same", "same")), (3, 3, 0));
        assert_eq!((distance("ab", "ba"), distance("abcd", "badc"), distance("ca", "abc")), (1, 2, 3));
    }
}
