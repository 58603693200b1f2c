//! The list of attacks. Each is a row here and a text in this folder; the order is that of the limits.

use super::{Attack, Bomb, Call, Feed, Goal, Source, Target};
use crate::outcome::{Capability, Refusal};
use crate::policy::LimitKind as L;

/// The most that an attack can want of what has to lie in one memory of 32 bits.
const IN_MEMORY: u64 = 2 << 30;

/// The most that an attack wants of what is counted one by one.
const COUNTED: u64 = 1 << 30;

/// The most core instances that one attack is made of; the text of each is a line.
const IN_TEXT: u64 = 100_000;

/// The most that an attack on HTTP wants; it has to fit the digits in its path.
const IN_DIGITS: u64 = 1 << 36;

/// A row, with its text.
macro_rules! attack {
    ($name:literal, $tries:literal, $target:expr, $goal:expr, $call:ident) => {
        attack!($name, $tries, $target, $goal, $call, Empty)
    };
    ($name:literal, $tries:literal, $target:expr, $goal:expr, $call:ident, $feed:ident) => {
        Attack {
            name: $name,
            tries: $tries,
            target: $target,
            goal: $goal,
            source: Source::Text(include_str!(concat!($name, ".wat"))),
            call: Call::$call,
            stdin: Feed::$feed,
            grants: "",
        }
    };
}

/// A row that needs a grant of its own.
macro_rules! granted {
    ($name:literal, $tries:literal, $target:expr, $goal:expr, $grants:expr) => {
        Attack { grants: $grants, ..attack!($name, $tries, $target, $goal, Function) }
    };
}

/// A row that is more to compile than it looks.
macro_rules! bomb {
    ($name:literal, $tries:literal, $bomb:expr) => {
        Attack {
            name: $name,
            tries: $tries,
            target: Target::Compiling,
            goal: Goal::Endless,
            source: Source::Bomb($bomb),
            call: Call::Itself,
            stdin: Feed::Empty,
            grants: "",
        }
    };
}

/// A row that goes after the quota of a directory.
macro_rules! filling {
    ($name:literal, $tries:literal) => {
        Attack { grants: FILL, ..attack!($name, $tries, Target::Quota, Goal::Endless, Itself) }
    };
}

/// All requests to the peer.
const PEER: &str = "http = [{ allow = 'http://{peer}' }]";

/// Connecting to the peer.
const SOCKET: &str = "net = [{ connect = '{peer}' }]";

/// The same under names, which lead to the peer where the host asks no further.
const NAMES: &str = "http = [{ allow = 'http://{peer}' }, { allow = 'http://*.attack.example:{peer-port}' }]";

/// A name that leads to a public address, and to the peer when it is asked for again.
const TURNING: &str = "net = [{ connect = 'turning.attack.example:{peer-port}' }]";

/// Looking up that name, and requests to it.
const TURNING_HTTP: &str = "lookup = [{ name = 'turning.attack.example' }]
http = [{ allow = 'http://{peer}' }, { allow = 'http://turning.attack.example:{peer-port}' }]";

/// A directory to fill.
const FILL: &str = "dir = [{ host = '{folder}/{name}.writable', guest = '/host-attack-writable', access = 'read-write',
  max-bytes = '16KiB', max-files = 16 }]";

/// All requests to the peer, and a secret for some of them.
const SECRET: &str = "http = [{ allow = 'http://{peer}' }]
secret = [{ name = 'host-attack', env = 'HOST_ATTACK_CANARY', header = 'authorization', allow-plaintext = true,
  for = ['http://{peer}/secret-in-memory/granted'] }]";

const fn limit(kind: L) -> Target {
    Target::Limit(kind)
}

