//! How far an attack goes under a policy, and the bytes that it is made of then.

use std::fmt::Write as _;

use super::{Attack, Feed, Source, Target};
use crate::outcome::Capability;
use crate::policy::{LimitKind, Limits, Policy};

/// How far an attack goes. What it reaches is more than its limit allows and no more than that, so that it proves its
/// point and does no further harm.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// It never ends by itself, or wants one thing.
    Endless,
    /// One past this limit, or past its default where it is switched off; at most so much can be expressed.
    Past(LimitKind, u64),
    /// Pages of memory past the limit, in so many memories.
    Pages(u64),
    /// Pages that bulk instructions work on, well within the limit.
    Range,
}

/// Why an attack makes no sense under a policy.
pub type NotApplied = &'static str;

/// What the self-test has prepared for an attack to find.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// A word that no guest may learn.
    pub canary: &'a str,
    /// The folder in which the directory that is granted lies, beside a file with the word in it.
    pub folder: &'a str,
    /// The address of the server that attacks on HTTP ask.
    pub peer: &'a str,
}

const PAGE: u64 = 1 << 16;

/// Pages by which the goal is past the limit on memory: 16 MiB, so that its cost could be seen from outside too.
const PAGES_PAST: u64 = 256;

/// The most pages of one memory.
const MAX_PAGES: u64 = 1 << 16;

/// The imports that several attacks share, each with the place where it goes.
const SHARED: &[(&str, &str)] = &[
    ("{poll}", include_str!("wasi/poll.wat")),
    ("{files}", include_str!("wasi/files.wat")),
    ("{network}", include_str!("wasi/network.wat")),
    ("{log}", include_str!("wasi/log.wat")),
    ("{names}", include_str!("wasi/names.wat")),
    ("{preview1}", include_str!("wasi/preview1.wat")),
    ("{tcp}", include_str!("wasi/tcp.wat")),
    ("{http}", include_str!("wasi/http.wat")),
    ("{job}", include_str!("wasi/job.wat")),
];

impl Attack {
    /// What it has to reach to have gone too far: bytes, pages or a count.
    ///
    /// # Errors
    /// Why there is nothing to attack under this policy.
    pub fn goal(&self, policy: &Policy) -> Result<u64, NotApplied> {
        let limits = &policy.limits;
        if self.target == Target::Limit(LimitKind::Fuel) && limits.fuel.is_none() {
            return Err("fuel is not metered; `cpu` is what holds a guest that computes");
        }
        let grants = &policy.grants;
        let sockets = !grants.net.is_empty() || !grants.lookup.is_empty();
        if sockets && self.grants.is_empty() && matches!(self.target, Target::Denied(Capability::Net | Capability::Dns))
        {
            return Err("the policy grants sockets or look-ups of its own");
        }
        if self.stdin != Feed::Empty && !policy.grants.stdio.unwrap_or_default().stdin {
            return Err("standard input is not granted");
        }
        match self.goal {
            Goal::Endless => Ok(0),
            Goal::Past(kind, most) => {
                let goal = allowed(limits, kind).saturating_add(1);
                if goal > most { Err("the limit is higher than one guest can reach") } else { Ok(goal) }
            }
            Goal::Pages(memories) => {
                let pages = (allowed(limits, LimitKind::Memory) / PAGE).saturating_add(PAGES_PAST);
                let most = memories * MAX_PAGES;
                if pages > most { Err("the limit is higher than such a guest can reach") } else { Ok(pages) }
            }
            Goal::Range => Ok((limits.memory.0 / PAGE / 4).clamp(1, 1024)),
        }
    }

    /// What is granted to it beside the policy, as a part of a policy file.
    pub fn granted(&self, stage: &Stage<'_>) -> String {
        fill(self.grants, 0, stage).replace("{name}", self.name)
    }

