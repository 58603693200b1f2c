//! The `host` command.

mod cli;

fn main() {
    // Before anything else: a process that compiles gives up all that it isn't given to begin with.
    let status = host::compile_worker().unwrap_or_else(cli::main);
    // Threads may still be parked in calls of the operating system, such as a read of a terminal; they end with us.
    std::process::exit(i32::from(status));
}
