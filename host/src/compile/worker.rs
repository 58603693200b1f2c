//! The child's side of compiling: gives up all that it could do harm with, then reads, compiles and answers.

use std::io::{ErrorKind, Read, Write};

use super::child::{COMPILE_WORKER, Job, Reply};
use super::{compile, sandbox};
use crate::outcome::Stop;
use crate::policy::LimitKind;

/// Bytes of the line that says what to do.
const MAX_JOB: usize = 4096;

/// Makes this process a compiler for [`crate::ChildCompiler`] if it was started as one, and returns the exit status
/// that it ends with; otherwise returns nothing at once.
///
/// To be called first in `main`, before there are threads: what they could do would not be taken away.
pub fn compile_worker() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != COMPILE_WORKER) || args.next().is_some() {
        return None;
    }
    Some(work(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()))
}

fn work(stdin: &mut impl Read, stdout: &mut impl Write) -> u8 {
    let Some(job) = job(stdin) else { return 2 };
    if job.later {
        // If the system refuses, it is done at the usual speed.
        let _ = rustix::process::nice(10);
    }
    let done = sandbox::enter(&job.limits)
        .map_err(|why| Stop::host_fault(format!("the compiler can't be locked in: {why}")))
        .and_then(|()| {
            let mut bytes = Vec::new();
            let read = stdin.read_to_end(&mut bytes);
            read.map_err(|error| match error.kind() {
                ErrorKind::OutOfMemory => job.limits.exceeded(LimitKind::CompileMemory),
                _ => Stop::host_fault(format!("the compiler can't read its input: {error}")),
            })?;
            compile(bytes, job.code, job.offers)
        });
    let (reply, code) = match done {
        Ok(done) => (Reply::Compiled { about: Box::new(done.about), took: done.took }, done.code),
        Err(Stop { reason, message, hint, .. }) => {
            (Reply::Refused { code: reason.code().to_owned(), message, hint }, Vec::new())
        }
    };
    match answer(stdout, &reply, &code) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Reads one line and not a byte more.
fn job(stdin: &mut impl Read) -> Option<Job> {
    let mut line = Vec::new();
    while line.len() < MAX_JOB {
        let mut byte = [0];
        stdin.read_exact(&mut byte).ok()?;
        match byte {
            [b'\n'] => return serde_json::from_slice(&line).ok(),
            [byte] => line.push(byte),
        }
    }
    None
}

fn answer(stdout: &mut impl Write, reply: &Reply, code: &[u8]) -> std::io::Result<()> {
    let reply = serde_json::to_vec(reply).map_err(std::io::Error::other)?;
    let length = u32::try_from(reply.len()).map_err(std::io::Error::other)?;
    stdout.write_all(&length.to_le_bytes())?;
    stdout.write_all(&reply)?;
    stdout.write_all(code)?;
    stdout.flush()
}