/// All attacks of the self-test.
pub const ATTACKS: &[Attack] = &[
    attack!("memory-growth", "grows one memory and writes to all of it", limit(L::Memory), Goal::Pages(1), Function),
    attack!("memory-in-pieces", "grows four memories in turn", limit(L::Memory), Goal::Pages(4), Function),
    attack!("memory-declared", "declares a huge memory", limit(L::Memory), Goal::Pages(1), Function),
    attack!("table-growth", "grows a table", limit(L::Table), Goal::Past(L::Table, COUNTED), Function),
    attack!("table-declared", "declares a huge table", limit(L::Table), Goal::Past(L::Table, COUNTED), Function),
    attack!("instances", "becomes many instances", limit(L::Instances), Goal::Past(L::Instances, IN_TEXT), Function),
    attack!("stack", "calls itself for ever", limit(L::Stack), Goal::Endless, Function),
    attack!(
        "stack-across-components",
        "recurses on both sides of a boundary",
        limit(L::Stack),
        Goal::Endless,
        Function
    ),
    attack!("stack-in-destructors", "recurses through destructors", limit(L::Stack), Goal::Endless, Function),
    attack!("sleep", "waits for centuries", limit(L::Wall), Goal::Endless, Function),
    attack!("input-silence", "waits for input that never comes", limit(L::Wall), Goal::Endless, Itself, Silent),
    attack!("spin", "computes for ever", limit(L::Cpu), Goal::Endless, Function),
    attack!("spin-at-start", "computes for ever while it is instantiated", limit(L::Cpu), Goal::Endless, Function),
    attack!("spin-in-bulk", "fills and copies memory for ever", limit(L::Cpu), Goal::Range, Function),
    attack!("spin-in-host-calls", "calls a cheap host function for ever", limit(L::Cpu), Goal::Endless, Function),
    attack!("fuel", "computes for ever where fuel is metered", limit(L::Fuel), Goal::Endless, Function),
    attack!("output-stdout", "floods standard output", limit(L::Output), Goal::Past(L::Output, u64::MAX), Itself),
    attack!("output-stderr", "floods standard error", limit(L::Output), Goal::Past(L::Output, u64::MAX), Itself),
    attack!("output-body", "returns a huge body", limit(L::Output), Goal::Past(L::Output, IN_MEMORY), Itself),
    attack!("log-flood", "floods the log", limit(L::Output), Goal::Past(L::Output, u64::MAX), Function),
    attack!("log-giant", "logs one huge message", limit(L::Output), Goal::Past(L::Output, IN_MEMORY), Function),
    attack!("input", "is given a huge input", limit(L::Input), Goal::Past(L::Input, IN_MEMORY), Itself, Goal),
    attack!(
        "hostcall-argument",
        "passes one huge string",
        limit(L::Hostcall),
        Goal::Past(L::Hostcall, IN_MEMORY),
        Function
    ),
    attack!(
        "hostcall-result",
        "returns a list that is larger in the host",
        limit(L::Hostcall),
        Goal::Past(L::Hostcall, IN_MEMORY),
        Function
    ),
    attack!(
        "hostcall-attributes",
        "returns one long text as many attributes",
        limit(L::Hostcall),
        Goal::Past(L::Hostcall, COUNTED),
        Itself
    ),
    attack!("handles-lent", "polls a huge list", limit(L::Handles), Goal::Past(L::Handles, COUNTED >> 2), Function),
    attack!("handles-streams", "leaks output streams", limit(L::Handles), Goal::Past(L::Handles, COUNTED), Function),
    attack!("files", "leaks open files", limit(L::Files), Goal::Past(L::Files, COUNTED), Function),
    attack!("files-in-listings", "leaks listings", limit(L::Files), Goal::Past(L::Files, COUNTED), Function),
    attack!("timers", "sets timers without end", limit(L::Timers), Goal::Past(L::Timers, COUNTED), Function),
    attack!(
        "random-flood",
        "asks for many random numbers",
        limit(L::Random),
        Goal::Past(L::Random, u64::MAX),
        Function
    ),
    attack!(
        "random-giant",
        "asks for many random bytes at once",
        limit(L::Random),
        Goal::Past(L::Random, IN_MEMORY),
        Function
    ),
    Attack {
        name: "component-size",
        tries: "is a huge file",
        target: limit(L::ComponentSize),
        goal: Goal::Past(L::ComponentSize, COUNTED),
        source: Source::Padded,
        call: Call::Function,
        stdin: Feed::Empty,
        grants: "",
    },
    Attack {
        name: "native-code",
        tries: "is a program in native code",
        target: Target::Refused(Refusal::Unauthenticated),
        goal: Goal::Endless,
        source: Source::Native,
        call: Call::Function,
        stdin: Feed::Empty,
        grants: "",
    },
    bomb!("compile-functions", "has more functions than can be compiled", Bomb::Functions),
    bomb!("compile-instructions", "has one function without end", Bomb::Instructions),
    bomb!("compile-locals", "has functions with many variables", Bomb::Locals),
    bomb!("compile-nesting", "nests blocks a hundred thousand deep", Bomb::Nesting),
    bomb!("compile-joins", "changes many variables on many branches", Bomb::Joins),
    bomb!("compile-types", "has a million types", Bomb::Types),
    bomb!("compile-globals", "has a million global variables", Bomb::Globals),
    bomb!("compile-tables", "declares many huge tables", Bomb::Tables),
    bomb!("compile-data", "has a hundred thousand pieces of data", Bomb::Data),
    bomb!("compile-exports", "exports one function under many names", Bomb::Exports),
    bomb!("compile-imports", "imports a hundred thousand interfaces", Bomb::Imports),
    attack!("log-forgery", "forges a line of the host's log", Target::Log, Goal::Endless, Function),
    attack!("escape-by-parent", "reads outside its directory by `..`", Target::Secret, Goal::Endless, Itself),
    attack!("escape-by-absolute-path", "reads outside by an absolute path", Target::Secret, Goal::Endless, Itself),
    attack!("escape-by-link", "reads outside through a symbolic link", Target::Secret, Goal::Endless, Itself),
    attack!("write-to-read-only", "writes where it may only read", Target::ReadOnly, Goal::Endless, Itself),
    attack!("snoop-environment", "reads the host's environment", Target::Secret, Goal::Endless, Itself),
    attack!("snoop-arguments", "reads the host's arguments", Target::Secret, Goal::Endless, Itself),
    attack!("net-tcp", "makes a TCP socket", Target::Denied(Capability::Net), Goal::Endless, Function),
    attack!("net-udp", "makes a UDP socket", Target::Denied(Capability::Net), Goal::Endless, Function),
    granted!("http-flood", "makes many requests", limit(L::HttpRequests), Goal::Past(L::HttpRequests, COUNTED), PEER),
    granted!(
        "http-in-flight",
        "makes many requests at once",
        limit(L::HttpConcurrency),
        Goal::Past(L::HttpConcurrency, COUNTED),
        PEER
    ),
    granted!("http-download", "reads a huge body", limit(L::HttpBody), Goal::Past(L::HttpBody, IN_DIGITS), PEER),
    granted!("http-upload", "sends a huge body", limit(L::HttpBody), Goal::Past(L::HttpBody, IN_DIGITS), PEER),
    granted!(
        "http-headers",
        "reads many large headers",
        limit(L::HttpHeaders),
        Goal::Past(L::HttpHeaders, COUNTED),
        PEER
    ),
    granted!("http-silence", "waits for a server that is silent", limit(L::HttpTimeout), Goal::Endless, PEER),
    attack!("http-ungranted", "makes an HTTP request", Target::Denied(Capability::Http), Goal::Endless, Function),
    granted!(
        "http-private-name",
        "asks a name that leads to this machine",
        Target::Denied(Capability::Http),
        Goal::Endless,
        NAMES
    ),
    granted!(
        "http-mixed-name",
        "asks a name that leads to this machine too",
        Target::Denied(Capability::Http),
        Goal::Endless,
        NAMES
    ),
    granted!("http-forged-headers", "sets headers that are the host's", Target::Message, Goal::Endless, PEER),
    granted!("http-second-request", "hides a request in a body", Target::Message, Goal::Endless, PEER),
    granted!("secret-elsewhere", "sends a secret where it may not", Target::Secret, Goal::Endless, SECRET),
    granted!("secret-in-memory", "searches its memory for a secret", Target::Secret, Goal::Endless, SECRET),
    granted!(
        "net-private",
        "connects to this machine",
        Target::Denied(Capability::Net),
        Goal::Endless,
        "net = [{ connect = '*:*' }]"
    ),
    granted!("net-flood", "sends without end", limit(L::NetBytes), Goal::Past(L::NetBytes, IN_DIGITS), SOCKET),
    attack!("net-lookups", "looks up many names", limit(L::Lookups), Goal::Past(L::Lookups, COUNTED), Function),
    attack!("key-value", "opens a bucket", Target::Denied(Capability::KeyValue), Goal::Endless, Function),
    granted!(
        "http-rebinding",
        "asks a name whose address has become this machine's",
        Target::Denied(Capability::Http),
        Goal::Endless,
        TURNING_HTTP
    ),
    granted!(
        "net-rebinding",
        "connects to what a name has become",
        Target::Denied(Capability::Net),
        Goal::Endless,
        TURNING
    ),
    filling!("disk-fill", "writes more than its directory may hold"),
    filling!("disk-fill-sparse", "makes files long without writing them"),
    filling!("disk-fill-names", "makes more files than its directory may hold"),
    attack!("net-names", "looks up a name", Target::Denied(Capability::Dns), Goal::Endless, Function),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Stage;
    use crate::policy::{LIMITS, LimitRow, Policy};

    #[test]
    fn every_limit_has_an_attack() {
        let timeout = |row: &&LimitRow| row.kind == L::HttpTimeout;
        for row in LIMITS.iter().filter(|row| row.stops || timeout(row)) {
            assert!(ATTACKS.iter().any(|attack| attack.target == limit(row.kind)), "`{}` has none", row.name);
        }
    }

    #[test]
    fn every_name_is_its_own_and_can_be_typed() {
        for attack in ATTACKS {
            assert_eq!(ATTACKS.iter().filter(|other| other.name == attack.name).count(), 1, "{}", attack.name);
            assert!(attack.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", attack.name);
        }
    }

    #[test]
    fn the_quota_that_is_granted_is_the_one_that_is_looked_at() {
        let stage = Stage { canary: "c0ffee", folder: "/tmp", peer: "127.0.0.1:8080" };
        let filling: Vec<_> = ATTACKS.iter().filter(|attack| attack.target == Target::Quota).collect();
        assert_eq!(filling.len(), 3);
        for attack in filling {
            let policy = Policy::parse(&attack.granted(&stage)).unwrap();
            let dir = &policy.grants.dir[0];
            let quota = (dir.max_bytes.map(|bytes| bytes.0), dir.max_files);
            assert_eq!(quota, (Some(crate::attack::QUOTA_BYTES), Some(crate::attack::QUOTA_FILES)));
        }
    }

    #[test]
    fn every_text_is_webassembly_without_a_place_that_was_not_filled() {
        let mut policy = Policy::parse("limits.fuel = 1000").unwrap();
        policy.grants.stdio = Some(crate::policy::StdioGrant::ALL);
        policy.limits.component_size = crate::policy::Bytes(5000);
        let stage = Stage { canary: "c0ffee", folder: "/tmp", peer: "127.0.0.1:8080" };
        for attack in ATTACKS {
            let goal = attack.goal(&policy).unwrap();
            Policy::parse(&attack.granted(&stage)).unwrap();
            let bytes = attack.bytes(goal, &stage).unwrap_or_else(|error| panic!("{}: {error}", attack.name));
            match attack.source {
                Source::Text(_) => drop(wasmparser::Validator::new().validate_all(&bytes).unwrap()),
                // Reading it is a part of the attack.
                Source::Bomb(bomb) => assert_eq!(bytes, bomb.text().as_bytes()),
                Source::Padded => assert_eq!(bytes.len(), 5001),
                Source::Native => assert!(bytes.starts_with(b"\x7fELF")),
            }
        }
    }
}
