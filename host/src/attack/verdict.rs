//! Whether an attack was held: from the receipt, from what it cost, and from what it left behind.
//!
//! The figures come from two sides. The receipt is what the host says of itself; processor time and memory of the
//! whole process are what the operating system says. An attack was held if both say so.

use std::time::Duration;

use serde::Serialize;

use super::{Attack, Target};
use crate::outcome::{Capability, StopReason};
use crate::policy::{LimitKind, Limits, Policy};

/// What an attack cost, as the operating system counts. What couldn't be measured is absent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// Nanoseconds from the start of the process to its end.
    pub wall_ns: u64,
    /// Nanoseconds of processor time of the whole process.
    pub cpu_ns: Option<u64>,
    /// The most bytes of memory that the process held at once.
    pub memory_peak_bytes: Option<u64>,
}

/// What the receipt says.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The stop reason's code.
    pub reason: String,
    /// What happened, for people.
    pub message: Option<String>,
    /// Processor time of the guest in nanoseconds.
    pub cpu_ns: u64,
    /// Capabilities of which something was denied, by their name.
    pub denials: Vec<String>,
}

/// All that is known of an attack that is over.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The receipt, if there is one.
    pub receipt: Option<Observed>,
    /// What it cost.
    pub cost: Cost,
    /// The self-test had to end the process.
    pub killed: bool,
    /// The function's result, where it says that it got what it wanted, or that it was the operating system's refusal.
    pub said_yes: bool,
    /// The word that no guest may learn is in what it wrote.
    pub leaked: bool,
    /// The directory that may only be read has changed.
    pub changed: bool,
    /// The directory that it may fill holds more than its quota.
    pub overfull: bool,
    /// A request of its own arrived at the server that it asked.
    pub reached: bool,
    /// The server was sent a part of a message that a guest may not write.
    pub smuggled: bool,
    /// The host's standard error has a line or a character that the guest made.
    pub forged: bool,
}

/// The judgement of one attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Whether it was held.
    pub contained: bool,
    /// What ended it: a stop reason, or what refused it.
    pub by: Option<String>,
    /// Why it was not held, for people.
    pub why: Option<String>,
}

/// Processor time that the host itself may use around a guest: starting, compiling, writing output.
const CPU_OVERHEAD: Duration = Duration::from_secs(2);

/// By how much a guest may overrun its processor time: a tick, one bulk instruction, one host call.
const CPU_OVERRUN: Duration = Duration::from_millis(500);

/// Memory of the host itself: its code, the engine, a compilation.
const MEMORY_OVERHEAD: u64 = 128 << 20;

/// Time past the deadline for starting, for the grace of a stop, and for writing what waits.
const WALL_OVERHEAD: Duration = Duration::from_secs(14);

/// The most that the self-test lets one compilation have, so that it takes no longer than it must: a bomb is well past
/// that. What is switched off stays so.
const COMPILING: &[(LimitKind, u64)] = &[
    (LimitKind::CompileCpu, 2_000_000_000),
    (LimitKind::CompileWall, 20_000_000_000),
    (LimitKind::CompileMemory, 256 << 20),
    (LimitKind::ArtifactSize, 64 << 20),
];

/// The limits of compiling that an attack is run with: the policy's own, or less.
pub fn within_reason(limits: &Limits) -> Vec<(LimitKind, u64)> {
    let own = |kind: LimitKind| limits.get(kind).filter(|_| !limits.is_unlimited(kind));
    COMPILING.iter().filter_map(|(kind, most)| Some((*kind, own(*kind)?.min(*most)))).collect()
}

/// How long the self-test waits for an attack before it ends it.
pub fn patience(attack: &Attack, limits: &Limits) -> Duration {
    if attack.target == Target::Compiling {
        let wall = within_reason(limits).into_iter().find(|(kind, _)| *kind == LimitKind::CompileWall);
        return WALL_OVERHEAD.saturating_add(Duration::from_nanos(wall.map_or(0, |(_, nanos)| nanos)));
    }
    let unlimited = |kind| limits.is_unlimited(kind);
    match (unlimited(LimitKind::Wall), unlimited(LimitKind::Cpu)) {
        (false, _) => limits.wall.0.saturating_add(WALL_OVERHEAD),
        // Without a deadline a guest may share its processor with others and still be within its limit.
        (true, false) => limits.cpu.0.saturating_mul(4).saturating_add(Duration::from_secs(5)),
        (true, true) => WALL_OVERHEAD,
    }
}

