//! Runs of a program: what it sees, what it writes, and its exit status.

use regex_automata::meta::Regex;

use super::{Reader, Table, Value};
use crate::contract::cases::{Program, Written};

/// Keys that only a program has.
const PROGRAM: &[&str] = &[
    "env",
    "exit",
    "stderr",
    "stderr-hex",
    "stderr-matches",
    "stderr-repeat",
    "stdin",
    "stdin-hex",
    "stdin-repeat",
    "stdout",
    "stdout-hex",
    "stdout-matches",
    "stdout-repeat",
];

/// Keys that a program doesn't have.
const OTHERS: &[&str] =
    &["content-type", "failure", "failure-text", "output", "output-hex", "output-repeat", "returns"];

impl Reader<'_> {
    /// What is said of a program in a case that is none, and the other way round.
    pub(super) fn only_programs(&mut self, table: &Table<'_, '_>) {
        let (keys, whom) = match table.get("args") {
            Some(_) => (OTHERS, "functions and jobs: a case with `args` is a program"),
            None => (PROGRAM, "programs: say `args`, `[]` for none"),
        };
        for key in keys {
            if let Some(value) = table.get(key) {
                self.error(value.span(), format!("`{key}` is for {whom}"));
            }
        }
    }

    pub(super) fn program(&mut self, table: &Table<'_, '_>, args: &Value<'_>, stops: bool) -> Option<Program> {
        let Some(values) = args.get_ref().as_array() else {
            self.wrong_type("args", "an array of strings", args);
            return None;
        };
        let exit = match table.get("exit") {
            Some(value) if stops => {
                self.error(value.span(), "a program has one of `exit` and `stops`".to_owned());
                return None;
            }
            Some(value) => {
                let number = value.get_ref().as_integer().and_then(|n| u8::from_str_radix(n.as_str(), n.radix()).ok());
                if number.is_none() {
                    self.error(value.span(), "`exit` is a number from 0 to 255".to_owned());
                }
                Some(number?)
            }
            None => (!stops).then_some(0),
        };
        Some(Program {
            args: values.iter().filter_map(|value| self.string("args", value)).collect(),
            env: table.get("env").map(|value| self.strings("env", value)).unwrap_or_default(),
            stdin: self.bytes(table, "stdin").unwrap_or_default(),
            stdout: self.written(table, "stdout"),
            stderr: self.written(table, "stderr"),
            exit,
        })
    }

    fn written(&mut self, table: &Table<'_, '_>, key: &str) -> Option<Written> {
        let bytes = self.bytes(table, key).map(Written::Bytes);
        let name = format!("{key}-matches");
        let Some(value) = table.get(&name) else { return bytes };
        if bytes.is_some() {
            self.error(value.span(), format!("a case has one of `{key}` and `{name}`"));
        }
        let text = self.string(&name, value)?;
        Regex::new(&text)
            .map(Written::Match)
            .map_err(|error| self.error(value.span(), format!("`{name}`: {error}")))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Suite;

    #[test]
    fn what_a_session_or_a_program_says_is_strict() {
        let wrong = |rest: &str| Suite::parse(&format!("[[case]]\nname = \"a\"\n{rest}\n")).unwrap_err().to_string();
        for (rest, message) in [
            ("step = [{ drop = 'r', call = 'f()' }]", "a step has either `call` or `drop`"),
            ("step = [{ let = 'r' }]", "a step has either `call` or `drop`"),
            ("step = [{ call = 'f()', let = '$r' }]", "`let` is a name"),
            ("step = [{ call = 'f()', let = 'r', returns = '1' }]", "a step has `returns` or `let`"),
            ("step = [{ drop = 'R S' }]", "`drop` is a name"),
            ("call = 'f()'\nlet = 'r'", "unknown key `let`"),
            ("call = 'f()'\nstdin = 'r'", "`stdin` is for programs"),
            ("args = []\nstdout = ''\nstdout-matches = ''", "one of `stdout` and `stdout-matches`"),
            ("args = []\nexit = 256", "`exit` is a number from 0 to 255"),
            ("args = []\nexit = 1\nstops = 'trapped'", "one of `exit` and `stops`"),
            ("args = 'x'", "`args` must be an array"),
            ("args = []\ncall = 'f()'", "a case has one of"),
            ("args = []\nreturns = '1'", "`returns` is for functions"),
            ("call = 'f()'\ninstances = 0", "from 1 to 16"),
            ("call = 'f()'\ninstances = 17", "from 1 to 16"),
        ] {
            assert!(wrong(rest).contains(message), "{rest}: {}", wrong(rest));
        }
        assert!(Suite::parse("[[case]]\nname = 'a'\ncall = 'f()'\ninstances = 16\n").is_ok());
    }
}
