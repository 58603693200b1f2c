//! One attack: `host run` in a process of its own, what it cost, and what it left behind.
//!
//! The operating system keeps the processor time of a process that has ended until its parent has waited for it, and
//! the most memory that it held only while it runs. So memory is read every few milliseconds, and what a process held
//! in its last moment may be missing; it is a high-water mark, so nothing before that is. Both are read from `/proc`;
//! where there is none, the cost is not measured and the receipt alone decides.

use std::fs::{self, File};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host::attack::{Attack, Call, Cost, Evidence, Feed, Observed, Stage, Target, patience, within_reason};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value as Json;

use super::Battle;

/// The variable in each process's environment that no policy grants.
const CANARY: &str = "HOST_ATTACK_CANARY";

/// How often a process is looked at: often while it is young, since many attacks are over in a moment.
const LOOK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// How long a process is young.
const YOUNG: Duration = Duration::from_millis(100);

/// In the path of requests that may have the secret.
const GRANTED: &str = "/granted/";

/// What names lead to: one to this machine, one to this machine and to a public address, and one to a public address and
/// from then on to this machine. Nothing is ever sent to the public one: a name with an address that may not be reached is
/// refused whole, and if it weren't, this machine would be asked first; and the first answer of the third is only looked up.
const RESOLVED: [&str; 4] = [
    "private.attack.example=127.0.0.1",
    "mixed.attack.example=127.0.0.1,8.8.8.8",
    "turning.attack.example=8.8.8.8",
    "turning.attack.example=127.0.0.1",
];

/// Bytes of what a process writes that are kept; an attack that floods is not judged by what it writes.
const KEPT: usize = 1 << 20;

/// Nanoseconds of the unit in which `/proc` counts processor time, on every architecture that Linux has.
const PROC_TICK_NS: u64 = 10_000_000;

/// Runs one attack to its end.
pub(super) fn run(attack: &Attack, goal: u64, battle: &Battle) -> Result<Evidence, String> {
    let stage = &battle.stage;
    let folder = stage.folder().display().to_string();
    let peer = battle.peer.address.to_string();
    let scene = Stage { canary: &stage.canary, folder: &folder, peer: &peer };
    let bytes = attack.bytes(goal, &scene)?;
    let failed = |error: std::io::Error| error.to_string();
    let policy = stage.policy(attack.name, &attack.granted(&scene))?;
    let component = stage.folder().join(format!("{}.wasm", attack.name));
    fs::write(&component, bytes).map_err(failed)?;
    let directory = stage.directory(attack.name).map_err(failed)?;
    let filled = (attack.target == Target::Quota).then(|| stage.writable(attack.name)).transpose().map_err(failed)?;
    let receipt = stage.folder().join(format!("{}.receipt", attack.name));
    let mut grant = directory.0.clone().into_os_string();
    grant.push("::/host-attack::ro");

    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("run").arg("--policy").arg(policy).arg("--dir").arg(grant).arg("--receipt").arg(&receipt);
    for answer in RESOLVED {
        command.arg("--resolve").arg(answer);
    }
    if attack.target == Target::Compiling {
        // Nothing of an attack on the compiler is kept, and none begins where another one ended.
        command.args(["--cache", "off"]);
        for (kind, most) in within_reason(&battle.policy.limits) {
            command.arg(format!("--{}", kind.row().name)).arg(kind.row().show(most));
        }
    }
    if attack.call == Call::Function {
        command.args(["--invoke", "attack()"]);
    }
    command.arg(&component).env(CANARY, &stage.canary).env("NO_COLOR", "1").env_remove("HOST_LOG");
    let stdin = match attack.stdin {
        Feed::Empty => Stdio::null(),
        Feed::Goal => zeros(&stage.folder().join(format!("{}.input", attack.name)), goal).map_err(failed)?.into(),
        Feed::Silent => Stdio::piped(),
    };
    let began = Instant::now();
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // Held open to the end, and nothing is written to it.
    let silence = child.stdin.take();
    let stdout = child.stdout.take().map(keep);
    let stderr = child.stderr.take().map(keep);
    let deadline = began + patience(attack, &battle.policy.limits);
    let (killed, mut cost) = watch(&mut child, deadline, battle);
    // Reaped only now: until then its number can't become another process's.
    let ended = child.wait();
    cost.wall_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    drop(silence);
    let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.map(|reader| reader.join().unwrap_or_default()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    ended.map_err(failed)?;
    let heads = battle.peer.heads(attack.name);
    let told = |head: &&String| head.contains(&stage.canary) && !head.contains(GRANTED);
    let said_yes = stdout == "true\n";
    let evidence = Evidence {
        receipt: observed(&receipt),
        cost,
        killed,
        said_yes,
        leaked: attack.target == Target::Secret
            && (said_yes || stdout.contains(&stage.canary) || heads.iter().any(|head| told(&head))),
        reached: !heads.is_empty(),
        smuggled: attack.target == Target::Message && heads.iter().any(|head| told(&head)),
        changed: directory.changed(),
        overfull: filled.is_some_and(|directory| directory.overfull()),
        forged: attack.target == Target::Log && forged(&stderr, &stage.canary),
    };
    // A large component is not kept until the end of all the others.
    let _ = fs::remove_file(&component);
    Ok(evidence)
}

/// Waits for the end without reaping, measures, and ends the process at the deadline or when the user wants to stop.
fn watch(child: &mut Child, deadline: Instant, battle: &Battle) -> (bool, Cost) {
    let began = Instant::now();
    let [soon, later] = LOOK;
    let mut cost = Cost::default();
    let mut killed = false;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        cost.memory_peak_bytes = peak(child.id()).max(cost.memory_peak_bytes);
        // What can't be asked has ended, or the wait that follows says why not.
        let running = pid.is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(None)));
        if !running {
            break;
        }
        if battle.cancelled.load(Relaxed) || Instant::now() > deadline {
            // An error means that it has just ended by itself.
            killed = child.kill().is_ok();
            let _ = pid.map(|pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            break;
        }
        std::thread::sleep(if began.elapsed() < YOUNG { soon } else { later });
    }
    cost.cpu_ns = processor_time(child.id());
    (killed, cost)
}

