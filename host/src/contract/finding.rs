//! What a check finds: one closed list of codes, and a report that holds all findings.

use std::fmt;

use serde::Serialize;

/// Findings that are reported; with more than that the component was built for something else altogether.
pub(super) const MAX_FINDINGS: usize = 500;

/// What is wrong. The names are stable: scripts and suppressions go by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The component's types can't be written in WIT, so there is nothing to compare.
    NoWitForm,
    /// The world asks for an export that the component doesn't have.
    MissingExport,
    /// The component imports what the world doesn't offer.
    ExtraImport,
    /// The interface is there, at a version that isn't compatible.
    VersionMismatch,
    /// An interface on one side, a function or a type of the same name on the other.
    KindMismatch,
    /// An exported interface lacks a function that the world asks for.
    MissingFunction,
    /// The component calls a function of an interface that the world's interface doesn't have.
    ExtraFunction,
    /// One side has a resource that the other side lacks.
    MissingResource,
    /// One side has a named type that the other side lacks.
    MissingType,
    /// A function has other parameters: their number, names or order.
    ParamsDiffer,
    /// One side has a result and the other has none.
    ResultDiffers,
    /// One side's function is async.
    AsyncDiffers,
    /// Two types of different kinds.
    TypeDiffers,
    /// A record with other fields: missing, more, or in another order.
    FieldsDiffer,
    /// A variant or an enum with other cases: missing, more, or in another order.
    CasesDiffer,
    /// Flags with other names: missing, more, or in another order.
    FlagsDiffer,
    /// A handle that is owned on one side and borrowed on the other.
    OwnershipDiffers,
    /// Handles of two different resources.
    ResourceDiffers,
    /// The component imports something that the policy doesn't grant.
    NotGranted,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It doesn't fit: the host refuses it, or would if that export were called.
    Error,
    /// It runs; what is found here shows only in other tools, or when the guest tries what it isn't granted.
    Warning,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub code: Code,
    /// Where in the contract: `import` or `export`, the interface, the function or type, and the path in it.
    pub place: String,
    /// Where in the WIT source of the world, as `file:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The world's side, in WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The component's side, in WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to change.
    pub fix: String,
}

/// Everything that was found about a component and a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The world that it was compared with.
    pub world: String,
    /// Whether the component can be run as this world: there is no error among the findings.
    pub fits: bool,
    /// All that was found, errors first: first imports, then exports, each in the order of the contract.
    pub findings: Vec<Finding>,
    /// Whether more was found than is reported, which is 500 findings.
    pub truncated: bool,
}

impl Code {
    /// All of them, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::NoWitForm,
        Self::MissingExport,
        Self::ExtraImport,
        Self::VersionMismatch,
        Self::KindMismatch,
        Self::MissingFunction,
        Self::ExtraFunction,
        Self::MissingResource,
        Self::MissingType,
        Self::ParamsDiffer,
        Self::ResultDiffers,
        Self::AsyncDiffers,
        Self::TypeDiffers,
        Self::FieldsDiffer,
        Self::CasesDiffer,
        Self::FlagsDiffer,
        Self::OwnershipDiffers,
        Self::ResourceDiffers,
        Self::NotGranted,
    ];

    /// The code as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoWitForm => "no-wit-form",
            Self::MissingExport => "missing-export",
            Self::ExtraImport => "extra-import",
            Self::VersionMismatch => "version-mismatch",
            Self::KindMismatch => "kind-mismatch",
            Self::MissingFunction => "missing-function",
            Self::ExtraFunction => "extra-function",
            Self::MissingResource => "missing-resource",
            Self::MissingType => "missing-type",
            Self::ParamsDiffer => "params-differ",
            Self::ResultDiffers => "result-differs",
            Self::AsyncDiffers => "async-differs",
            Self::TypeDiffers => "type-differs",
            Self::FieldsDiffer => "fields-differ",
            Self::CasesDiffer => "cases-differ",
            Self::FlagsDiffer => "flags-differ",
            Self::OwnershipDiffers => "ownership-differs",
            Self::ResourceDiffers => "resource-differs",
            Self::NotGranted => "not-granted",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Report {
    pub(super) fn new(world: &str, mut findings: Vec<Finding>, truncated: bool) -> Self {
        let fits = findings.iter().all(|finding| finding.severity == Severity::Warning);
        findings.sort_by_key(|finding| finding.severity);
        let truncated = truncated || findings.len() > MAX_FINDINGS;
        findings.truncate(MAX_FINDINGS);
        Self { world: world.to_owned(), fits, findings, truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_and_is_written_the_same_everywhere() {
        let page = include_str!("../../../docs/contract.md");
        for code in Code::ALL {
            assert!(page.contains(&format!("| `{code}` |")), "docs/contract.md lacks a row for `{code}`");
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
