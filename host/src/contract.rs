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
mod grants;
mod matching;
mod pattern;
mod reader;
mod show;
mod target;
mod verdict;
pub(crate) mod version;

pub use self::cases::{
    Case, Config, Expectation, Expected, Fault, Job, JobExpected, Step, Suite, SuiteError, SuiteErrors, Text, Times,
    Work,
};
pub use self::check::check;
pub use self::finding::{Code, Finding, Report, Severity};
pub use self::matching::{Difference, shown};
pub use self::pattern::{Call, Node, Wrong};
pub use self::target::{BUILT_IN, Target};
pub use self::verdict::{Problem, Seen, Status, Verdict, junit, update};

/// The name that was probably meant, if one is near enough.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.chars().count() / 3).clamp(1, 3);
    let length = name.chars().take(MAX_NAME).count();
    // A name that is longer or shorter by more than that is further away, and needn't be compared to know it.
    let known = known.take(MAX_KNOWN).filter(|known| known.chars().take(MAX_NAME).count().abs_diff(length) <= most);
    let near = known.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

/// How many characters must be changed, added or removed to get from one name to another.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(MAX_NAME).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().take(MAX_NAME).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, b) in row.iter().skip(1).zip(&other) {
            left = (diagonal + usize::from(a != *b)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
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
        assert_eq!(nearest("rnu", known.into_iter()), None);
        assert_eq!(nearest("ran", known.into_iter()), Some("run"));
        assert_eq!(nearest("", [].into_iter()), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("same", "same")), (3, 3, 0));
    }
}
