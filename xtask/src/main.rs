//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Everything that a person or CI does beyond plain `cargo build` stands here, so that it is Rust, runs the same way
//! at home and in CI, and needs no other tool. One file a command: a struct with its options and a `run`.
//!
//! Deliberately absent: any dependency on the `host` crate. The xtask must build in seconds, before the engine does;
//! where it needs the host it starts the program like any user.

mod bench;
mod bugs;
mod cargo;
mod ci;
mod contract;
mod demo;
mod guests;
mod guests_report;
mod mirror;
mod mutate;
mod one_build;
mod repo;
mod steps;
mod term;
mod test;
mod tidy;
mod wit;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Bench),
    Bugs(bugs::Bugs),
    BuildGuests(guests::BuildGuests),
    Ci(ci::Ci),
    Contract(contract::Contract),
    Demo(demo::Demo),
    GuestsReport(guests_report::GuestsReport),
    Mirror(mirror::MirrorWorld),
    Mutate(mutate::Mutate),
    ReleaseContract(contract::ReleaseContract),
    Test(test::Test),
    Tidy(tidy::Tidy),
    Wit(wit::Wit),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(command) => command.run(),
        Command::Bugs(command) => command.run(),
        Command::BuildGuests(command) => command.run(),
        Command::Ci(command) => command.run(),
        Command::Contract(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::GuestsReport(command) => command.run(),
        Command::Mirror(command) => command.run(),
        Command::Mutate(command) => command.run(),
        Command::ReleaseContract(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Tidy(command) => command.run(),
        Command::Wit(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            term::error(&error);
            ExitCode::FAILURE
        }
    }
}
