//! `host run`: one invocation, from files and flags to output, messages and a receipt.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use host::outcome::{Refusal, StopReason};
use host::policy::{LimitKind, Limits, Policy};
use host::{Component, Ended, Host, Input, Invocation, Outcome, Sink, Stdin, Stop, Tenant, Value, World, escape};
use tokio::io::AsyncReadExt as _;

use super::code::CodeFlags;
use super::files::{self, ReceiptFile};
use super::flags::PolicyFlags;
use super::interrupt::Interrupt;
use super::resolve::{Answer, Answers};
use super::{USAGE, report};

/// The tenant of a run from the command line.
const TENANT: &str = "local";

/// Exit status when output could not be written, as `sysexits` has it.
const IO_ERROR: u8 = 74;

/// How long a compilation may take before a person at a terminal is told about it.
const SLOW: Duration = Duration::from_millis(500);

/// Run a component under a policy
///
/// A component that exports `sandbox:host/job` is a filter: standard input is its input, its output goes to standard
/// output. A program (`wasi:cli/run`, or a core module for WASI preview 1) gets its arguments, the standard streams
/// and what else is granted. Any exported function of any component can be called with `--invoke`.
///
/// Nothing is allowed unless it is granted, and everything has a limit. The exit status says how it ended: 0 returned,
/// 1 or the program's own for failures, 124 wall time, 126 refused or denied, 127 no such file, 130 cancelled, 134
/// trapped, 137 memory, 152 computing time, 153 output and other resources.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Run {
    #[command(flatten)]
    policy: PolicyFlags,

    #[command(flatten)]
    code: CodeFlags,

    /// Call an exported function: `ns:pkg/iface#func(args)`, or `func(args)` if that is unambiguous; values in WAVE
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,

    /// Write the receipt as JSON to this file, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,

    /// Answer look-ups of a name with these addresses instead of asking the system; several times for one name, each
    /// look-up takes the next. What the policy says of the addresses holds as ever
    #[arg(long, value_name = "NAME=ADDRESS[,ADDRESS]", value_parser = Answer::parse)]
    resolve: Vec<Answer>,

    /// Record what the guest uses of what it is granted, for `host policy suggest`. What is granted is the policy's, or the
    /// ceiling's where there is none, or else a wide default: reading this folder, and requests to every public host
    #[arg(long, requires = "receipt", help_heading = "Policy")]
    audit: bool,

    /// Show neither progress nor the guest's log
    #[arg(long, short)]
    quiet: bool,

    /// A component, a core module for WASI preview 1, or either as text (`-` reads standard input); then arguments of a
    /// program, or `NAME=VALUE` attributes of a job's input. All that follows the component is the guest's
    // One list and not two: the parser takes flags until a list with trailing arguments begins, and what a caller passes
    // on to a guest must never be taken for a grant.
    #[arg(
        value_names = ["COMPONENT", "ARGS"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "Examples:
  host run redact.wasm < access.log
  host run --config mask=email,card --receipt receipt.json redact.wasm < access.log
  host run --dir ./data::/data::ro --env LANG=C --wall 5s program.wasm -- --verbose /data/in.txt
  host run --invoke 'convert({celsius: 21.5})' units.wasm
  host run --policy tenant.toml --memory 64MiB - < component.wasm
  host run --audit --receipt seen.json program.wasm && host policy suggest seen.json";

impl Run {
    /// Runs the component and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let (component, args) = match self.split() {
            Ok(split) => split,
            Err(message) => {
                report::error(&message);
                report::hint("flags go before the component; see `host run --help`");
                return USAGE;
            }
        };
        Runner { options: self, component, args }.run().await
    }

    /// The component, and the arguments that are the guest's.
    fn split(&self) -> Result<(PathBuf, Vec<String>), String> {
        let mut command = self.command.iter();
        let component = command.next().cloned().unwrap_or_default();
        if component.to_string_lossy().starts_with('-') && component != "-" {
            return Err(format!("unexpected flag `{}`", escape(&component.to_string_lossy())));
        }
        let mut args = Vec::new();
        for arg in command {
            let arg = arg.to_str().ok_or_else(|| format!("the argument {arg:?} is not UTF-8, which WASI needs"))?;
            args.push(arg.to_owned());
        }
        // The usual mark between a program and its arguments, where nothing needs one.
        if args.first().is_some_and(|first| first == "--") {
            args.remove(0);
        }
        Ok((component.into(), args))
    }
}

