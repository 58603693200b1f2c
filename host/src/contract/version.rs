//! Which versions of an interface stand for each other, as the engine's linker has it.

use std::collections::HashMap;

/// An interface's name without its version, and the version.
pub(crate) fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)))
}

/// Whether the linker takes one name for the other: the same, or the same interface in versions that promise to be
/// compatible. That is the same major version, below 1.0 the same minor version, and nothing below 0.1. A pre-release
/// is compatible with itself alone.
pub(super) fn compatible(one: &str, other: &str) -> bool {
    one == other || track(one).is_some_and(|track_of_one| Some(track_of_one) == track(other))
}

/// An interface, and the numbers that its compatible versions share.
type Track<'n> = (&'n str, u64, u64);

/// The three numbers of a version.
type Release = (u64, u64, u64);

/// What all compatible versions of an interface have in common.
fn track(name: &str) -> Option<Track<'_>> {
    let (name, version) = split(name);
    match release(version?)? {
        (0, 0, _) => None,
        (0, minor, _) => Some((name, 0, minor)),
        (major, _, _) => Some((name, major, 0)),
    }
}

/// The three numbers of a version that is no pre-release.
fn release(version: &str) -> Option<Release> {
    // What follows a plus sign says how it was built and not what it is.
    let mut parts = version.split('+').next()?.split('.').map(|part| part.parse().ok());
    let numbers = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(numbers)
}

/// Of names that are known, the one that the linker takes for this: the same, else the latest compatible one.
pub(crate) fn find<'n>(wanted: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let known: Vec<&str> = known.filter(|name| compatible(wanted, name)).collect();
    let exact = known.iter().find(|name| **name == wanted).copied();
    exact.or_else(|| known.into_iter().max_by_key(|name| split(name).1.and_then(release)))
}

/// Names by what the linker looks for, so that a name among many is found in one step and not by looking at each.
pub(super) struct Names<'n, T> {
    exact: HashMap<&'n str, T>,
    /// The latest version of those that are compatible with each other.
    latest: HashMap<Track<'n>, (Release, &'n str)>,
    /// The first version of each interface, whichever that is.
    first: HashMap<&'n str, &'n str>,
}

impl<'n, T: Copy> Names<'n, T> {
    pub(super) fn new(items: impl Iterator<Item = (&'n str, T)>) -> Self {
        let mut names = Self { exact: HashMap::new(), latest: HashMap::new(), first: HashMap::new() };
        for (name, item) in items {
            names.exact.entry(name).or_insert(item);
            let (interface, version) = split(name);
            if interface.contains('/') {
                names.first.entry(interface).or_insert(name);
            }
            if let (Some(track), Some(release)) = (track(name), version.and_then(release)) {
                let latest = names.latest.entry(track).or_insert((release, name));
                if release >= latest.0 {
                    *latest = (release, name);
                }
            }
        }
        names
    }

    /// What the linker takes for a name, as [`find`] has it.
    pub(super) fn find(&self, wanted: &str) -> Option<T> {
        let exact = self.exact.get(wanted).copied();
        exact.or_else(|| track(wanted).and_then(|track| self.exact.get(self.latest.get(&track)?.1).copied()))
    }

    /// The same interface at any version.
    pub(super) fn any_version(&self, wanted: &str) -> Option<&'n str> {
        self.first.get(split(wanted).0).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compatible_as_the_linker_has_it() {
        let yes = [("a:b/c", "a:b/c"), ("a:b/c@0.1.0", "a:b/c@0.1.9"), ("a:b/c@1.2.0", "a:b/c@1.9.1")];
        let yes = yes.into_iter().chain([("a:b/c@0.2.0-rc.1", "a:b/c@0.2.0-rc.1"), ("a:b/c@0.0.1", "a:b/c@0.0.1")]);
        let yes = yes.chain([("a:b/c@1.0.0+x.y", "a:b/c@1.2.0")]);
        for (one, other) in yes {
            assert!(compatible(one, other), "{one} {other}");
        }
        let no = [
            ("a:b/c@0.1.0", "a:b/c@0.2.0"),
            ("a:b/c@1.0.0", "a:b/c@2.0.0"),
            ("a:b/c@0.0.1", "a:b/c@0.0.2"),
            ("a:b/c@0.2.0-rc.1", "a:b/c@0.2.0"),
            ("a:b/c", "a:b/c@0.1.0"),
            ("a:b/c@0.1.0", "a:b/d@0.1.0"),
        ];
        for (one, other) in no {
            assert!(!compatible(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_same_version_is_preferred_to_the_latest() {
        let known = ["a:b/c@0.2.3", "a:b/c@0.2.10", "a:b/c@0.2.9", "a:b/c@0.3.0"];
        assert_eq!(find("a:b/c@0.2.9", known.into_iter()), Some("a:b/c@0.2.9"));
        assert_eq!(find("a:b/c@0.2.0", known.into_iter()), Some("a:b/c@0.2.10"));
        assert_eq!(find("a:b/c@0.4.0", known.into_iter()), None);
    }

    #[test]
    fn a_table_of_names_finds_what_a_look_at_each_name_finds() {
        let known = ["a:b/c@0.2.3", "f", "a:b/c@0.2.10", "a:b/c@0.2.10+x", "a:b/c@0.3.0-rc.1", "a:b/c@1.0.0", "a:b/d"];
        let names = Names::new(known.into_iter().map(|name| (name, name)));
        let wanted = ["a:b/c@0.2.9", "a:b/c@0.2.3", "a:b/c@0.3.0", "a:b/c@0.3.0-rc.1", "a:b/c@1.9.0", "a:b/c@0.2.10+y"];
        for wanted in wanted.into_iter().chain(["a:b/c", "a:b/d", "a:b/d@0.1.0", "f", "g", "f@1.0.0", "a:b/c@0.0.1"]) {
            assert_eq!(names.find(wanted), find(wanted, known.into_iter()), "{wanted}");
        }
        assert_eq!(names.any_version("a:b/c@7.0.0"), Some("a:b/c@0.2.3"));
        assert_eq!((names.any_version("f@1.0.0"), names.any_version("a:b/e")), (None, None));
    }
}
