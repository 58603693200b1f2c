//! `host attack`: the self-test, from a policy to a table of what held and what it cost.

mod child;
mod peer;
mod stage;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use host::Stop;
use host::attack::{ATTACKS, Attack as Row, Evidence, Target, Verdict, judge};
use host::outcome::{Refusal, StopReason};
use host::policy::{Policy, StdioGrant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use self::peer::Peer;
use self::stage::Stage;
use super::interrupt::Interrupt;
use super::{USAGE, files, report};

/// Exit status when an attack was not contained.
const NOT_CONTAINED: u8 = 1;

/// Attack this host under a policy, and say what held
///
/// Runs hostile components that come with the program, each in a process of its own (`host run`) and under the policy.
/// Each goes after one limit or one grant; the report says what held it and what that cost. The exit status is 0 when
/// all were contained, 1 when one was not, 126 when the policy can't be read, and 130 when it was cancelled.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Attack {
    /// Attack under the grants and limits of this TOML file instead of the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Write the report as JSON to standard output
    #[arg(long)]
    json: bool,

    /// Run this attack only; may come several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Show the attacks and run none
    #[arg(long, conflicts_with_all = ["json", "policy"])]
    list: bool,

    /// Run so many at once; those that only wait run beside them [default: half of the processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
}

const EXAMPLES: &str = "Examples:
  host attack
  host attack --policy tenant.toml
  host attack --policy tenant.toml --only spin --only memory-growth --json";

/// Why a directory with a quota can't be granted beside what the policy grants.
const OVERLAPS: &str = "the policy grants a directory in which the folder for temporary files lies";

/// An attack that is over, or that made no sense under the policy.
struct Ended {
    attack: &'static Row,
    goal: u64,
    judged: Result<(Verdict, Evidence), &'static str>,
}

/// What all attacks of one self-test share.
struct Battle {
    stage: Stage,
    peer: Peer,
    policy: Policy,
    cancelled: Arc<AtomicBool>,
}

impl Attack {
    /// Runs the self-test and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let rows = match self.rows() {
            Ok(rows) => rows,
            Err(message) => {
                report::error(&message);
                report::hint("`host attack --list` shows the names");
                return USAGE;
            }
        };
        if self.list {
            return table::list(&rows);
        }
        let interrupt = Interrupt::listen();
        match self.fight(rows, interrupt).await {
            Ok(status) => status,
            Err(stop) => {
                report::refusal(&stop);
                stop.reason.exit_status()
            }
        }
    }

    /// The attacks that are asked for, in the order of the catalogue.
    fn rows(&self) -> Result<Vec<&'static Row>, String> {
        for name in &self.only {
            if !ATTACKS.iter().any(|attack| attack.name == name) {
                return Err(format!("there is no attack `{}`", host::escape(name)));
            }
        }
        let asked = |attack: &&Row| self.only.is_empty() || self.only.iter().any(|name| name == attack.name);
        Ok(ATTACKS.iter().filter(asked).collect())
    }

    async fn fight(&self, rows: Vec<&'static Row>, interrupt: Interrupt) -> Result<u8, Stop> {
        let (mut policy, text) = match &self.policy {
            Some(path) => files::policy_and_text(path)?,
            None => (Policy::default(), String::new()),
        };
        // As `host run` connects them, which is what each attack is run by.
        policy.grants.stdio.get_or_insert(StdioGrant::ALL);
        let stage = Stage::build(&text).map_err(|error| failed(&format!("failed to make a folder: {error}")))?;
        let peer = Peer::start(&stage.canary);
        let peer = peer.map_err(|error| failed(&format!("failed to listen on the loopback address: {error}")))?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let battle = Arc::new(Battle { stage, peer, policy, cancelled: Arc::clone(&cancelled) });
        let (sender, mut receiver) = unbounded_channel();
        let jobs = self.jobs.map_or_else(default_jobs, usize::from);
        let work = tokio::task::spawn_blocking({
            let (battle, rows) = (Arc::clone(&battle), rows.clone());
            move || battle.all(&rows, jobs, &sender)
        });
        // It has the flag alone: whoever had the stage could keep its folder past the end of the process.
        tokio::spawn(async move {
            interrupt.wished().await;
            cancelled.store(true, Relaxed);
        });
        if !self.json {
            table::head();
        }
        let mut results = Vec::new();
        while let Some(result) = receiver.recv().await {
            if !self.json {
                table::line(&result);
            }
            results.push(result);
        }
        work.await.unwrap_or_else(|_| Err(failed("it panicked")))?;
        if battle.cancelled.load(Relaxed) {
            return Err(Stop::new(StopReason::Cancelled, "the self-test was cancelled"));
        }
        // A report says the same however the attacks overtook each other.
        results.sort_by_key(|result| rows.iter().position(|row| row.name == result.attack.name));
        let held = results.iter().all(|result| result.judged.as_ref().map_or(true, |(verdict, _)| verdict.contained));
        if self.json {
            table::json(&results, &battle.policy, held);
        } else {
            table::summary(&results);
        }
        Ok(if held { 0 } else { NOT_CONTAINED })
    }
}

