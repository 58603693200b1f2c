//! The parent's side of compiling in a child process: it writes the component, reads the code, and bounds both time
//! and size. What comes back is as untrusted as what went in, but for one thing: it is run as code.

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};

use super::{CompileLimits, Compiled, Offers, Took};
use crate::artifact::About;
use crate::engine::CodeKey;
use crate::outcome::{Refusal, Stop, StopReason};
use crate::policy::LimitKind;
use crate::text::escape;

/// The argument that makes a program a compiler: see [`crate::compile_worker`].
pub const COMPILE_WORKER: &str = "compile-worker";

/// How to start the program that compiles.
#[derive(Clone, Debug)]
pub struct ChildCompiler {
    program: PathBuf,
    args: Vec<OsString>,
}

/// What the child is told before the component's bytes, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Job {
    pub(crate) code: CodeKey,
    pub(crate) offers: Offers,
    pub(crate) limits: CompileLimits,
    /// Nobody waits for it, so others go first.
    pub(crate) later: bool,
}

/// What the child says before the code's bytes, as JSON after its length.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    Compiled { about: Box<About>, took: Took },
    Refused { code: String, message: String, hint: Option<String> },
}

/// Bytes of a reply without the code. A component's names of imports are in it.
pub(crate) const MAX_REPLY: u64 = 64 * 1024 * 1024;

/// Bytes of what the child writes to standard error that are looked at.
const MAX_SAID: u64 = 16 * 1024;

/// Threads of a child. Components have hundreds of functions, but others want to compile too.
const MAX_THREADS: usize = 8;

/// Ends a child from another thread, and never a stranger that has its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kill(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    pid: Option<Pid>,
}

impl ChildCompiler {
    /// This very program, as it was when it was started. Its `main` must call [`crate::compile_worker`] first.
    pub fn this_program() -> Self {
        // Not the path that it was started by: another program may be there by now.
        Self::program("/proc/self/exe")
    }

    /// A program whose `main` calls [`crate::compile_worker`] first.
    pub fn program(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: vec![COMPILE_WORKER.into()] }
    }

    /// Compiles, and waits for the end of it.
    pub(crate) fn compile(&self, bytes: &[u8], job: &Job, kill: &Kill) -> Result<Compiled, Stop> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            .current_dir("/")
            // Ctrl-C at a terminal goes to the parent, which knows what to do about it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Stop::host_fault(format!("failed to start the compiler: {error}")))?;
        kill.armed(&child);
        let talked = talk(&mut child, bytes, job);
        if talked.is_err() {
            kill.now();
        }
        let status = kill.disarmed(&mut child);
        let (talk, said) = talked?;
        match talk {
            Talk::Done(reply, code) if status.as_ref().is_ok_and(ExitStatus::success) => compiled(reply, code, job),
            Talk::Done(..) | Talk::Ended => Err(abnormal(status, &said, job)),
            Talk::TooMuch => Err(job.limits.exceeded(LimitKind::ArtifactSize)),
        }
    }
}

enum Talk {
    Done(Reply, Vec<u8>),
    TooMuch,
    /// The child ended before it had said all.
    Ended,
}

/// Hands the component over and takes the code.
fn talk(child: &mut Child, bytes: &[u8], job: &Job) -> Result<(Talk, String), Stop> {
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Stop::host_fault("the compiler has no pipes"));
    };
    let line = serde_json::to_string(job).unwrap_or_default();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A child that doesn't want to hear more says why by how it ends.
            let _ = stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        });
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            let mut stderr = stderr;
            let _ = (&mut stderr).take(MAX_SAID).read_to_end(&mut said);
            // So that it isn't stuck writing.
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            String::from_utf8_lossy(&said).into_owned()
        });
        let talk = listen(&mut stdout, job.limits.artifact);
        if !matches!(talk, Talk::Done(..)) {
            // It may be writing still, or waiting for more.
            drop(stdout);
            let _ = child.kill();
        }
        Ok((talk, said.join().unwrap_or_default()))
    })
}

fn listen(stdout: &mut impl Read, max: u64) -> Talk {
    let mut length = [0; 4];
    if stdout.read_exact(&mut length).is_err() {
        return Talk::Ended;
    }
    let length = u64::from(u32::from_le_bytes(length));
    if length > MAX_REPLY {
        return Talk::TooMuch;
    }
    let mut reply = Vec::new();
    if stdout.take(length).read_to_end(&mut reply).is_err() {
        return Talk::Ended;
    }
    let Ok(reply) = serde_json::from_slice(&reply) else { return Talk::Ended };
    let mut code = Vec::new();
    match stdout.take(max.saturating_add(1)).read_to_end(&mut code) {
        Ok(_) if code.len() as u64 > max => Talk::TooMuch,
        Ok(_) => Talk::Done(reply, code),
        Err(_) => Talk::Ended,
    }
}

fn compiled(reply: Reply, code: Vec<u8>, job: &Job) -> Result<Compiled, Stop> {
    match reply {
        Reply::Compiled { about, took } => Ok(Compiled { about: *about, code, took }),
        Reply::Refused { code, message, hint } => {
            // Of all reasons a child has only those that say what the component is.
            let reason = StopReason::ALL.iter().find(|reason| reason.code() == code);
            let reason = match reason {
                Some(StopReason::Refused(Refusal::CompileMemory)) => {
                    return Err(job.limits.exceeded(LimitKind::CompileMemory));
                }
                Some(StopReason::Refused(why)) => StopReason::Refused(*why),
                _ => StopReason::HostFault,
            };
            let stop = Stop::new(reason, message);
            Err(match hint {
                Some(hint) => stop.with_hint(hint),
                None => stop,
            })
        }
    }
}

/// Why a child ended without an answer.
fn abnormal(status: std::io::Result<ExitStatus>, said: &str, job: &Job) -> Stop {
    let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
    // What the standard library and the engine say when the system gives them no memory.
    if ["memory allocation of", "os error 12", "Cannot allocate memory", "ThreadPoolBuildError"]
        .iter()
        .any(|text| said.contains(text))
    {
        return job.limits.exceeded(LimitKind::CompileMemory);
    }
    if signal == Some(Signal::XCPU.as_raw()) {
        return job.limits.exceeded(LimitKind::CompileCpu);
    }
    let how = match (signal, status) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Ok(status)) => status.to_string(),
        (None, Err(error)) => error.to_string(),
    };
    let last = said.lines().find(|line| !line.trim().is_empty()).map(escape);
    let said = last.map_or(String::new(), |line| format!(": {line}"));
    let message = format!("the compiler ended by {how}{said}");
    let hint = "the component makes the compiler fail, which harms nobody else; please report it with the component";
    Stop::refused(Refusal::CompileCrash, message, hint)
}

impl Kill {
    /// Ends the child now, or as soon as there is one.
    pub(crate) fn now(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = true;
        if let Some(pid) = state.pid {
            // It leads a group of its own.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    fn armed(&self, child: &Child) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (state.wanted, state.pid) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }

    /// Waits for the end of the child. Until it is certain that nobody will kill it any more, it keeps its number.
    fn disarmed(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner).pid;
        if let Some(pid) = pid {
            while rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pid = None;
        child.wait()
    }
}
