//! The `host` command.

mod cli;

fn main() {
    let status = cli::main();
    // Threads may still be parked in calls of the operating system, such as a read of a terminal; they end with us.
    std::process::exit(i32::from(status));
}