impl Battle {
    /// Runs all attacks: those that wait beside the others, since they cost nothing. The first error ends them all.
    fn all(&self, rows: &[&'static Row], jobs: usize, ended: &UnboundedSender<Ended>) -> Result<(), Stop> {
        let (waiting, working): (VecDeque<&'static Row>, VecDeque<_>) = rows.iter().partition(|row| row.waits());
        let waiters = waiting.len();
        let (waiting, working) = (Mutex::new(waiting), Mutex::new(working));
        let next = |queue: &Mutex<VecDeque<&'static Row>>| {
            if self.cancelled.load(Relaxed) {
                return None;
            }
            queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
        };
        let lane = |queue: &Mutex<VecDeque<&'static Row>>| -> Result<(), Stop> {
            while let Some(row) = next(queue) {
                let result = self.one(row).inspect_err(|_| self.cancelled.store(true, Relaxed))?;
                if self.cancelled.load(Relaxed) {
                    return Ok(());
                }
                // Nobody listens only when the self-test is over.
                let _ = ended.send(result);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let lanes = (0..waiters).map(|_| &waiting).chain((0..jobs).map(|_| &working));
            let lanes: Vec<_> = lanes.map(|queue| scope.spawn(|| lane(queue))).collect();
            let panicked = |_| Err(failed("it panicked"));
            lanes.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(panicked))
        })
    }

    fn one(&self, attack: &'static Row) -> Result<Ended, Stop> {
        let goal = match attack.goal(&self.policy) {
            Ok(goal) => goal,
            Err(why) => return Ok(Ended { attack, goal: 0, judged: Err(why) }),
        };
        if attack.target == Target::Quota && self.stage.lies_in(&self.policy) {
            return Ok(Ended { attack, goal, judged: Err(OVERLAPS) });
        }
        let evidence =
            child::run(attack, goal, self).map_err(|error| failed(&format!("`{}`: {error}", attack.name)))?;
        let refused = StopReason::Refused(Refusal::Grant);
        if let Some(receipt) = evidence.receipt.as_ref().filter(|receipt| receipt.reason == refused.code()) {
            // Nothing can be run under such a policy, so nothing can be said about it.
            let message = receipt.message.clone().unwrap_or_default();
            return Err(Stop::new(refused, message).with_hint("the policy grants something that isn't there"));
        }
        let verdict = judge(attack, &self.policy, &evidence);
        Ok(Ended { attack, goal, judged: Ok((verdict, evidence)) })
    }
}

/// The self-test itself could not be made.
fn failed(why: &str) -> Stop {
    let hint = "it needs a folder for temporary files that it can write to, and processes that it can start";
    Stop::new(StopReason::HostFault, format!("the self-test failed: {why}")).with_hint(hint)
}

/// Half of the processors, so that those that compute don't slow each other down.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).clamp(1, 8))
}
