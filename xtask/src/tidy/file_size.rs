//! The rule that no Rust file grows past 500 lines without a reason.

use super::Finding;
use crate::repo::Tree;

/// The number of lines that needs no reason.
const LINES: usize = 500;
/// How the line of the module's doc begins that gives the reason.
const REASON: &str = "//! Long because";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > LINES && !text.lines().any(|line| line.starts_with(REASON)) {
            findings.push(Finding {
                path: path.to_owned(),
                line: LINES + 1,
                rule: "file-size",
                message: format!("has {lines} lines, which is more than {LINES}"),
                hint: format!("split it, or say why not in the module's doc, in a line that begins `{REASON}`"),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn count(text: &str) -> usize {
        check(&made::tree(&[("host/src/lib.rs", text)]).tree).len()
    }

    #[test]
    fn five_hundred_lines_pass_and_one_more_needs_a_reason() {
        assert_eq!(count(&"\n".repeat(500)), 0);
        assert_eq!(count(&"\n".repeat(501)), 1);
        assert_eq!(count(&format!("//! Long because it is a table.\n{}", "\n".repeat(500))), 0);
        assert_eq!(count(&format!("// Long because it is a table.\n{}", "\n".repeat(500))), 1);
    }
}