/// Judges one attack.
pub fn judge(attack: &Attack, policy: &Policy, evidence: &Evidence) -> Verdict {
    match ended(attack, policy, evidence).and_then(|by| within(attack, &policy.limits, evidence).map(|()| by)) {
        Ok(by) => Verdict { contained: true, by: Some(by), why: None },
        Err(why) => {
            let by = evidence.receipt.as_ref().map(|receipt| receipt.reason.clone());
            Verdict { contained: false, by: by.filter(|by| by != StopReason::Returned.code()), why: Some(why) }
        }
    }
}

/// What ended it, if that is an ending that it should have.
fn ended(attack: &Attack, policy: &Policy, evidence: &Evidence) -> Result<String, String> {
    if evidence.leaked {
        return Err("it read a secret of the host's".to_owned());
    }
    if evidence.changed {
        return Err("it wrote where it may only read".to_owned());
    }
    if evidence.overfull {
        return Err("its directory holds more than the quota".to_owned());
    }
    if evidence.forged {
        return Err("its text is in the host's messages as if it were the host's own".to_owned());
    }
    if evidence.smuggled {
        return Err("it wrote a part of a message that is the host's to write".to_owned());
    }
    if evidence.reached && attack.target == Target::Denied(Capability::Http) {
        return Err("its request reached a server that nothing grants".to_owned());
    }
    if evidence.killed {
        let after = about_time(evidence.cost.wall_ns);
        return Err(match attack.target {
            Target::Limit(kind) if policy.limits.is_unlimited(kind) => {
                format!("{}: only the self-test ended it, after {after}", off(kind))
            }
            _ => format!("only the self-test ended it, after {after}"),
        });
    }
    let Some(receipt) = &evidence.receipt else {
        return Err("the host itself died, without a receipt".to_owned());
    };
    let reason = receipt.reason.as_str();
    let returned = reason == StopReason::Returned.code();
    let limit = reason.starts_with("limit.");
    let denied = reason.starts_with("denied.");
    match attack.target {
        Target::Limit(kind) => of_limit(kind, &policy.limits, evidence, receipt),
        // Whatever ends it early keeps it from what it wants.
        Target::Secret | Target::ReadOnly | Target::Quota | Target::Denied(_) | Target::Log | Target::Message
            if limit || denied =>
        {
            Ok(reason.to_owned())
        }
        Target::Quota if returned && evidence.said_yes => Err("it got more than the quota".to_owned()),
        Target::Quota if returned => refused_by(receipt, Capability::Dir),
        Target::Denied(_) if returned && evidence.said_yes => Err("it got what nothing grants".to_owned()),
        Target::Denied(capability) if returned => refused_by(receipt, capability),
        Target::Secret | Target::ReadOnly if returned => {
            let denied = receipt.denials.first().map(|name| format!("denied.{name}"));
            Ok(denied.unwrap_or_else(|| "nothing granted".to_owned()))
        }
        Target::Log if returned => Ok("escaping".to_owned()),
        Target::Message if returned && evidence.reached => Ok("checked headers".to_owned()),
        Target::Refused(_) if reason == attack.target.code() => Ok(reason.to_owned()),
        Target::Compiling if returned => Ok("compiled within its limits".to_owned()),
        Target::Compiling if limit || reason.starts_with("refused.") => Ok(reason.to_owned()),
        _ => Err(format!("it ended as `{reason}`, which is not what should hold it")),
    }
}

/// What an attack that got nothing was refused by, if the receipt says so.
fn refused_by(receipt: &Observed, capability: Capability) -> Result<String, String> {
    let code = StopReason::Denied(capability).code();
    let name = code.trim_start_matches("denied.");
    if receipt.denials.iter().any(|denial| denial == name) {
        Ok(code.to_owned())
    } else {
        Err(format!("it was refused, and the receipt has no denial of `{name}`"))
    }
}