/// A run whose arguments are told apart.
struct Runner {
    options: Run,
    component: PathBuf,
    args: Vec<String>,
}

impl Runner {
    async fn run(self) -> u8 {
        logging(self.options.quiet);
        let receipt_file = match self.options.receipt.as_deref().map(ReceiptFile::create).transpose() {
            Ok(file) => file,
            Err(message) => {
                report::error(&message);
                report::hint("the receipt's folder must exist and be writable");
                return USAGE;
            }
        };
        let interrupt = Interrupt::listen();
        let mut policy = Policy::default();
        let mut loaded = None;
        let ended = match self.options.policy.policy(self.options.audit) {
            Ok(given) => {
                policy = given;
                self.ended(&mut policy, &mut loaded, &interrupt).await
            }
            Err(stop) => Err(stop),
        };
        let ended = ended.unwrap_or_else(|stop| Ended::refused(TENANT, &policy, loaded.as_ref(), stop));
        self.finish(ended, receipt_file, &interrupt).await
    }

    /// Loads and invokes; an error is a stop before there was anything to invoke.
    async fn ended(
        &self,
        policy: &mut Policy,
        loaded: &mut Option<Component>,
        interrupt: &Interrupt,
    ) -> Result<Ended, Stop> {
        let from_stdin = self.component == Path::new("-");
        let (path, limits) = (self.component.clone(), policy.limits.clone());
        let read = tokio::task::spawn_blocking(move || files::component_or_artifact(&path, &limits));
        let bytes = interrupt.or(read).await?.unwrap_or_else(|_| Err(Stop::host_fault("the reader panicked")))?;

        let builder = self.options.code.host()?.resolver(Answers::new(&self.options.resolve));
        let host: Host = builder.build().map_err(|error| Stop::host_fault(error.to_string()))?;
        let component = interrupt.or(self.load(&host, bytes, policy)).await??;
        *loaded = Some(component.clone());
        if component.facts().world == World::Command && self.options.invoke.is_none() {
            policy.grants.args.extend(self.args.iter().cloned());
        }
        let tenant = Tenant::new(TENANT, policy.clone()).map_err(|error| Stop::host_fault(error.to_string()))?;
        let stdin_granted = policy.grants.stdio.unwrap_or_default().stdin && !from_stdin;
        let invocation = self.invocation(&component, &tenant, stdin_granted, interrupt).await?;
        let stdin = match component.facts().world {
            _ if !stdin_granted => Stdin::Empty,
            // A pipe hands its input over in pieces that differ from run to run.
            World::Command if policy.grants.deterministic.is_some() => {
                Stdin::Bytes(interrupt.or(read_input(&policy.limits)).await??.into())
            }
            _ => Stdin::Inherit,
        };
        let invocation =
            invocation.stdin(stdin).stdout(Sink::Stdout).stderr(Sink::Stderr).cancel_when(interrupt.clone().wished());
        let invocation = if self.options.audit { invocation.audited() } else { invocation };
        Ok(host.invoke(invocation).await)
    }

    /// Compiles, and tells a person who waits.
    async fn load(&self, host: &Host, bytes: Vec<u8>, policy: &Policy) -> Result<Component, Stop> {
        let size = host::policy::Bytes(bytes.len() as u64);
        let load = host.load(bytes, policy);
        tokio::pin!(load);
        let told = !self.options.quiet && std::io::stderr().is_terminal();
        tokio::select! {
            result = &mut load => return result,
            () = tokio::time::sleep(SLOW), if told => {
                report::note(&format!("compiling `{}` ({size}) …", self.component.display()));
            }
        }
        load.await
    }

