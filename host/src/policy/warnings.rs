//! Grants that are broader than they look.
//!
//! Nothing in here is an error: each of these can be meant. A policy that is read a year later, or by somebody else,
//! should not hold a surprise.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::compiler::Compiler;
use super::grants::Grants;
use super::limits::{LIMITS, LimitKind};
use super::net::AddressClass;
use super::net_grant::{NamePattern, NetDirection, NetGrant, NetHost};
use super::{DirGrant, HttpGrant, Policy, SecretGrant};

/// One grant that is broader than it looks, or one that does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The key of the policy file.
    pub key: String,
    /// What to know about it.
    pub message: String,
}

/// Directories of the system; what is written there changes the host itself.
const SYSTEM: &[&str] =
    &["bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "sys", "usr", "var"];

/// Words in names of variables whose values are most often secrets.
const SECRET_WORDS: &[&str] =
    &["SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE_KEY"];

impl Policy {
    /// What is broader than it looks. Nothing for the default policy.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        let mut warn = |key: &str, message: String| found.push(Warning { key: key.to_owned(), message });
        // A new grant has to be looked at here before this compiles.
        let Grants {
            dir,
            env,
            args: _,
            config,
            key_value: _,
            stdio: _,
            on_denied: _,
            http,
            secret,
            tls_ca: _,
            deterministic,
            net,
            lookup,
            compiler,
        } = &self.grants;
        if *compiler > Compiler::Cranelift {
            let message = "Winch is young, and a mistake of a compiler can let a guest out; for code that you trust";
            warn("compiler", message.to_owned());
        }
        if deterministic.is_some() {
            let message = "whoever knows the seed knows the guest's random bytes, and with them keys that it makes";
            warn("deterministic", message.to_owned());
        }
        for dir in dir {
            if let Some(message) = directory(dir) {
                warn("dir", message);
            }
        }
        overlaps(dir, &mut |message| warn("dir", message));
        for (key, values) in [("env", env), ("config", config)] {
            for name in values.keys().filter(|name| SECRET_WORDS.iter().any(|word| is_word_of(name, word))) {
                let message = "looks like a secret, and the guest can read it and pass it on; `[[secret]]` puts one \
                               into requests without that";
                warn(&format!("{key}.{name}"), message.to_owned());
            }
        }
        for grant in http {
            request(grant, &mut |message| warn("http", format!("`{grant}`: {message}")));
        }
        for grant in net {
            socket(grant, &mut |message| warn("net", format!("`{grant}`: {message}")));
        }
        for grant in lookup.iter().filter(|grant| grant.name == NamePattern::Any) {
            let message = "a name can carry what the guest knows to whoever answers for it";
            warn("lookup", format!("`{}`: {message}", grant.name));
        }
        for secret in secret {
            secret_for(secret, http, &mut |message| warn("secret", format!("`{}`: {message}", secret.name)));
        }
        let unlimited = |kind: LimitKind| self.limits.is_unlimited(kind);
        for row in LIMITS.iter().filter(|row| row.kind != LimitKind::Fuel && unlimited(row.kind)) {
            warn(&format!("limits.{}", row.name), format!("nothing bounds {}", row.bounds));
        }
        if unlimited(LimitKind::Wall) && unlimited(LimitKind::Cpu) && unlimited(LimitKind::Fuel) {
            warn("limits", "a busy loop never ends: `wall`, `cpu` and `fuel` are all unlimited".to_owned());
        }
        found
    }
}

fn directory(dir: &DirGrant) -> Option<String> {
    let shown = dir.host.display();
    let place = place(&dir.host);
    match (place, dir.access.permits_writing()) {
        (Place::Root, true) => Some(format!("`{shown}` read-write is the whole machine")),
        (Place::Root, false) => Some(format!("`{shown}` read-only shows every file that the host's user may read")),
        (Place::Home, true) => {
            Some(format!("`{shown}` read-write has start-up files and keys in it, with which a guest can do more"))
        }
        (Place::Home, false) => {
            Some(format!("`{shown}` read-only shows keys and tokens that are kept in home folders"))
        }
        (Place::System, true) => Some(format!("`{shown}` read-write belongs to the system")),
        (Place::Above, _) => Some(format!("`{shown}` begins above the folder that the host is started in")),
        _ => None,
    }
}