    /// The bytes to give to the host, for a goal.
    ///
    /// # Errors
    /// The text of the attack doesn't parse, which is a bug.
    pub fn bytes(&self, goal: u64, stage: &Stage<'_>) -> Result<Vec<u8>, String> {
        match self.source {
            Source::Native => Ok(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec()),
            Source::Text(text) => parse(&fill(text, goal, stage)),
            Source::Bomb(bomb) => Ok(bomb.text().into_bytes()),
            Source::Padded => {
                let mut bytes = parse(&fill(include_str!("padded.wat"), goal, stage))?;
                // A custom section: its number, its length in five bytes, an empty name, and zeros.
                let header = 6;
                let zeros = goal.saturating_sub(bytes.len() as u64 + header).max(1);
                bytes.push(0);
                bytes.extend((0..5u32).map(|n| {
                    let seven = (zeros >> (7 * n)) & 0x7f;
                    u8::try_from(seven).unwrap_or(0) | if n < 4 { 0x80 } else { 0 }
                }));
                let length = bytes.len() as u64 + zeros;
                bytes.resize(usize::try_from(length).map_err(|error| error.to_string())?, 0);
                Ok(bytes)
            }
        }
    }
}

/// What a limit allows, or what its default would allow where it is switched off.
fn allowed(limits: &Limits, kind: LimitKind) -> u64 {
    let limits = if limits.is_unlimited(kind) { &Limits::default() } else { limits };
    limits.get(kind).unwrap_or(0)
}

fn parse(text: &str) -> Result<Vec<u8>, String> {
    wat::parse_str(text).map_err(|error| error.to_string())
}

/// Puts what is only known now into the text of an attack: shared imports, lines that are repeated, figures.
fn fill(text: &str, goal: u64, stage: &Stage<'_>) -> String {
    let mut full = text.to_owned();
    for (place, shared) in SHARED {
        full = full.replace(place, shared);
    }
    if let Some((before, rest)) = full.split_once("{repeat ")
        && let Some((line, after)) = rest.split_once('}')
    {
        let mut repeated = before.to_owned();
        for _ in 0..goal {
            // Writing to a string can't fail.
            let _ = writeln!(repeated, "{line}");
        }
        full = repeated + after;
    }
    let pages = goal / PAGE + 2;
    let port = stage.peer.rsplit(':').next().unwrap_or_default();
    let complement: String = stage.canary.bytes().map(|byte| format!("\\{:02x}", !byte)).collect();
    full.replace("{goal}", &goal.to_string())
        .replace("{goal-12}", &format!("{goal:012}"))
        .replace("{pages}", &pages.to_string())
        .replace("{canary}", stage.canary)
        .replace("{canary-complement}", &complement)
        .replace("{folder}", stage.folder)
        .replace("{peer}", stage.peer)
        .replace("{peer-port}", port)
        .replace("{peer-port-length}", &port.len().to_string())
        .replace("{peer-length}", &stage.peer.len().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::ATTACKS;

    fn goal(name: &str, policy: &str) -> Result<u64, NotApplied> {
        let policy = Policy::parse(policy).unwrap();
        ATTACKS.iter().find(|attack| attack.name == name).unwrap().goal(&policy)
    }

    #[test]
    fn the_goal_is_just_past_the_limit_or_past_the_default_where_there_is_none() {
        assert_eq!(goal("random-flood", "limits.random = '100B'"), Ok(101));
        assert_eq!(goal("random-flood", "limits.random = 'unlimited'"), Ok((1 << 20) + 1));
        assert_eq!(goal("memory-growth", "limits.memory = '32MiB'"), Ok(512 + 256));
        assert_eq!(goal("memory-growth", "limits.memory = 'unlimited'"), Ok(2048 + 256));
        assert_eq!(goal("table-growth", "limits.table = 7"), Ok(8));
    }

    #[test]
    fn what_no_guest_can_reach_is_not_tried() {
        assert!(goal("memory-growth", "limits.memory = '8GiB'").is_err());
        assert!(goal("memory-in-pieces", "limits.memory = '8GiB'").is_ok());
        assert!(goal("hostcall-argument", "limits.hostcall = '4GiB'").is_err());
        assert!(goal("net-tcp", "").is_ok());
        assert!(goal("net-tcp", "net = [{ connect = 'a.example:1' }]").is_err());
        assert!(goal("net-private", "net = [{ connect = 'a.example:1' }]").is_ok());
        assert!(goal("fuel", "").is_err());
        assert!(goal("fuel", "limits.fuel = 5").is_ok());
        assert!(goal("input", "stdio.stdin = false").is_err());
        assert!(goal("input", "stdio.stdin = true").is_ok());
    }
}