    async fn invocation(
        &self,
        component: &Component,
        tenant: &Tenant,
        stdin: bool,
        interrupt: &Interrupt,
    ) -> Result<Invocation, Stop> {
        if let Some(call) = &self.options.invoke {
            if !self.args.is_empty() {
                let message = "`--invoke` has its arguments in the call, and there are others after the component";
                return Err(Stop::refused(Refusal::Call, message, "write `--invoke 'func(args)'`"));
            }
            return Invocation::function(component, tenant, call);
        }
        match component.facts().world {
            World::Command => Ok(Invocation::command(component, tenant)),
            World::Sandbox => {
                let limits = &tenant.policy().limits;
                let body = if stdin { interrupt.or(read_input(limits)).await?? } else { Vec::new() };
                let attributes = self.attributes()?;
                Ok(Invocation::job(component, tenant, Input { body, content_type: None, attributes }))
            }
            World::Http => {
                let message = "the component is an HTTP handler, which needs a server to call it";
                Err(Stop::refused(Refusal::World, message, "call one of its functions with `--invoke`"))
            }
            World::Custom => {
                let message =
                    "the component is neither a job (`sandbox:host/job@0.1`) nor a program (`wasi:cli/run@0.2`)";
                let exports = component.facts().exports.join("`, `");
                let hint = format!("call one of its functions with `--invoke 'func(args)'`; it exports `{exports}`");
                Err(Stop::refused(Refusal::World, message, hint))
            }
        }
    }

    fn attributes(&self) -> Result<Vec<(String, String)>, Stop> {
        let attribute = |text: &String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => {
                let message = format!("the component is a job, and `{text}` is no attribute");
                Err(Stop::refused(Refusal::Call, message, "write attributes of the input as `NAME=VALUE`"))
            }
        };
        self.args.iter().map(attribute).collect()
    }

    /// Writes output and receipt, says what went wrong, and returns the exit status.
    async fn finish(&self, ended: Ended, receipt_file: Option<ReceiptFile>, interrupt: &Interrupt) -> u8 {
        let Ended { outcome, mut receipt, lost_output } = ended;
        let mut status = outcome.reason().exit_status();
        let output = match outcome.value() {
            Some(Value::Job(Ok(output))) => output.body.clone(),
            Some(value) => value
                .to_wave()
                .filter(|text| !text.is_empty())
                .map_or(Vec::new(), |text| format!("{text}\n").into_bytes()),
            None => Vec::new(),
        };
        // A reader may be slow for a good reason, so there is no deadline here; but the user can stop it.
        let written = tokio::task::spawn_blocking(move || write_stdout(&output));
        let written = match interrupt.or(written).await {
            Ok(written) => written.unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked"))),
            Err(_) if outcome.reason() == StopReason::Cancelled => Ok(()),
            Err(stop) => {
                report::note("cancelled while the output was being written");
                status = stop.reason.exit_status();
                Ok(())
            }
        };
        let written = lost_output.map_or(written, Err);
        if let Err(error) = written {
            report::error(&format!("failed to write the output: {error}"));
            report::hint("its disk may be full; what the guest itself did is in the receipt");
            if status == 0 {
                status = IO_ERROR;
            }
        }
        if let Some(stop) = outcome.stop() {
            // A program that failed has said why on its own standard error.
            let said = matches!(&outcome, Outcome::Failed { value, .. } if !matches!(value, Some(Value::Job(_))));
            if !said {
                report::stop(stop, &receipt);
            } else if !self.options.quiet {
                report::denials(&receipt);
            }
        }
        receipt.stop.exit_status = status;
        if let Some(file) = receipt_file {
            let json = serde_json::to_string_pretty(&receipt).unwrap_or_default();
            if let Err(message) = file.write(&json) {
                report::error(&message);
                status = IO_ERROR;
            }
        }
        status
    }
}

/// Writes to standard output. A reader that has gone away had what it wanted.
fn write_stdout(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Reads a job's input, and no further than one byte past what may be held of it.
async fn read_input(limits: &Limits) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    let max = limits.input.0.min(limits.memory.0);
    let read = tokio::io::stdin().take(max.saturating_add(1)).read_to_end(&mut body).await;
    if let Err(error) = read {
        let message = format!("failed to read standard input: {error}");
        return Err(Stop::refused(Refusal::Unreadable, message, "check what it is connected to"));
    }
    if body.len() as u64 > max {
        let stop = Stop::limit(LimitKind::Input, max, max, Some(1));
        let hint =
            "raise it with `--input SIZE` and `--memory SIZE`, or split the input; a program streams without limit";
        return Err(stop.with_hint(hint));
    }
    Ok(body)
}

/// The guest's log on standard error: from `info` up, unless `HOST_LOG` says otherwise.
fn logging(quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let default = if quiet { "error,guest=off" } else { "warn,guest=info" };
    let filter = EnvFilter::try_from_env("HOST_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .log_internal_errors(false)
        .without_time()
        .compact();
    // Nothing else in this process sets one, so there is no error to handle.
    let _ = subscriber.try_init();
}
