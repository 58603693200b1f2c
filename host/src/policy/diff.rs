//! What became wider and what became narrower from one policy to another.
//!
//! A change is judged by what a guest could do: a value that is another one is something new and something gone. Where it
//! can't be told, it is called wider, so that a gate which lets only narrower policies pass never lets one through by
//! mistake. Values of variables and configuration are never repeated: a difference is read by more people than a policy.
//!
//! Each struct is taken apart without `..`: a key that is new doesn't compile until it is compared here.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Policy;
use super::grants::{DirGrant, Grants, OnDenied};
use super::http::HttpGrant;
use super::keyvalue::{BucketQuota, KeyValueGrant};
use super::limits::{LIMITS, LimitRow, UNLIMITED, Unit};
use super::net_grant::{LookupGrant, NetGrant};
use super::secret::SecretGrant;
use super::tenant_limits::TENANT_LIMITS;

/// One difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// The key of the policy file.
    pub key: String,
    /// What changed, for people.
    pub what: String,
}

/// Which way a policy changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Something is possible that wasn't.
    Wider,
    /// Something isn't possible any more.
    Narrower,
}

impl Policy {
    /// What is wider and what is narrower in `new`. Nothing where both permit the same.
    ///
    /// ```
    /// use host::Policy;
    /// use host::policy::Direction;
    /// let (old, new) = (Policy::default(), Policy::parse("limits.memory = '1GiB'").unwrap());
    /// assert_eq!(old.diff(&new)[0].direction, Direction::Wider);
    /// assert_eq!(old.diff(&new)[0].to_string(), "wider: limits.memory: 128MiB → 1GiB");
    /// ```
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let Self { grants, limits, tenant } = self;
        let mut found = Found::default();
        found.grants(grants, &new.grants);
        for row in LIMITS {
            let (old, new) = (limits.get(row.kind), new.limits.get(row.kind));
            let (old, new) = (old.unwrap_or(UNLIMITED), new.unwrap_or(UNLIMITED));
            found.amount(&format!("limits.{}", row.name), row.unit, old, new, false);
        }
        for row in TENANT_LIMITS {
            let (Some(old), Some(new)) = (tenant.get(row.name), new.tenant.get(row.name)) else { continue };
            // The same amount in a shorter window is more.
            found.amount(&format!("tenant.{}", row.name), row.unit, old, new, row.name == "window");
        }
        found.0.sort_by_key(|change| change.direction);
        found.0
    }

    /// Whether `new` permits something that this doesn't.
    pub fn is_widened_by(&self, new: &Self) -> bool {
        self.diff(new).iter().any(|change| change.direction == Direction::Wider)
    }
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn wider(&mut self, key: &str, what: String) {
        self.0.push(Change { direction: Direction::Wider, key: key.to_owned(), what });
    }

    fn narrower(&mut self, key: &str, what: String) {
        self.0.push(Change { direction: Direction::Narrower, key: key.to_owned(), what });
    }

    fn grants(&mut self, old: &Grants, new: &Grants) {
        let Grants {
            dir,
            env,
            args,
            config,
            key_value,
            stdio,
            on_denied,
            http,
            secret,
            tls_ca,
            deterministic,
            net,
            lookup,
            compiler,
        } = old;
        let trusts = format!("code is made with `{}`, before with `{}`", new.compiler.word(), compiler.word());
        match new.compiler.cmp(compiler) {
            std::cmp::Ordering::Greater => self.wider("compiler", trusts),
            std::cmp::Ordering::Less => self.narrower("compiler", trusts),
            std::cmp::Ordering::Equal => {}
        }
        self.list("dir", dir, &new.dir, covers_dir, show_dir);
        self.values("env", env, &new.env);
        if *args != new.args {
            let what = |given: &[String], gone: &[String]| format!("{} given, {} before", given.len(), gone.len());
            if !args.starts_with(&new.args) {
                self.wider("args", what(&new.args, args));
            }
            if !new.args.starts_with(args) {
                self.narrower("args", what(&new.args, args));
            }
        }
        self.values("config", config, &new.config);
        self.list("key-value", key_value, &new.key_value, covers_bucket, show_bucket);
        let (was, is) = (stdio.unwrap_or_default(), new.stdio.unwrap_or_default());
        for (name, was, is) in
            [("stdin", was.stdin, is.stdin), ("stdout", was.stdout, is.stdout), ("stderr", was.stderr, is.stderr)]
        {
            match (was, is) {
                (false, true) => self.wider(&format!("stdio.{name}"), "connected".to_owned()),
                (true, false) => self.narrower(&format!("stdio.{name}"), "not connected any more".to_owned()),
                _ => {}
            }
        }
        match (on_denied, new.on_denied) {
            (OnDenied::Stop, OnDenied::Error) => self.wider("on-denied", "a denial stops nobody any more".to_owned()),
            (OnDenied::Error, OnDenied::Stop) => self.narrower("on-denied", "a denial stops the guest".to_owned()),
            _ => {}
        }
        self.http(http, &new.http);
        self.list("net", net, &new.net, NetGrant::covers, show_net);
        self.list("lookup", lookup, &new.lookup, LookupGrant::covers, show_lookup);
        self.list("secret", secret, &new.secret, covers_secret, show_secret);
        // Another seed permits neither more nor less.
        match (deterministic, new.deterministic) {
            (Some(_), None) => self.wider("deterministic", "the real clocks and random bytes".to_owned()),
            (None, Some(_)) => self.narrower("deterministic", "no real clock and no real random bytes".to_owned()),
            _ => {}
        }
        if *tls_ca != new.tls_ca {
            if let Some(path) = &new.tls_ca {
                self.wider("tls.ca", format!("authorities of `{}` are trusted", path.display()));
            }
            if let Some(path) = tls_ca {
                self.narrower("tls.ca", format!("authorities of `{}` are not trusted any more", path.display()));
            }
        }
    }

    /// Grants of which each may be covered by another one.
    fn list<T>(&mut self, key: &str, old: &[T], new: &[T], covers: fn(&T, &T) -> bool, show: fn(&T) -> String) {
        for grant in new.iter().filter(|grant| !old.iter().any(|other| covers(other, grant))) {
            self.wider(key, format!("new: {}", show(grant)));
        }
        for grant in old.iter().filter(|grant| !new.iter().any(|other| covers(other, grant))) {
            self.narrower(key, format!("gone: {}", show(grant)));
        }
    }

    fn http(&mut self, old: &[HttpGrant], new: &[HttpGrant]) {
        let covered = |grants: &[HttpGrant], grant: &HttpGrant| {
            grant.by_method().iter().all(|one| grants.iter().any(|other| other.covers(one)))
        };
        for grant in new.iter().filter(|grant| !covered(old, grant)) {
            self.wider("http", format!("new: {}", show_http(grant)));
        }
        for grant in old.iter().filter(|grant| !covered(new, grant)) {
            self.narrower("http", format!("gone: {}", show_http(grant)));
        }
    }

    fn values(&mut self, key: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        for (name, value) in new {
            match old.get(name) {
                None => self.wider(&format!("{key}.{name}"), "new".to_owned()),
                Some(other) if other != value => self.wider(&format!("{key}.{name}"), "another value".to_owned()),
                Some(_) => {}
            }
        }
        for (name, _) in old.iter().filter(|(name, value)| new.get(*name) != Some(value)) {
            let what = if new.contains_key(name) { "the old value is gone" } else { "gone" };
            self.narrower(&format!("{key}.{name}"), what.to_owned());
        }
    }

    fn amount(&mut self, key: &str, unit: Unit, old: u64, new: u64, less_is_wider: bool) {
        let what = format!("{} → {}", show_amount(unit, old), show_amount(unit, new));
        if old == new {
        } else if (new > old) != less_is_wider {
            self.wider(key, what);
        } else {
            self.narrower(key, what);
        }
    }
}