fn socket(grant: &NetGrant, warn: &mut impl FnMut(&str)) {
    match (&grant.host, grant.direction) {
        (NetHost::Any, NetDirection::Connect) if grant.allow_private => {
            warn("every address, those of the operator's own network too");
        }
        (NetHost::Any, NetDirection::Connect) => warn("every public address"),
        (NetHost::Any, NetDirection::Listen) => warn("on every interface, where others can connect from outside"),
        (NetHost::Name(NamePattern::Below(_)), _) if grant.allow_private => {
            warn("whoever can make a name below this one can make it lead into the operator's own network");
        }
        _ => {}
    }
    if let (Some(class), NetDirection::Connect) = (grant.class(), grant.direction)
        && class != AddressClass::Public
        && !class.is_private()
    {
        warn(&format!("its address is {}: services there trust whoever can reach them", class.name()));
    }
    if grant.port.is_none() && grant.direction == NetDirection::Connect {
        warn("every port, also those of services that were never meant");
    }
}

/// Directories that lie in each other, where one has a quota: as far as their text says.
fn overlaps(dirs: &[DirGrant], warn: &mut impl FnMut(String)) {
    let paths: Vec<PathBuf> = dirs.iter().map(|dir| plain(&dir.host)).collect();
    let both = |(n, dir)| dirs.iter().zip(&paths).skip(n + 1).map(move |other| ((n, dir), other));
    let pairs = dirs.iter().enumerate().flat_map(both);
    for ((n, dir), (other, there)) in pairs.filter(|((_, dir), (other, _))| dir.has_quota() || other.has_quota()) {
        let Some(here) = paths.get(n) else { continue };
        let (shown, beside) = (dir.host.display(), other.host.display());
        if here == there && dir.has_quota() && other.has_quota() {
            warn(format!("`{shown}` is granted twice: what is written by way of either counts for both quotas"));
        } else if here.starts_with(there) || there.starts_with(here) {
            warn(format!(
                "`{shown}` and `{beside}` overlap and one has a quota, which could be gone round: whoever is run under this is \
                 refused"
            ));
        }
    }
}

/// A path with `.` and `..` carried out, as text.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

enum Place {
    Root,
    Home,
    System,
    Above,
    Other,
}

/// What a path is to the host, as far as its text says.
fn place(path: &Path) -> Place {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir if names.pop().is_none() && !path.is_absolute() => return Place::Above,
            _ => {}
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match (path.is_absolute(), names.as_slice()) {
        (true, []) => Place::Root,
        (true, ["root"] | ["home" | "Users"] | ["home" | "Users", _]) | (false, ["~"]) => Place::Home,
        (true, [first, rest @ ..]) if SYSTEM.contains(first) && rest.len() < 2 => Place::System,
        _ => Place::Other,
    }
}

fn request(grant: &HttpGrant, warn: &mut dyn FnMut(&str)) {
    match (grant.is_wildcard(), grant.allow_private) {
        (true, true) => warn(
            "whoever controls one name below it can lead the guest to any private address, the host's own loopback among \
             them",
        ),
        (true, false) => warn("every name below it, at any depth, also one that somebody else may be given later"),
        (false, true) => warn("the name may resolve to any private address, the host's own loopback among them"),
        (false, false) => {}
    }
    match grant.address_class().map(|class| (class, class.name())) {
        Some((super::AddressClass::Public, _)) | None => {}
        Some((super::AddressClass::Metadata, _)) => warn("a metadata service hands out the machine's own credentials"),
        Some((_, class)) => warn(&format!("the address is {class}, and naming it reaches it without `allow-private`")),
    }
    if grant.is_open() {
        warn("every method and every path, changing and deleting among them; name methods, a path, or both");
    }
}

fn secret_for(secret: &SecretGrant, http: &[HttpGrant], warn: &mut dyn FnMut(&str)) {
    for to in &secret.to {
        if to.is_wildcard() {
            warn(&format!("it goes to every name below `{to}`, also to one that echoes what it gets"));
        }
        if !to.is_https() {
            warn(&format!("it goes out in the clear to `{to}`"));
        }
        if !http.iter().any(|grant| grant.meet(to).is_some()) {
            warn(&format!("no `[[http]]` grants anything of `{to}`, so it goes nowhere"));
        }
    }
}

