//! `args-env-stdin [ARG]...`: prints its arguments, its environment sorted by name, and standard input in upper case.

use std::env;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for (index, argument) in env::args().enumerate() {
        writeln!(output, "arg {index}: {argument}")?;
    }
    let mut variables: Vec<(String, String)> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        writeln!(output, "env {name}={value}")?;
    }
    let input = io::read_to_string(io::stdin())?;
    write!(output, "{}", input.to_uppercase())
}