fn covers_dir(a: &DirGrant, b: &DirGrant) -> bool {
    let DirGrant { host, guest, access, max_bytes, max_files } = a;
    let as_large = max_bytes.is_none_or(|most| b.max_bytes.is_some_and(|other| other <= most))
        && max_files.is_none_or(|most| b.max_files.is_some_and(|other| other <= most));
    *host == b.host && *guest == b.guest && (!b.access.permits_writing() || (access.permits_writing() && as_large))
}

fn show_dir(dir: &DirGrant) -> String {
    let access = if dir.access.permits_writing() { "read-write" } else { "read-only" };
    let bytes = dir.max_bytes.map(|most| format!(", max-bytes {most}")).unwrap_or_default();
    let files = dir.max_files.map(|most| format!(", max-files {most}")).unwrap_or_default();
    format!("`{}` as `{}`, {access}{bytes}{files}", dir.host.display(), dir.guest)
}

fn show_net(grant: &NetGrant) -> String {
    format!("`{grant}`{}", if grant.allow_private { ", private addresses too" } else { "" })
}

fn show_lookup(grant: &LookupGrant) -> String {
    format!("`{}`{}", grant.name, if grant.allow_private { ", private addresses too" } else { "" })
}

fn covers_bucket(a: &KeyValueGrant, b: &KeyValueGrant) -> bool {
    let KeyValueGrant { bucket, store, access, quota } = a;
    let BucketQuota { max_keys, max_key, max_value, max_total } = *quota;
    *bucket == b.bucket
        && *store == b.store
        && (access.permits_writing() || !b.access.permits_writing())
        && max_keys >= b.quota.max_keys
        && max_key >= b.quota.max_key
        && max_value >= b.quota.max_value
        && max_total >= b.quota.max_total
}

