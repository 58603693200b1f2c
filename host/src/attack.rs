//! The attack self-test as data: hostile components, what each goes after, and how its ending is judged.
//!
//! An operator who changes a policy wants to see what still holds. Each attack goes after one resource and knows its
//! goal, which is just past the policy's own limit; an attack that gets there and returns was not held. Where the
//! limit is switched off the goal is what the default limit would have refused, so that no policy lets the self-test
//! itself take the machine down. Running the attacks is the command line's part, and so is the peer: a small server that
//! attacks on HTTP ask, and that knows what reached it. Attacks on a server of ours are deliberately absent: there is none.

mod bomb;
mod catalogue;
mod goal;
mod verdict;

use serde::Serialize;

use crate::outcome::{Capability, Refusal, StopReason};
use crate::policy::LimitKind;

pub use self::bomb::Bomb;
pub use self::catalogue::ATTACKS;
pub use self::goal::{Goal, NotApplied, Stage};
pub use self::verdict::{Cost, Evidence, Observed, Verdict, judge, patience, within_reason};

/// Bytes that the directory of attacks on a quota may hold.
pub const QUOTA_BYTES: u64 = 16 << 10;

/// Names that it may hold.
pub const QUOTA_FILES: u64 = 16;

/// One hostile component and how it is called.
#[derive(Debug)]
pub struct Attack {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// What it tries, in half a sentence.
    pub tries: &'static str,
    /// What it goes after, and so what must hold it.
    pub target: Target,
    /// How far it goes.
    pub goal: Goal,
    /// What is run.
    pub source: Source,
    /// How it is called.
    pub call: Call,
    /// What its standard input is.
    pub stdin: Feed,
    /// What is granted to it beside what the policy grants, as a part of a policy file, with a place for the peer.
    pub grants: &'static str,
}

/// What an attack goes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// More of a resource than its limit allows.
    Limit(LimitKind),
    /// Something that only a grant opens.
    Denied(Capability),
    /// A secret of the host's that no policy grants.
    Secret,
    /// A directory that may only be read.
    ReadOnly,
    /// More of a directory than its quota allows.
    Quota,
    /// The host's log, as its own voice.
    Log,
    /// A message to a server, beyond what a guest may write into it.
    Message,
    /// A way around the compiler.
    Refused(Refusal),
    /// What compiling may use up.
    Compiling,
}

/// The bytes that are given to the host.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A component or a core module as text, with places for the goal and for shared imports.
    Text(&'static str),
    /// A harmless component that is as large as the goal.
    Padded,
    /// The beginning of a program in native code.
    Native,
    /// More to compile than it looks.
    Bomb(Bomb),
}

/// How the component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Its function `attack`.
    Function,
    /// As the job or the program that it is.
    Itself,
}

/// What the standard input of an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// At its end.
    Empty,
    /// As many bytes as the goal says.
    Goal,
    /// Open, and nothing ever comes.
    Silent,
}

impl Attack {
    /// Whether it waits and computes nothing, so that it can run beside any other.
    pub fn waits(&self) -> bool {
        matches!(self.target, Target::Limit(LimitKind::Wall | LimitKind::HttpTimeout))
    }
}

impl Target {
    /// The code of the ending that it should come to: a stop reason, or a word for what has none.
    pub fn code(self) -> &'static str {
        match self {
            Self::Limit(kind) => kind.code(),
            Self::Denied(capability) => StopReason::Denied(capability).code(),
            Self::Secret => "secret",
            Self::ReadOnly => "read-only",
            Self::Quota => "quota",
            Self::Log => "log",
            Self::Message => "message",
            Self::Compiling => "compiling",
            Self::Refused(why) => StopReason::Refused(why).code(),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
