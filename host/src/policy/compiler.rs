//! What a component's code is made with, as a word of the policy.

use serde::Serialize;

/// How a component becomes something that runs.
///
/// In the order of how much has to be trusted: an interpreter of portable code, a compiler that has been looked at for
/// years, and one that is quick and young. Of two the earlier one is the narrower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compiler {
    /// No native code: portable code and an interpreter, many times slower.
    Pulley,
    /// Optimised native code.
    #[default]
    Cranelift,
    /// Winch's code at once, and Cranelift's as soon as it is there.
    Tiered,
    /// Native code that is there several times sooner and runs more slowly.
    Winch,
}

impl Compiler {
    /// Every word.
    pub const WORDS: &[&str] = &["pulley", "cranelift", "tiered", "winch"];

    /// The word in a policy.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pulley => "pulley",
            Self::Cranelift => "cranelift",
            Self::Tiered => "tiered",
            Self::Winch => "winch",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// The words that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::Pulley, Self::Cranelift, Self::Tiered, Self::Winch];
        let found = all.into_iter().find(|compiler| compiler.word() == text);
        found.ok_or_else(|| format!("`{text}` is none of `{}`", Self::WORDS.join("`, `")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_others_name_them_all() {
        for word in Compiler::WORDS {
            assert_eq!(Compiler::parse(word).unwrap().word(), *word);
        }
        assert_eq!(Compiler::parse("gcc").unwrap_err(), "`gcc` is none of `pulley`, `cranelift`, `tiered`, `winch`");
    }

    #[test]
    fn the_quick_one_needs_the_most_trust() {
        assert!(Compiler::Pulley < Compiler::Cranelift && Compiler::Cranelift < Compiler::Tiered);
        assert!(Compiler::Tiered < Compiler::Winch);
        assert_eq!(Compiler::default(), Compiler::Cranelift);
    }
}