fn show_bucket(grant: &KeyValueGrant) -> String {
    let access = if grant.access.permits_writing() { "read-write" } else { "read-only" };
    let BucketQuota { max_keys, max_key, max_value, max_total } = grant.quota;
    format!(
        "bucket `{}` in `{}`, {access}, max-keys {max_keys}, max-key {max_key}, max-value {max_value}, max-total \
         {max_total}",
        grant.bucket, grant.store
    )
}

fn covers_secret(a: &SecretGrant, b: &SecretGrant) -> bool {
    let SecretGrant { name, source, header, format, to, allow_plaintext } = a;
    *name == b.name
        && *source == b.source
        && *header == b.header
        && *format == b.format
        && (*allow_plaintext || !b.allow_plaintext)
        && b.to.iter().flat_map(HttpGrant::by_method).all(|one| to.iter().any(|to| to.covers(&one)))
}

fn show_secret(secret: &SecretGrant) -> String {
    let to: Vec<String> = secret.to.iter().map(|to| format!("`{to}`")).collect();
    format!("`{}` in `{}` for {}", secret.name, secret.header, to.join(", "))
}

fn show_http(grant: &HttpGrant) -> String {
    let private = if grant.allow_private { ", private addresses too" } else { "" };
    let ca = grant.ca.as_ref().map(|ca| format!(", authorities of `{}`", ca.display())).unwrap_or_default();
    format!("`{grant}`{private}{ca}")
}