/// The ending of an attack on a limit. Where the limit is in force, any limit that comes first is as good: the attack
/// ends by itself just past its own, so it didn't get that far.
fn of_limit(kind: LimitKind, limits: &Limits, evidence: &Evidence, receipt: &Observed) -> Result<String, String> {
    let reason = receipt.reason.as_str();
    let returned = reason == StopReason::Returned.code();
    let by = match (returned && evidence.said_yes, kind) {
        (true, LimitKind::HttpTimeout) => kind.code(),
        (true, _) => "the operating system",
        (false, _) => reason,
    };
    let by_limit = reason.starts_with("limit.");
    match (limits.is_unlimited(kind), returned && !evidence.said_yes) {
        (true, true) => Err(format!("{}: it took all that it wanted", off(kind))),
        (true, false) => {
            let spent = evidence.cost.cpu_ns.unwrap_or(receipt.cpu_ns);
            Err(format!("{}: only `{by}` ended it, after {} of processor time", off(kind), about_time(spent)))
        }
        (false, true) => Err(format!("it went past the limit `{}` of {}", kind.row().name, shown(kind, limits))),
        (false, false) if by_limit || evidence.said_yes => Ok(by.to_owned()),
        (false, false) => Err(format!("it ended as `{reason}`, which is no limit")),
    }
}

/// Whether it cost no more than the policy and the host's own needs together.
fn within(attack: &Attack, limits: &Limits, evidence: &Evidence) -> Result<(), String> {
    let cost = &evidence.cost;
    if !limits.is_unlimited(LimitKind::Cpu) {
        let guest = evidence.receipt.as_ref().map_or(0, |receipt| receipt.cpu_ns);
        let most = limits.cpu.nanos().saturating_add(nanos(CPU_OVERRUN));
        if guest > most {
            return Err(too_much("the guest used", &about_time(guest), "processor time", &about_time(most)));
        }
        let most = limits.cpu.nanos().saturating_add(nanos(CPU_OVERHEAD));
        if let Some(used) = cost.cpu_ns.filter(|used| *used > most) {
            return Err(too_much("the process used", &about_time(used), "processor time", &about_time(most)));
        }
    }
    if !limits.is_unlimited(LimitKind::Wall) {
        let most = limits.wall.nanos().saturating_add(nanos(WALL_OVERHEAD));
        if cost.wall_ns > most {
            return Err(too_much("it took", &about_time(cost.wall_ns), "time", &about_time(most)));
        }
    }
    let most = memory_allowed(attack.target, limits);
    match cost.memory_peak_bytes {
        Some(held) if held > most => Err(too_much("the process held", &about_size(held), "memory", &about_size(most))),
        _ => Ok(()),
    }
}

/// The memory that the process may hold: the guest's, the host's own, and copies of what the attack hands over, which
/// other limits bound.
fn memory_allowed(target: Target, limits: &Limits) -> u64 {
    let times = |kind: LimitKind, factor: u64| limits.get(kind).unwrap_or(u64::MAX).saturating_mul(factor);
    let copies = match target {
        Target::Limit(LimitKind::Hostcall | LimitKind::Output) => times(LimitKind::Hostcall, 4),
        Target::Limit(LimitKind::Input) => times(LimitKind::Input, 2),
        Target::Limit(LimitKind::Random) => times(LimitKind::Random, 1),
        Target::Limit(LimitKind::ComponentSize) => times(LimitKind::ComponentSize, 2),
        _ => 0,
    };
    limits.memory.0.saturating_add(MEMORY_OVERHEAD).saturating_add(copies)
}

fn off(kind: LimitKind) -> String {
    format!("`{}` is unlimited", kind.row().name)
}

fn shown(kind: LimitKind, limits: &Limits) -> String {
    limits.get(kind).map_or_else(|| "off".to_owned(), |amount| kind.row().show(amount))
}

fn too_much(who: &str, used: &str, of: &str, most: &str) -> String {
    format!("{who} {used} of {of}, and {most} is what the policy and the host's own needs come to")
}

fn about_time(nanos: u64) -> String {
    LimitKind::Wall.row().about(nanos)
}

