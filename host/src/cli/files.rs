//! Reading what the caller names and writing what the caller asked for, with errors that say what to do.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use host::outcome::{Refusal, Stop, StopReason};
use host::policy::{LimitKind, Limits, Policy};
use host::{PREFIX, escape, refuse_by_prefix};

/// Reads a component's bytes from a file, or from standard input for `-`. What can't be WebAssembly is refused from
/// its first bytes, and nothing past the limit is read.
pub(super) fn component(path: &Path, max: u64) -> Result<Vec<u8>, Stop> {
    read(path, max, None)
}

/// The same where an artifact will do too, which may be larger.
pub(super) fn component_or_artifact(path: &Path, limits: &Limits) -> Result<Vec<u8>, Stop> {
    read(path, limits.component_size.0, Some(limits.artifact_size.0))
}

fn read(path: &Path, max: u64, artifact: Option<u64>) -> Result<Vec<u8>, Stop> {
    if path == Path::new("-") {
        return bounded(io::stdin().lock(), max, artifact).map_err(|error| error.named("standard input"));
    }
    let shown = format!("`{}`", escape(&path.display().to_string()));
    let file = open(path, &shown)?;
    bounded(file, max, artifact).map_err(|error| error.named(&shown))
}

/// Reads a policy file.
pub(super) fn policy(path: &Path) -> Result<Policy, Stop> {
    policy_and_text(path).map(|(policy, _)| policy)
}

/// Reads a policy file, and keeps its text for who has to hand it on.
pub(super) fn policy_and_text(path: &Path) -> Result<(Policy, String), Stop> {
    let text = policy_text(path)?;
    let shown = format!("`{}`", escape(&path.display().to_string()));
    let policy = Policy::parse(&text).map_err(|errors| {
        let lines: Vec<String> =
            errors.0.iter().map(|e| format!("{}:{}:{}: {}", path.display(), e.line, e.column, e.message)).collect();
        let count = if lines.len() == 1 { "1 error".to_owned() } else { format!("{} errors", lines.len()) };
        wrong_policy(format!("the policy {shown} has {count}\n{}", lines.join("\n")))
    })?;
    Ok((policy, text))
}

fn wrong_policy(message: String) -> Stop {
    Stop::refused(Refusal::Policy, message, "`host policy schema` lists every key with its type")
}

/// Reads the text of a policy file, whatever it says.
pub(super) fn policy_text(path: &Path) -> Result<String, Stop> {
    /// More than any policy needs; a larger file is a mistake or an attack.
    const MAX: u64 = 1 << 20;
    let shown = format!("`{}`", escape(&path.display().to_string()));
    let refuse = wrong_policy;
    let mut bytes = Vec::new();
    // What is wrong is the path, or who may read it, and not what a policy says.
    let file = open(path, &shown).map_err(|stop| Stop { reason: StopReason::Refused(Refusal::Policy), ..stop })?;
    let read = file.take(MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| refuse(format!("failed to read the policy {shown}: {error}")))?;
    if bytes.len() as u64 > MAX {
        return Err(refuse(format!("the policy {shown} is larger than 1MiB")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refuse(format!("the policy {shown} is not UTF-8: byte {at}"))
    })
}

/// Where a receipt goes: made before the run, so that a path which can't be written is found before and not after it,
/// and put in place only when it is whole.
pub(super) enum ReceiptFile {
    Stdout,
    /// Something that can't be replaced, such as a device or a pipe.
    Direct(std::fs::File),
    Atomic {
        file: std::fs::File,
        temporary: PathBuf,
        path: PathBuf,
    },
}

impl ReceiptFile {
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("failed to write the receipt `{}`: {error}", path.display());
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        // A link is followed by writing through it: replacing it would surprise whoever made it.
        let special = std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file());
        if special {
            return std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map(Self::Direct)
                .map_err(failed);
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(failed)?;
        // There is one receipt in a process, so nobody was here before.
        let _ = UNFINISHED.set(temporary.clone());
        Ok(Self::Atomic { file, temporary, path: path.to_owned() })
    }

    pub(super) fn write(self, json: &str) -> Result<(), String> {
        let text = format!("{json}\n");
        match self {
            Self::Stdout => {
                io::stdout().write_all(text.as_bytes()).map_err(|e| format!("failed to write the receipt: {e}"))
            }
            Self::Direct(mut file) => {
                // A device has no length to set; a file must not keep the end of what was there before.
                let _ = file.set_len(0);
                file.write_all(text.as_bytes()).map_err(|e| format!("failed to write the receipt: {e}"))
            }
            Self::Atomic { mut file, temporary, path } => {
                let written = file.write_all(text.as_bytes()).and_then(|()| std::fs::rename(&temporary, &path));
                written.map_err(|error| {
                    // A half-written receipt helps nobody; if it can't be removed either, the error below says where.
                    let _ = std::fs::remove_file(&temporary);
                    format!("failed to write the receipt `{}`: {error}", path.display())
                })
            }
        }
    }
}

/// The file that a receipt is being written to.
static UNFINISHED: OnceLock<PathBuf> = OnceLock::new();

/// Leaves nothing behind when the process ends before its receipt is written.
pub(super) fn remove_unfinished_receipt() {
    if let Some(path) = UNFINISHED.get() {
        // If it is gone, that is what was wanted.
        let _ = std::fs::remove_file(path);
    }
}

/// Why bytes could not be had, before it is known what to call them.
enum ReadError {
    Io(io::Error),
    TooLarge(LimitKind, u64),
    Refused(Stop),
}

impl ReadError {
    fn named(self, name: &str) -> Stop {
        match self {
            Self::Io(error) => unreadable(name, &error),
            Self::TooLarge(kind, max) => {
                let stop = match kind {
                    LimitKind::ArtifactSize => Stop::compile_limit(kind, max),
                    kind => Stop::limit(kind, max, max, Some(1)),
                };
                Stop { message: format!("{}, reading {name}", stop.message), ..stop }
            }
            Self::Refused(stop) => Stop { message: format!("{name}: {}", stop.message), ..stop },
        }
    }
}

fn bounded(mut reader: impl Read, max: u64, artifact: Option<u64>) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    reader.by_ref().take(PREFIX as u64).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    let (kind, max) = match (artifact, bytes.starts_with(b"\x7fELF")) {
        // Whether it is one of ours is told by its end.
        (Some(artifact), true) => (LimitKind::ArtifactSize, artifact),
        _ => refuse_by_prefix(&bytes).map(|()| (LimitKind::ComponentSize, max)).map_err(ReadError::Refused)?,
    };
    let rest = max.saturating_add(1).saturating_sub(bytes.len() as u64);
    reader.take(rest).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::TooLarge(kind, max));
    }
    Ok(bytes)
}

fn open(path: &Path, shown: &str) -> Result<std::fs::File, Stop> {
    let file = std::fs::File::open(path).map_err(|error| unreadable(shown, &error))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        let message = format!("{shown} is a folder");
        return Err(Stop::refused(Refusal::Unreadable, message, "give a file, or `-` for standard input"));
    }
    Ok(file)
}

fn unreadable(name: &str, error: &io::Error) -> Stop {
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!("there is no file {name}");
        return Stop::refused(Refusal::NoFile, message, "check the path; relative ones start at the current folder");
    }
    Stop::refused(Refusal::Unreadable, format!("failed to read {name}: {error}"), "check that you may read it")
}
