//! The command line: arguments in, messages and an exit status out. The only place that prints.

mod attack;
mod check;
mod code;
mod compile;
mod files;
mod flags;
mod inspect;
mod interrupt;
mod new;
mod policy;
mod report;
mod resolve;
mod run;
mod test;

use clap::{Parser, Subcommand};

/// Run WebAssembly components that you did not write: policy in, receipt out.
#[derive(Debug, Parser)]
#[command(name = "host", version, max_term_width = 110, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Compile(Box<compile::Compile>),
    Inspect(inspect::Inspect),
    New(new::New),
    Attack(attack::Attack),
    Policy(policy::PolicyTools),
    Check(check::Check),
    Test(test::Test),
}

/// Exit status for arguments that make no sense, as everywhere.
const USAGE: u8 = 2;

/// Runs the command that the arguments name and returns its exit status.
pub(crate) fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to the parser and successes to everybody else.
            let status = if error.use_stderr() { USAGE } else { 0 };
            return if error.print().is_ok() { status } else { USAGE };
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            report::error(&format!("failed to start: {error}"));
            return 125;
        }
    };
    let status = runtime.block_on(async {
        match arguments.command {
            Command::Run(run) => run.run().await,
            Command::Compile(compile) => compile.run().await,
            Command::Inspect(inspect) => inspect.run(),
            Command::New(new) => new.run(),
            Command::Attack(attack) => attack.run().await,
            Command::Policy(tools) => tools.run(),
            Command::Check(check) => check.run(),
            Command::Test(test) => test.run().await,
        }
    });
    runtime.shutdown_background();
    status
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_fit_together() {
        super::Arguments::command().debug_assert();
    }
}
