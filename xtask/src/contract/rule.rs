//! What can change in a contract: one closed list of rules, whom each breaks, and the version that is due.

use std::fmt;

use wit_parser::PackageName;

/// A kind of change. The names are stable: people look them up in docs/contract.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    WorldRemoved,
    WorldAdded,
    ImportRemoved,
    ImportAdded,
    ExportRemoved,
    ExportAdded,
    ForeignVersionBroken,
    ForeignVersionChanged,
    InterfaceRemoved,
    InterfaceAdded,
    FunctionRemoved,
    FunctionRenamed,
    FunctionAdded,
    RequiredFunctionAdded,
    ParamsChanged,
    ResultChanged,
    AsyncChanged,
    TypeChanged,
    OwnershipChanged,
    FieldRemoved,
    FieldAdded,
    FieldsReordered,
    CaseRemoved,
    CaseAdded,
    CasesReordered,
    FlagRemoved,
    FlagAdded,
    FlagsReordered,
    TypeRemoved,
    TypeAdded,
    ResourceRemoved,
    ResourceAdded,
    SinceMissing,
    SinceWrong,
    SinceChanged,
    VersionNotRaised,
}

/// Who is broken by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    /// Components that were built against the release: today's host can't run them any more.
    Guest,
    /// Hosts of the release: they can't run a guest that is built today.
    Host,
    /// The sources of guests, when they are built again.
    Source,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Somebody who did nothing wrong is broken by it.
    Breaking,
    /// What is written in the WIT isn't so, or a version is due.
    Mistake,
    /// Nobody is broken; only hosts of the release lack what is new.
    Additive,
}

/// One change that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) rule: Rule,
    /// Where in the contract: the interface or world, the item, the path in it.
    pub(crate) place: String,
    /// What changed, in a sentence.
    pub(crate) message: String,
    /// Whom it breaks; nobody where it is additive.
    pub(crate) breaks: Vec<Reader>,
}

/// The three numbers of a version, and the word of a pre-release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: (u64, u64, u64),
    pre: String,
}

use Rule as R;

impl Rule {
    /// All of them, in the order of the documentation.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        R::WorldRemoved,
        R::WorldAdded,
        R::ImportRemoved,
        R::ImportAdded,
        R::ExportRemoved,
        R::ExportAdded,
        R::ForeignVersionBroken,
        R::ForeignVersionChanged,
        R::InterfaceRemoved,
        R::InterfaceAdded,
        R::FunctionRemoved,
        R::FunctionRenamed,
        R::FunctionAdded,
        R::RequiredFunctionAdded,
        R::ParamsChanged,
        R::ResultChanged,
        R::AsyncChanged,
        R::TypeChanged,
        R::OwnershipChanged,
        R::FieldRemoved,
        R::FieldAdded,
        R::FieldsReordered,
        R::CaseRemoved,
        R::CaseAdded,
        R::CasesReordered,
        R::FlagRemoved,
        R::FlagAdded,
        R::FlagsReordered,
        R::TypeRemoved,
        R::TypeAdded,
        R::ResourceRemoved,
        R::ResourceAdded,
        R::SinceMissing,
        R::SinceWrong,
        R::SinceChanged,
        R::VersionNotRaised,
    ];

    /// The rule's name: the variant's, with hyphens.
    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(c.to_lowercase());
        }
        name
    }

    pub(crate) fn effect(self) -> Effect {
        match self {
            R::SinceMissing | R::SinceWrong | R::SinceChanged | R::VersionNotRaised => Effect::Mistake,
            R::WorldAdded
            | R::ImportAdded
            | R::ForeignVersionChanged
            | R::InterfaceAdded
            | R::FunctionAdded
            | R::TypeAdded
            | R::ResourceAdded => Effect::Additive,
            _ => Effect::Breaking,
        }
    }

    /// What to do instead.
    pub(crate) fn fix(self) -> &'static str {
        match self {
            R::WorldRemoved | R::InterfaceRemoved | R::TypeRemoved | R::ResourceRemoved => "put it back",
            R::ImportRemoved | R::FunctionRemoved => {
                "put it back; a host that won't do it any more can answer with an error"
            }
            R::FunctionRenamed => "put the old name back beside the new one",
            R::ExportRemoved => "put it back: hosts of the release call it",
            R::ExportAdded => "make a world of its own for guests that have it, and leave this one as it was",
            R::RequiredFunctionAdded => {
                "put it into an interface of its own, which only a new world asks for, and leave this one as it was"
            }
            R::ForeignVersionBroken => "keep the old version beside the new one",
            R::ParamsChanged | R::ResultChanged | R::AsyncChanged => {
                "leave the function as it was, and add one with another name"
            }
            R::TypeChanged
            | R::OwnershipChanged
            | R::FieldRemoved
            | R::FieldAdded
            | R::FieldsReordered
            | R::CaseRemoved
            | R::CaseAdded
            | R::CasesReordered
            | R::FlagRemoved
            | R::FlagAdded
            | R::FlagsReordered => {
                "leave the type as it was, and add one with another name and a function that takes it"
            }
            R::SinceMissing => "say since which version, with `@since(version = …)`",
            R::SinceWrong => "name the version of the package that is the first to have it",
            R::SinceChanged => "put the version back that the release has",
            R::VersionNotRaised => "raise the version of the package in wit/world.wit",
            R::WorldAdded
            | R::ImportAdded
            | R::ForeignVersionChanged
            | R::InterfaceAdded
            | R::FunctionAdded
            | R::TypeAdded
            | R::ResourceAdded => "nothing: hosts of the release lack it, and say so to a guest that needs it",
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guest => "guests that were built against it",
            Self::Host => "hosts of that version",
            Self::Source => "sources of guests",
        })
    }
}