/// The most memory that a process has held, in bytes.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The processor time of a process with all its threads, in nanoseconds.
fn processor_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may have anything in it; after it, these are the 12th and 13th words.
    let (_, words) = stat.rsplit_once(')')?;
    let mut words = words.split_whitespace().skip(11);
    let mut ticks = || words.next()?.parse::<u64>().ok();
    Some(ticks()?.saturating_add(ticks()?).saturating_mul(PROC_TICK_NS))
}

/// A file of zeros, open at its beginning.
fn zeros(path: &Path, length: u64) -> std::io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    // A first byte, so that some file systems which don't know holes still give the length.
    file.write_all(&[0])?;
    file.set_len(length)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Reads a stream to its end and keeps the beginning.
fn keep(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        // A stream that breaks has ended.
        let _ = stream.by_ref().take(KEPT as u64).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        kept
    })
}

/// What the receipt says, if there is one that can be read.
fn observed(path: &Path) -> Option<Observed> {
    let receipt: Json = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let denials = receipt.pointer("/denials")?.as_array()?;
    let name = |denial: &Json| Some(denial.get("capability")?.as_str()?.to_owned());
    Some(Observed {
        reason: receipt.pointer("/stop/reason")?.as_str()?.to_owned(),
        message: receipt.pointer("/stop/message").and_then(Json::as_str).map(str::to_owned),
        cpu_ns: receipt.pointer("/timings/computing-ns")?.as_u64()?,
        denials: denials.iter().filter_map(name).collect(),
    })
}

/// Whether a guest's message drives a terminal, or is in a line that isn't marked as the guest's.
fn forged(stderr: &str, canary: &str) -> bool {
    let raw = |c: char| c != '\n' && host::escape(c.encode_utf8(&mut [0; 4])) != c.to_string() && c != '\\';
    let unmarked = |line: &str| {
        let level = line.split_whitespace().next().unwrap_or_default();
        !line.trim_start().starts_with(&format!("{level} guest: "))
    };
    stderr.chars().any(raw) || stderr.lines().filter(|line| line.contains(canary)).any(unmarked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_line_and_a_raw_character_are_seen() {
        let honest = "ERROR guest: abc\\n ERROR host: abc\\u{1b} tenant=\"local\"\n";
        assert!(!forged(honest, "abc"));
        assert!(!forged("error: limit.cpu: the guest\n", "abc"));
        assert!(forged("ERROR guest: x\n ERROR host: abc\n", "abc"));
        assert!(forged("ERROR guest: abc\u{1b}[2J\n", "abc"));
        assert!(forged("ERROR guest: abc\u{202e}\n", "abc"));
        assert!(forged("abc\n", "abc"));
    }

    #[test]
    fn this_process_has_a_cost() {
        assert!(peak(std::process::id()).is_some_and(|bytes| bytes > 1 << 16));
        assert!(processor_time(std::process::id()).is_some());
        assert_eq!(peak(u32::MAX), None);
    }
}