fn about_size(bytes: u64) -> String {
    LimitKind::Memory.row().about(bytes)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::ATTACKS;
    use crate::policy::{LIMITS, UNLIMITED};

    fn attack(name: &str) -> &'static Attack {
        ATTACKS.iter().find(|attack| attack.name == name).unwrap()
    }

    fn ending(reason: &str) -> Evidence {
        let receipt = Observed { reason: reason.to_owned(), cpu_ns: 1, ..Observed::default() };
        let cost = Cost { wall_ns: 1, cpu_ns: Some(1), memory_peak_bytes: Some(1) };
        Evidence { receipt: Some(receipt), cost, ..Evidence::default() }
    }

    fn off(kind: LimitKind) -> Policy {
        let mut policy = Policy::default();
        policy.limits.set(kind, UNLIMITED);
        policy
    }

    #[track_caller]
    fn held(attack: &Attack, policy: &Policy, evidence: &Evidence, by: &str) {
        let verdict = judge(attack, policy, evidence);
        assert_eq!(verdict, Verdict { contained: true, by: Some(by.to_owned()), why: None }, "{}", attack.name);
    }

    #[track_caller]
    fn not_held(attack: &Attack, policy: &Policy, evidence: &Evidence, why: &str) {
        let verdict = judge(attack, policy, evidence);
        assert!(!verdict.contained, "{}", attack.name);
        assert!(verdict.why.as_ref().is_some_and(|text| text.contains(why)), "{verdict:?}");
    }

    #[test]
    fn an_attack_on_a_limit_is_held_by_it_and_not_where_it_is_off() {
        let policy = Policy::parse("limits.fuel = 1000").unwrap();
        for attack in ATTACKS {
            let Target::Limit(kind) = attack.target else { continue };
            held(attack, &policy, &ending(kind.code()), kind.code());
            not_held(attack, &policy, &ending("returned"), "it went past the limit");
            not_held(attack, &policy, &ending("trapped"), "which is no limit");
            not_held(attack, &policy, &ending("host-fault"), "which is no limit");
            not_held(attack, &policy, &Evidence::default(), "died");
            not_held(attack, &policy, &Evidence { killed: true, ..ending("returned") }, "only the self-test ended it");
        }
        for row in LIMITS.iter().filter(|row| row.stops && row.kind != LimitKind::Stack) {
            let without = off(row.kind);
            for attack in ATTACKS.iter().filter(|attack| attack.target == Target::Limit(row.kind)) {
                not_held(attack, &without, &ending("returned"), "is unlimited: it took all");
                not_held(attack, &without, &ending("limit.wall"), "is unlimited: only `limit.wall` ended it");
                not_held(
                    attack,
                    &without,
                    &Evidence { killed: true, ..ending("") },
                    "is unlimited: only the self-test",
                );
            }
        }
    }

    #[test]
    fn another_limit_that_comes_first_holds_it_while_its_own_is_in_force() {
        let policy = Policy::default();
        held(attack("memory-growth"), &policy, &ending("limit.cpu"), "limit.cpu");
        held(attack("spin"), &policy, &ending("limit.wall"), "limit.wall");
        let mut slow = ending("limit.wall");
        slow.receipt.as_mut().unwrap().cpu_ns = 11_000_000_000;
        not_held(attack("spin"), &policy, &slow, "the guest used 11s of processor time");
    }

    #[test]
    fn a_cost_above_the_policy_is_not_held_whatever_the_receipt_says() {
        let policy = Policy::default();
        let at = |cost: Cost| Evidence { cost, ..ending("limit.memory") };
        let bomb = attack("memory-growth");
        let most = (128 << 20) + MEMORY_OVERHEAD;
        held(bomb, &policy, &at(Cost { memory_peak_bytes: Some(most), ..Cost::default() }), "limit.memory");
        not_held(bomb, &policy, &at(Cost { memory_peak_bytes: Some(most + 1), ..Cost::default() }), "of memory");
        held(bomb, &policy, &at(Cost { cpu_ns: Some(12_000_000_000), ..Cost::default() }), "limit.memory");
        not_held(bomb, &policy, &at(Cost { cpu_ns: Some(12_000_000_001), ..Cost::default() }), "of processor time");
        not_held(bomb, &policy, &at(Cost { wall_ns: 44_000_000_001, ..Cost::default() }), "of time");
        // Without a limit there is no cost to compare with, and what was not measured is not held against it.
        let most = Cost { memory_peak_bytes: Some(u64::MAX), ..Cost::default() };
        held(attack("spin"), &off(LimitKind::Memory), &Evidence { cost: most, ..ending("limit.cpu") }, "limit.cpu");
        held(bomb, &policy, &at(Cost::default()), "limit.memory");
    }

    #[test]
    fn the_operating_systems_refusal_counts_only_where_the_limit_is_in_force() {
        let evidence = Evidence { said_yes: true, ..ending("returned") };
        held(attack("files"), &Policy::default(), &evidence, "the operating system");
        not_held(attack("files"), &off(LimitKind::Files), &evidence, "only `the operating system`");
    }

    #[test]
    fn secrets_are_held_as_long_as_they_are_not_in_the_output() {
        let policy = Policy::default();
        for attack in ATTACKS.iter().filter(|attack| attack.target == Target::Secret) {
            held(attack, &policy, &ending("returned"), "nothing granted");
            held(attack, &policy, &ending("limit.fuel"), "limit.fuel");
            held(attack, &policy, &ending("denied.dir"), "denied.dir");
            not_held(attack, &policy, &Evidence { leaked: true, ..ending("returned") }, "read a secret");
            not_held(attack, &policy, &Evidence { leaked: true, ..ending("limit.cpu") }, "read a secret");
            not_held(attack, &policy, &ending("trapped"), "`trapped`");
        }
        let mut denied = ending("returned");
        denied.receipt.as_mut().unwrap().denials.push("dir".to_owned());
        held(attack("escape-by-link"), &policy, &denied, "denied.dir");
        held(attack("write-to-read-only"), &policy, &denied, "denied.dir");
        not_held(attack("write-to-read-only"), &policy, &Evidence { changed: true, ..denied }, "wrote where");
    }

    #[test]
    fn what_is_denied_has_to_be_in_the_receipt() {
        let policy = Policy::default();
        for attack in ATTACKS {
            let Target::Denied(capability) = attack.target else { continue };
            let code = StopReason::Denied(capability).code();
            let mut denied = ending("returned");
            not_held(attack, &policy, &denied, "the receipt has no denial");
            denied.receipt.as_mut().unwrap().denials.push(code.trim_start_matches("denied.").to_owned());
            held(attack, &policy, &denied, code);
            held(attack, &policy, &ending(code), code);
            not_held(attack, &policy, &Evidence { said_yes: true, ..denied }, "nothing grants");
        }
    }

    #[test]
    fn a_quota_holds_as_long_as_the_directory_has_no_more_and_the_guest_was_told() {
        let (policy, attack) = (Policy::default(), attack("disk-fill"));
        let mut denied = ending("returned");
        not_held(attack, &policy, &denied, "the receipt has no denial of `dir`");
        denied.receipt.as_mut().unwrap().denials.push("dir".to_owned());
        held(attack, &policy, &denied, "denied.dir");
        held(attack, &policy, &ending("limit.files"), "limit.files");
        not_held(attack, &policy, &Evidence { said_yes: true, ..denied.clone() }, "it got more");
        not_held(attack, &policy, &Evidence { overfull: true, ..denied }, "holds more than the quota");
        not_held(attack, &policy, &Evidence { overfull: true, ..ending("denied.dir") }, "holds more than the quota");
    }

    #[test]
    fn forgery_and_native_code_are_told_by_what_they_leave() {
        let policy = Policy::default();
        held(attack("log-forgery"), &policy, &ending("returned"), "escaping");
        not_held(attack("log-forgery"), &policy, &Evidence { forged: true, ..ending("returned") }, "host's own");
        held(attack("native-code"), &policy, &ending("refused.unauthenticated"), "refused.unauthenticated");
        not_held(attack("native-code"), &policy, &ending("returned"), "not what should hold it");
    }

    #[test]
    fn what_reached_the_server_counts_more_than_what_the_guest_says() {
        let policy = Policy::default();
        let denied = |reached| {
            let mut evidence = Evidence { reached, ..ending("returned") };
            evidence.receipt.as_mut().unwrap().denials.push("http".to_owned());
            evidence
        };
        held(attack("http-private-name"), &policy, &denied(false), "denied.http");
        not_held(attack("http-private-name"), &policy, &denied(true), "reached a server");
        let sent = Evidence { reached: true, ..ending("returned") };
        held(attack("http-forged-headers"), &policy, &sent, "checked headers");
        not_held(attack("http-forged-headers"), &policy, &ending("returned"), "not what should hold it");
        not_held(attack("http-forged-headers"), &policy, &Evidence { smuggled: true, ..sent }, "the host's to write");
    }

    #[test]
    fn a_request_that_is_given_up_was_held_by_its_limit() {
        let gave_up = Evidence { said_yes: true, ..ending("returned") };
        held(attack("http-silence"), &Policy::default(), &gave_up, "limit.http-timeout");
        not_held(attack("http-silence"), &off(LimitKind::HttpTimeout), &ending("limit.wall"), "only `limit.wall`");
    }

    #[test]
    fn a_child_gets_its_deadline_and_some_time_around_it() {
        let limits = |text: &str| patience(&ATTACKS[0], &Policy::parse(text).unwrap().limits).as_secs();
        assert_eq!(limits(""), 44);
        assert_eq!(limits("limits.wall = 'unlimited'"), 45);
        assert_eq!(limits("limits = { wall = 'unlimited', cpu = 'unlimited' }"), 14);
    }
}