impl Version {
    pub(crate) fn of(name: &PackageName) -> Option<Self> {
        let version = name.version.as_ref()?;
        Some(Self { numbers: (version.major, version.minor, version.patch), pre: version.pre.to_string() })
    }

    /// Reads `1.2.3` or `1.2.3-pre`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let numbers = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then(|| Self { numbers, pre: pre.to_owned() })
    }

    /// Whether guests of one run on a host of the other, as the engine's linker has it.
    pub(crate) fn compatible(&self, other: &Self) -> bool {
        self == other || (self.track().is_some() && self.track() == other.track())
    }

    fn track(&self) -> Option<(u64, u64)> {
        match self.numbers {
            _ if !self.pre.is_empty() => None,
            (0, 0, _) => None,
            (0, minor, _) => Some((0, minor)),
            (major, _, _) => Some((major, 0)),
        }
    }

    /// The version that is due after this one.
    pub(crate) fn next(&self, breaking: bool) -> Self {
        let numbers = match (self.numbers, breaking) {
            ((0, 0, patch), _) => (0, 0, patch + 1),
            ((0, minor, _), true) => (0, minor + 1, 0),
            ((0, minor, patch), false) => (0, minor, patch + 1),
            ((major, _, _), true) => (major + 1, 0, 0),
            ((major, minor, _), false) => (major, minor + 1, 0),
        };
        Self { numbers, pre: String::new() }
    }

    /// Whether this one comes before another. A pre-release comes before its release.
    pub(crate) fn before(&self, other: &Self) -> bool {
        self.key() < other.key()
    }

    /// What versions are sorted by.
    pub(crate) fn key(&self) -> impl Ord + use<> {
        (self.numbers, self.pre.is_empty(), self.pre.clone())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "{major}.{minor}.{patch}{}{}", if self.pre.is_empty() { "" } else { "-" }, self.pre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_due_follows_from_what_changed() {
        for (version, additive, breaking) in
            [("0.1.0", "0.1.1", "0.2.0"), ("1.2.3", "1.3.0", "2.0.0"), ("0.0.1", "0.0.2", "0.0.2")]
        {
            let version = Version::parse(version).unwrap();
            assert_eq!(
                (version.next(false).to_string(), version.next(true).to_string()),
                (additive.into(), breaking.into())
            );
            assert!(version.before(&version.next(false)) && !version.next(false).before(&version));
            assert!(!version.compatible(&version.next(true)));
        }
        assert!(Version::parse("0.1.0").unwrap().compatible(&Version::parse("0.1.7").unwrap()));
        assert!(!Version::parse("0.2.0-rc.1").unwrap().compatible(&Version::parse("0.2.0").unwrap()));
        assert!(Version::parse("0.2.0-rc.1").unwrap().before(&Version::parse("0.2.0").unwrap()));
        assert_eq!([Version::parse("1.2"), Version::parse("1.2.3.4"), Version::parse("a.b.c")], [None, None, None]);
    }

    #[test]
    fn every_rule_is_listed_once_and_documented() {
        let page = include_str!("../../../docs/contract.md");
        for (n, rule) in Rule::ALL.iter().enumerate() {
            assert!(!Rule::ALL[..n].contains(rule));
            assert!(
                page.contains(&format!("| `{}` |", rule.name())),
                "docs/contract.md lacks a row for `{}`",
                rule.name()
            );
        }
        assert_eq!(Rule::ALL.len(), Rule::VersionNotRaised as usize + 1);
    }
}
