//! Golden tests of the command line: each file in `tests/cli` holds commands and, under each, what it prints and its
//! exit status. `BLESS=1` writes what was seen.
//!
//! A line `$ host …` is run by a shell in the root of the repository; lines up to the next one are its output, standard
//! output first. What differs from run to run is replaced by a fixed word.

use std::path::Path;
use std::process::Command;

use crate::support::root;

#[test]
fn the_command_line_prints_what_it_should() {
    let mut wrong = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(root().join("tests/cli")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            files += 1;
            check(&path, &mut wrong);
        }
    }
    assert!(files > 0);
    assert!(wrong.is_empty(), "run with `BLESS=1` to accept:\n{}", wrong.join("\n"));
}

/// The commands in the README, in its order, print what it says. The one package that they make is made elsewhere.
#[test]
fn the_readme_says_what_its_commands_print() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut commands = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let mut command = None;
        let mut expected = String::new();
        for line in block.lines().chain(["$ end"]) {
            let Some(next) = line.strip_prefix("$ ") else {
                expected += &format!("{}\n", steady(line));
                continue;
            };
            if let Some(command) = command.replace(next) {
                let command = command.replace("target/debug/host", "host");
                let command = command.replace("../hello", &folder.path().join("hello").display().to_string());
                let seen = run(&command);
                let seen = seen.rsplit_once("[exit status").unwrap().0;
                assert_eq!(seen, expected, "README.md: `{command}`");
                commands += 1;
            }
            expected.clear();
        }
    }
    assert!(commands >= 10, "{commands}");
}

fn check(path: &Path, wrong: &mut Vec<String>) {
    let expected = std::fs::read_to_string(path).unwrap();
    let mut seen = String::new();
    // What a command prints can begin with `#` too.
    let mut printed = false;
    for line in expected.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            seen += &format!("$ {command}\n{}", run(command));
            printed = true;
        } else if printed {
            printed = !line.starts_with("[exit status ");
        } else if line.starts_with('#') || (line.is_empty() && seen.is_empty()) {
            seen += &format!("{line}\n");
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &seen).unwrap();
    } else if seen != expected {
        wrong.push(format!("--- {}\n{seen}", path.display()));
    }
}

fn run(command: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_host")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(root())
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "110")
        .env("HOST_CACHE", root().join("target/tmp/cache"))
        .env_remove("RUST_BACKTRACE")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("HOST_LOG")
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let lines: String = text.lines().map(|line| format!("{}\n", steady(line).trim_end())).collect();
    format!("{lines}[exit status {}]\n\n", output.status.code().unwrap_or(-1))
}

/// A line without what differs from run to run: figures of time, digests of what is built here.
fn steady(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    // How much time was used differs from run to run, and is not always a fraction; a limit's value is what it is.
    let used: Vec<bool> = words.iter().skip(1).map(|next| next.starts_with("used")).chain([false]).collect();
    for (word, used) in words.iter_mut().zip(used) {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
        let number = bare.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = bare.get(number.len()..).unwrap_or_default();
        if ["ns", "us", "ms", "s"].contains(&unit) && (used || number.contains('.')) && number.parse::<f64>().is_ok() {
            *word = word.replace(&bare, "<time>");
        }
        if bare.len() == 71 && bare.starts_with("sha256:") {
            *word = word.replace(&bare, "<digest>");
        }
    }
    words.join(" ")
}