/// An amount of a unit, as a person writes it.
pub(super) fn show_amount(unit: Unit, amount: u64) -> String {
    let row: Option<&LimitRow> = LIMITS.iter().find(|row| row.unit == unit);
    row.map_or_else(|| amount.to_string(), |row| row.show(amount))
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wider => "wider",
            Self::Narrower => "narrower",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.direction, self.key, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> Vec<String> {
        let (old, new) = (Policy::parse(old).unwrap(), Policy::parse(new).unwrap());
        old.diff(&new).iter().map(Change::to_string).collect()
    }

    fn ways(old: &str, new: &str) -> Vec<Direction> {
        let (old, new) = (Policy::parse(old).unwrap(), Policy::parse(new).unwrap());
        old.diff(&new).iter().map(|change| change.direction).collect()
    }

    #[test]
    fn every_limit_is_wider_when_it_is_larger_but_for_the_window() {
        for row in LIMITS {
            let (mut old, mut new) = (Policy::default(), Policy::default());
            old.limits.set(row.kind, 1_000_000);
            new.limits.set(row.kind, 2_000_000);
            assert!(old.is_widened_by(&new) && !new.is_widened_by(&old), "{}", row.name);
            assert_eq!(new.diff(&old).len(), 1, "{}", row.name);
        }
        for row in TENANT_LIMITS {
            let (mut old, mut new) = (Policy::default(), Policy::default());
            old.tenant.set(row.name, 10);
            new.tenant.set(row.name, 20);
            assert_eq!(old.is_widened_by(&new), row.name != "window", "{}", row.name);
            assert_eq!(new.is_widened_by(&old), row.name == "window", "{}", row.name);
        }
        assert_eq!(diff("", "limits.fuel = 5"), ["narrower: limits.fuel: unlimited → 5"]);
    }

    #[test]
    fn grants_are_compared_by_what_they_cover_and_not_by_their_words() {
        use Direction::{Narrower, Wider};
        let http = |pattern: &str| format!("[[http]]\nallow = '{pattern}'\n");
        let both = http("GET https://a.example") + &http("POST https://a.example");
        assert_eq!(ways(&both, &http("GET,POST https://a.example")), []);
        assert_eq!(ways(&http("https://*.a.example"), &http("GET https://b.a.example/x")), [Narrower]);
        assert_eq!(ways(&http("GET https://b.a.example/x"), &http("https://*.a.example")), [Wider]);
        assert_eq!(ways(&http("https://a.example"), &http("https://b.example")), [Wider, Narrower]);
        let private = http("https://a.example") + "allow-private = true";
        assert_eq!(ways(&http("https://a.example"), &private), [Wider]);
        let dir = |access: &str| format!("[[dir]]\nhost = 'a'\nguest = '/a'\naccess = '{access}'");
        assert_eq!(ways(&dir("read-only"), &dir("read-write")), [Wider]);
        assert_eq!(ways(&dir("read-write"), ""), [Narrower]);
        let bucket = |more: &str| format!("[[key-value]]\nbucket='b'\nstore='memory'\naccess='read-only'\n{more}");
        assert_eq!(ways(&bucket(""), &bucket("max-keys = 10")), [Narrower]);
        assert_eq!(ways(&bucket(""), &bucket("max-total = '1GiB'")), [Wider]);
        let secret =
            |more: &str| format!("[[secret]]\nname='k'\nenv='K'\nheader='x-k'\nfor=['https://a.example{more}']\n");
        assert_eq!(ways(&secret(""), &secret("/v1")), [Narrower]);
        assert_eq!(ways(&secret("/v1"), &secret("")), [Wider]);
        assert_eq!(ways("on-denied = 'stop'", ""), [Wider]);
        assert_eq!(ways("", "[stdio]\nstdin = true"), [Wider]);
        assert_eq!(ways("", "[tls]\nca = 'a.pem'"), [Wider]);
        assert_eq!(ways("[tls]\nca = 'a.pem'", "[tls]\nca = 'b.pem'"), [Wider, Narrower]);
        assert_eq!(ways("args = ['a']", "args = ['a', 'b']"), [Wider]);
        assert_eq!(ways("args = ['a', 'b']", "args = ['a']"), [Narrower]);
    }

    #[test]
    fn values_are_compared_and_never_shown() {
        let found = diff("env.A = 'hush1'\nconfig.k = 'hush'", "env.A = 'hush2'");
        assert_eq!(
            found,
            ["wider: env.A: another value", "narrower: env.A: the old value is gone", "narrower: config.k: gone"]
        );
        let store = |pass: &str| format!("[[key-value]]\nbucket='b'\naccess='read-only'\nstore='redis://:{pass}@h'");
        let found = diff(&store("hush1"), &store("hush2"));
        assert!(found.len() == 2 && found.iter().all(|line| !line.contains("hush")), "{found:?}");
    }
}