/// Whether a name has a word in it, by whole parts between `_`, `-` and `.`.
fn is_word_of(name: &str, word: &str) -> bool {
    let name: String = name.to_ascii_uppercase().chars().map(|c| if "-.".contains(c) { '_' } else { c }).collect();
    format!("_{name}_").contains(&format!("_{word}_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let found = Policy::parse(text).unwrap().warnings();
        found.into_iter().map(|warning| format!("{}: {}", warning.key, warning.message)).collect()
    }

    #[test]
    fn what_is_narrow_has_no_warnings() {
        assert!(warnings("").is_empty());
        let narrow = "env.LANG = 'C'\nenv.MONKEY = 'x'\n[[dir]]\nhost = 'data'\naccess = 'read-write'\n\
                      [[dir]]\nhost = '/srv/data'\nguest = '/d'\naccess = 'read-write'\n\
                      [[http]]\nallow = 'GET https://a.example/v1'\n\
                      [[secret]]\nname = 's'\nenv = 'S'\nheader = 'x-s'\nfor = ['https://a.example/v1']\n";
        assert_eq!(warnings(narrow), Vec::<String>::new());
    }

    #[test]
    fn each_grant_that_is_broader_than_it_looks_is_named() {
        let dir = |host: &str, access: &str| format!("[[dir]]\nhost = '{host}'\nguest = '/d'\naccess = '{access}'");
        let http = |pattern: &str, private: bool| format!("[[http]]\nallow = '{pattern}'\nallow-private = {private}\n");
        let secret =
            |to: &str| format!("[[secret]]\nname='s'\nenv='S'\nheader='x'\nfor=['{to}']\nallow-plaintext = true\n");
        for (text, expected) in [
            (dir("/", "read-write"), "whole machine"),
            (dir("/.", "read-only"), "every file"),
            (dir("/a/..", "read-write"), "whole machine"),
            (dir(&["", "home", "ann"].join("/"), "read-write"), "start-up files"),
            (dir(&["", "root", ""].join("/"), "read-only"), "home folders"),
            (dir("/etc", "read-write"), "belongs to the system"),
            (dir("../x", "read-only"), "above the folder"),
            (http("GET https://*.a.example/x", false), "every name below it"),
            (http("GET https://*.a.example/x", true), "whoever controls one name"),
            (http("GET https://a.example/x", true), "any private address"),
            (http("GET http://169.254.169.254/x", false), "credentials"),
            (http("GET http://127.0.0.1/x", false), "is loopback"),
            (http("https://a.example", false), "every method and every path"),
            (secret("GET https://*.a.example/") + &http("GET https://b.a.example/x", false), "echoes"),
            (secret("GET http://a.example/x") + &http("GET http://a.example/x", false), "in the clear"),
            (secret("GET https://a.example/x") + &http("POST https://a.example/x", false), "goes nowhere"),
            ("limits.memory = 'unlimited'".into(), "limits.memory: nothing bounds"),
            ("limits.http-requests = 'unlimited'".into(), "limits.http-requests: nothing bounds"),
            ("env.DB_PASSWORD = 'x'".into(), "env.DB_PASSWORD: looks like a secret"),
            ("config.\"api-key\" = 'x'".into(), "config.api-key: looks like a secret"),
        ] {
            let found = warnings(&text);
            assert_eq!(found.len(), 1, "{text}: {found:#?}");
            assert!(found[0].contains(expected), "{text}: {found:#?}");
        }
        let two = |one: &str, first: &str, two: &str, second: &str| {
            warnings(&format!(
                "[[dir]]\nhost = '{one}'\nguest = '/1'\naccess = 'read-write'\n{first}\n\
                 [[dir]]\nhost = '{two}'\nguest = '/2'\naccess = 'read-write'\n{second}\n"
            ))
        };
        let quota = "max-bytes = '1MiB'";
        for (one, first, other, second, expected) in [
            ("data", quota, "data/in", "", "overlap"),
            ("data/in", quota, "./data/x/..", "", "overlap"),
            ("/srv/a", "", "/srv/a/", quota, "overlap"),
            ("data", quota, "data/in", quota, "overlap"),
            ("data", quota, "./data", quota, "granted twice"),
        ] {
            let found = two(one, first, other, second);
            assert!(found.len() == 1 && found[0].contains(expected), "{one} {other}: {found:#?}");
        }
        for (one, first, other, second) in
            [("data", "", "data/in", ""), ("data", quota, "data2", quota), ("a/b", quota, "a/c", "")]
        {
            assert!(two(one, first, other, second).is_empty(), "{one} {other}");
        }
        let both = warnings("limits = { wall = 'unlimited', cpu = 'unlimited' }");
        assert!(both.len() == 3 && both[2].contains("busy loop"), "{both:#?}");
    }
}
