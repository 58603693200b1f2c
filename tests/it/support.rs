//! Running the `host` command on sample guests, with everything about the run in one value.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value as Json;

/// A finished run of `host run`.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) receipt: Json,
}

/// A run of `host run` that is being put together.
pub(crate) struct Run {
    command: Command,
    stdin: Vec<u8>,
    folder: tempfile::TempDir,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// A sample guest, such as `rust/redact.wasm`.
pub(crate) fn guest(name: &str) -> PathBuf {
    let path = root().join("target/guests").join(name);
    assert!(path.exists(), "the guest `{name}` is missing; build it with `cargo xtask build-guests`");
    path
}

/// A probe, by its name: a program, a job, or text.
pub(crate) fn probe(name: &str) -> PathBuf {
    let folder = root().join("target/guests/rust/probes");
    let candidates = [format!("{name}.wasm"), format!("{name}.wat")];
    let found = candidates.iter().map(|file| folder.join(file)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("the probe `{name}` is missing; build it with `cargo xtask build-guests`"))
}

/// The `host` command.
pub(crate) fn host() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.env_remove("HOST_LOG").env_remove("RUST_BACKTRACE").env("NO_COLOR", "1");
    // One for all tests, so that a guest is compiled once.
    command.env("HOST_CACHE", root().join("target/tmp/cache"));
    command
}

/// `host run` of a probe.
pub(crate) fn run_probe(name: &str) -> Run {
    Run::new(probe(name))
}

impl Run {
    /// `host run` of a file, with a receipt.
    pub(crate) fn new(component: impl AsRef<OsStr>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = host();
        command.arg("run").arg("--receipt").arg(folder.path().join("receipt.json"));
        // Held back until the end, since everything after it is the guest's.
        let component = component.as_ref().to_owned();
        let mut run = Self { command, stdin: Vec::new(), folder };
        run.command.env("TEST_COMPONENT", component);
        run
    }

    /// A flag with its value.
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// A variable of the host's own environment.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Standard input.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// Runs it without arguments for the guest.
    pub(crate) fn go(self) -> Ran {
        self.args::<&str>(&[])
    }

    /// Runs it with these arguments for the guest.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Ran {
        let component = self.command.get_envs().find(|(key, _)| *key == "TEST_COMPONENT");
        let component = component.and_then(|(_, value)| value).expect("set in `new`").to_owned();
        self.command.env_remove("TEST_COMPONENT").arg(component).args(args);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the host starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let stdin = std::mem::take(&mut self.stdin);
        // A guest may end without reading its input.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        let output = child.wait_with_output().expect("the host ends");
        feeder.join().expect("the feeder ends");
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        assert!(!stderr.contains("panicked at host/"), "the host panicked:\n{stderr}");
        let json = std::fs::read_to_string(self.folder.path().join("receipt.json")).unwrap_or_default();
        let receipt = serde_json::from_str(&json).unwrap_or(Json::Null);
        if !receipt.is_null() {
            check_schema(&receipt);
        }
        let status = output.status.code().expect("the host exits by itself");
        Ran { status, stdout: output.stdout, stderr, receipt }
    }
}

impl Ran {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("output is UTF-8")
    }

    /// A value of the receipt, by its path.
    pub(crate) fn at(&self, pointer: &str) -> &Json {
        self.receipt.pointer(pointer).unwrap_or_else(|| panic!("no `{pointer}` in {:#}\n{}", self.receipt, self.stderr))
    }

    /// A number of the receipt, by its path.
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.at(pointer).as_u64().unwrap_or_else(|| panic!("`{pointer}` is no number in {:#}", self.receipt))
    }

    /// The stop reason.
    pub(crate) fn reason(&self) -> &str {
        self.at("/stop/reason").as_str().expect("a reason is text")
    }

    /// Checks that it ended for this reason: in the receipt, in the message, and in the exit status.
    #[track_caller]
    pub(crate) fn ended(&self, reason: &str, status: i32) -> &Self {
        let context = format!("{:#}\n{}\n{}", self.receipt, self.stderr, String::from_utf8_lossy(&self.stdout));
        assert_eq!(self.reason(), reason, "{context}");
        assert_eq!(self.status, status, "{context}");
        assert_eq!(self.number("/stop/exit-status"), status as u64, "{context}");
        self
    }

    /// Checks that a limit ended it: the reason, the figures, and a message that names the flag.
    #[track_caller]
    pub(crate) fn hit(&self, limit: &str, status: i32, max: u64) -> &Self {
        self.ended(&format!("limit.{limit}"), status);
        assert_eq!(self.at("/stop/limit/name").as_str(), Some(limit));
        assert_eq!(self.number("/stop/limit/max"), max, "{:#}", self.receipt);
        assert_eq!(self.at("/stop/limit/raise-with").as_str(), Some(format!("--{limit}").as_str()));
        let message = format!("error: limit.{limit}: the limit `{limit}` is ");
        assert!(self.stderr.contains(&message), "no `{message}` in:\n{}", self.stderr);
        assert!(self.stderr.contains(&format!("`--{limit}")), "no flag in:\n{}", self.stderr);
        self
    }
}

/// Checks a receipt against the published schema.
#[track_caller]
pub(crate) fn check_schema(receipt: &Json) {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let text = std::fs::read_to_string(root().join("docs/receipt.schema.json")).expect("the schema is there");
        let schema = serde_json::from_str(&text).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("the schema is a schema")
    });
    let errors: Vec<String> = SCHEMA.iter_errors(receipt).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{receipt:#}");
}
