//! The rule that no file has the absolute path of somebody's machine, nor words that do not belong here.

use super::Finding;
use crate::repo::Tree;

/// First parts of absolute paths that exist on one machine only. Written without the slash, so that this file passes.
const FOLDERS: &[&str] = &["home", "root", "work"];

/// Words about how text came to be written, which say nothing about the project. Each in two halves, so that this
/// file passes too; matched whole and in any case.
const WORDS: &[(&str, &str)] = &[
    ("anth", "ropic"),
    ("assis", "tant"),
    ("assis", "tants"),
    ("chat", "gpt"),
    ("clau", "de"),
    ("open", "ai"),
    ("sub", "agent"),
    ("sub", "agents"),
];

/// Files that are made by tools or are the words of others.
const EXEMPT: &[&str] = &["Cargo.lock", "LICENSE"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let words: Vec<_> = WORDS.iter().map(|(first, second)| format!("{first}{second}")).collect();
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        let name = path.rsplit('/').next().unwrap_or(path);
        if EXEMPT.iter().any(|exempt| name.starts_with(exempt)) || path.starts_with("wit/deps/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let mut find = |rule, message, hint: &str| {
                let (path, line) = (path.to_owned(), number + 1);
                findings.push(Finding { path, line, rule, message, hint: hint.to_owned() });
            };
            for folder in FOLDERS.iter().filter(|folder| has_path(line, folder)) {
                let hint = "write it relative to the repository, or use a temporary folder";
                find("paths", format!("has an absolute path below `/{folder}`"), hint);
            }
            let lower = line.to_lowercase();
            for word in lower.split(|letter: char| !letter.is_alphanumeric()) {
                if words.iter().any(|forbidden| forbidden == word) {
                    find("words", format!("has the word `{word}`"), "say it in terms of the project");
                }
            }
        }
    }
    findings
}

/// Whether `line` has an absolute path that begins with `folder`.
fn has_path(line: &str, folder: &str) -> bool {
    let wanted = format!("/{folder}");
    line.match_indices(&wanted).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + wanted.len()..).and_then(|text| text.chars().next());
        // `a/home` and `$x/home` and `::/home` are not paths of this machine, nor is `/homes` one of them.
        let starts = before.is_none_or(|letter| !letter.is_alphanumeric() && !"/._~-+$}>)]:*".contains(letter));
        let ends = after.is_none_or(|letter| !letter.is_alphanumeric() && !"_-.".contains(letter));
        starts && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn rules(text: &str) -> Vec<&'static str> {
        check(&made::tree(&[("docs/a.md", text)]).tree).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for folder in FOLDERS {
            for text in [format!("cd /{folder}/me/x"), format!("`/{folder}`"), format!("a=\"/{folder}/b\"")] {
                assert_eq!(rules(&text), ["paths"], "{text}");
            }
            for text in [format!("https://a.example/{folder}/b"), format!("/{folder}s"), format!("--dir a::/{folder}")]
            {
                assert!(rules(&text).is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn a_word_is_found_whole_and_in_any_case() {
        for (first, second) in WORDS {
            assert_eq!(rules(&format!("the {}{second}.", first.to_uppercase())), ["words"], "{first}{second}");
            assert!(rules(&format!("{first}{second}x")).is_empty(), "{first}{second}");
        }
    }

    #[test]
    fn what_others_wrote_is_exempt() {
        let text = format!("{}{}", WORDS[0].0, WORDS[0].1);
        let made =
            made::tree(&[("Cargo.lock", &text), ("guests/rust/LICENSE-MIT", &text), ("wit/deps/a/a.wit", &text)]);
        assert_eq!(check(&made.tree), []);
    }
}
