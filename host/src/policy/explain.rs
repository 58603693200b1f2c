//! Which rule of a policy decides about one thing that a guest might ask for, and why.
//!
//! What is asked here is answered by the functions that decide while a guest runs ([`HttpGrant::permits`],
//! [`SecretGrant::permits`], names compared as they are), so an explanation can't say anything else than the host does.

mod net;

use core::net::IpAddr;

use serde::Serialize;

use super::http::{HttpGrant, HttpTarget};
use super::limits::LIMITS;
use super::net_grant::NetProtocol;
use super::secret::SecretGrant;
use super::{Limits, Policy};

/// The answer about one thing that a guest might ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked, as it was understood.
    pub asked: String,
    /// Whether the guest would get it.
    pub allowed: bool,
    /// The rule that decided; none where no rule grants it.
    pub rule: Option<String>,
    /// Why: what about each rule fits or doesn't, and what else to know.
    pub why: Vec<String>,
}

/// How a question may be written.
const FORMS: &str = "ask `[METHOD ]URL`, `secret:NAME [METHOD ]URL`, `dir:PATH[::rw]`, `env:NAME`, `config:KEY`, \
                     `kv:BUCKET[::rw]`, `stdio:STREAM`, `limit:NAME`, `tcp:HOST:PORT`, `udp:HOST:PORT` or `dns:NAME`";

/// What is to be known of standard streams where a policy doesn't mention them.
const STDIO_UNSAID: &str = "the policy says nothing about `stdio`: `host run` connects all three, the library none";

impl Explanation {
    /// The answer as `host run` would have it, for a policy that says nothing about `stdio`.
    #[must_use]
    pub fn as_run(mut self) -> Self {
        if self.why.iter().any(|why| why == STDIO_UNSAID) {
            self.allowed = true;
        }
        self
    }
}

impl Policy {
    /// Says which rule decides about one thing, which may be written as `GET https://api.example.com/v1`, `dir:/data`,
    /// `dir:/data::rw`, `env:NAME`, `config:KEY`, `kv:BUCKET`, `kv:BUCKET::rw`, `secret:NAME GET https://…`,
    /// `stdio:stdin`, `limit:memory`, `tcp:HOST:PORT`, `udp:HOST:PORT` or `dns:NAME`.
    ///
    /// # Errors
    /// The question can't be understood; the message says how one is written.
    ///
    /// ```
    /// let policy = host::Policy::parse("[[http]]\nallow = 'GET https://api.example.com/v1'").unwrap();
    /// assert!(policy.explain("GET https://api.example.com/v1/users").unwrap().allowed);
    /// let no = policy.explain("POST https://api.example.com/v1/users").unwrap();
    /// assert!(!no.allowed && no.why[0].contains("the method"));
    /// ```
    pub fn explain(&self, question: &str) -> Result<Explanation, String> {
        let question = question.trim();
        if let Some(rest) = question.strip_prefix("secret:") {
            return self.explain_secret(question, rest);
        }
        if question.contains("://") {
            return self.explain_http(question);
        }
        let (kind, name) = question.split_once(':').ok_or_else(|| format!("`{question}` is no question: {FORMS}"))?;
        let (bare, write) = match name.strip_suffix("::rw") {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        match kind {
            "dir" => Ok(self.explain_dir(question, bare, write)),
            "kv" | "key-value" => Ok(self.explain_bucket(question, bare, write)),
            "env" => Ok(value(question, "env", name, self.grants.env.contains_key(name))),
            "config" => Ok(value(question, "config", name, self.grants.config.contains_key(name))),
            "stdio" => self.explain_stdio(question, name),
            "limit" => self.explain_limit(question, name),
            "tcp" => self.explain_net(question, NetProtocol::Tcp, name),
            "udp" => self.explain_net(question, NetProtocol::Udp, name),
            "dns" => self.explain_lookup(question, name),
            _ => Err(format!("`{kind}:` is nothing that can be asked about: {FORMS}")),
        }
    }

    fn explain_http(&self, question: &str) -> Result<Explanation, String> {
        let target = target(question)?;
        let asked = target.pattern();
        let http = &self.grants.http;
        let mut why = Vec::new();
        for (n, grant) in http.iter().enumerate() {
            match grant.refuses(&target) {
                Some(part) => why.push(format!("`{grant}` ({}) doesn't fit: {part}", place("http", n))),
                None => why.push(format!("`{grant}` ({}) fits: {}", place("http", n), addresses(grant))),
            }
        }
        if http.is_empty() {
            why.push("the policy has no `[[http]]`".to_owned());
        }
        // The request is made under the first rule that its addresses fit; without knowing them, the first that fits.
        let rule = http.iter().enumerate().find(|(_, grant)| grant.permits(&target));
        let rule = rule.map(|(n, grant)| rule_text("http", n, "allow", &grant.to_string()));
        Ok(Explanation { asked, allowed: rule.is_some(), rule, why })
    }

    fn explain_secret(&self, question: &str, rest: &str) -> Result<Explanation, String> {
        let (name, request) = rest.split_once(' ').ok_or_else(|| {
            format!("`{question}` needs a request that the secret goes into, as in `secret:api GET https://…`")
        })?;
        let target = target(request)?;
        let asked = format!("secret `{name}` in {}", target.pattern());
        let found = self.grants.secret.iter().enumerate().find(|(_, secret)| secret.name == name);
        let Some((n, secret)) = found else {
            let why = vec![format!("no `[[secret]]` has the name `{name}`")];
            return Ok(Explanation { asked, allowed: false, rule: None, why });
        };
        let granted = self.grants.http.iter().any(|grant| grant.permits(&target));
        let covered = secret.permits(&target);
        let mut why = vec![secret_why(secret, &target, covered)];
        if !granted {
            why.push("no `[[http]]` grants the request itself".to_owned());
        }
        let rule = covered.then(|| rule_text("secret", n, "name", name));
        Ok(Explanation { asked, allowed: covered && granted, rule, why })
    }

    fn explain_dir(&self, question: &str, path: &str, write: bool) -> Explanation {
        let dirs = self.grants.dir.iter().enumerate().filter(|(_, dir)| dir.rest(path).is_some());
        // Guests take the directory whose path is the longest that fits.
        let found = dirs.max_by_key(|(_, dir)| dir.guest.trim_end_matches('/').len());
        let asked = question.to_owned();
        let Some((n, dir)) = found else {
            let granted: Vec<String> = self.grants.dir.iter().map(|dir| format!("`{}`", dir.guest)).collect();
            let why = match granted.is_empty() {
                true => "the policy has no `[[dir]]`".to_owned(),
                false => format!("it is below none of the granted paths: {}", granted.join(", ")),
            };
            return Explanation { asked, allowed: false, rule: None, why: vec![why] };
        };
        if !dir.contains(path) {
            let why = vec![format!("it leaves `{}` by `..`, even if it comes back", dir.guest)];
            return Explanation { asked, allowed: false, rule: None, why };
        }
        let writable = dir.access.permits_writing();
        let access = if writable { "read-write" } else { "read-only" };
        let mut why = vec![format!("it is in `{}` of the host, which is granted {access}", dir.host.display())];
        if writable || !write {
            why.push("a link that leads out of the directory is refused all the same".to_owned());
        }
        let allowed = writable || !write;
        Explanation { asked, allowed, rule: Some(rule_text("dir", n, "guest", &dir.guest)), why }
    }

    fn explain_bucket(&self, question: &str, bucket: &str, write: bool) -> Explanation {
        let asked = question.to_owned();
        let found = self.grants.key_value.iter().enumerate().find(|(_, grant)| grant.bucket == bucket);
        let Some((n, grant)) = found else {
            let why = vec!["no `[[key-value]]` has this name; names are compared as they are".to_owned()];
            return Explanation { asked, allowed: false, rule: None, why };
        };
        let writable = grant.access.permits_writing();
        let access = if writable { "read-write" } else { "read-only" };
        let mut why = vec![format!("it is kept in `{}` and granted {access}", grant.store)];
        if writable {
            let quota = &grant.quota;
            why.push(format!("up to {} keys and {} in all", quota.max_keys, quota.max_total));
        }
        let rule = Some(rule_text("key-value", n, "bucket", bucket));
        Explanation { asked, allowed: writable || !write, rule, why }
    }

    fn explain_stdio(&self, question: &str, stream: &str) -> Result<Explanation, String> {
        let given = self.grants.stdio.unwrap_or_default();
        let allowed = match stream {
            "stdin" => given.stdin,
            "stdout" => given.stdout,
            "stderr" => given.stderr,
            _ => return Err(format!("`{stream}` is none of `stdin`, `stdout` and `stderr`")),
        };
        let why = match (self.grants.stdio, allowed) {
            (None, _) => STDIO_UNSAID,
            (Some(_), true) => "the table `stdio` names it",
            (Some(_), false) => "the table `stdio` doesn't name it: input is at its end, output is counted and dropped",
        };
        let rule = self.grants.stdio.map(|_| "stdio".to_owned());
        Ok(Explanation { asked: question.to_owned(), allowed, rule, why: vec![why.to_owned()] })
    }

    fn explain_limit(&self, question: &str, name: &str) -> Result<Explanation, String> {
        let row = LIMITS.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| format!("there is no limit `{name}`; `host run --help` lists them"))?;
        let shown = |limits: &Limits| limits.get(row.kind).map_or_else(|| "off".to_owned(), |amount| row.show(amount));
        let (value, default) = (shown(&self.limits), shown(&Limits::default()));
        let why = vec![
            format!("{value}, which bounds {}; the default is {default}", row.bounds),
            format!("at the limit {}", row.at_limit),
        ];
        let rule = Some(if value == default { "the default".to_owned() } else { format!("limits.{name} = {value}") });
        Ok(Explanation { asked: question.to_owned(), allowed: true, rule, why })
    }

    /// Whether a host of this address may be reached by a request, and by which rule.
    ///
    /// # Errors
    /// The question is no request.
    pub fn explain_address(&self, question: &str, address: IpAddr) -> Result<Explanation, String> {
        let mut explanation = self.explain_http(question)?;
        let target = target(question)?;
        explanation.asked = format!("{} at {address}", explanation.asked);
        explanation.rule = None;
        for (n, grant) in self.grants.http.iter().enumerate().filter(|(_, grant)| grant.permits(&target)) {
            match grant.permits_address(address) {
                Ok(()) => {
                    explanation.rule = Some(rule_text("http", n, "allow", &grant.to_string()));
                    break;
                }
                Err(class) => {
                    let place = place("http", n);
                    explanation.why.push(format!("{address} is {}, which {place} doesn't reach", class.name()));
                }
            }
        }
        explanation.allowed = explanation.rule.is_some();
        Ok(explanation)
    }
}

fn target(question: &str) -> Result<HttpTarget, String> {
    let (method, url) = question.rsplit_once(' ').unwrap_or(("GET", question));
    HttpTarget::parse(method.trim(), url)
        .map_err(|error| format!("no grant covers `{question}`, whatever the policy says: {error}"))
}

fn addresses(grant: &HttpGrant) -> &'static str {
    match (grant.allow_private, grant.address_class()) {
        (_, Some(_)) => "it names this very address",
        (true, None) => "its host may resolve to public and private addresses",
        (false, None) => "its host may resolve to public addresses only",
    }
}

fn secret_why(secret: &SecretGrant, target: &HttpTarget, covered: bool) -> String {
    let header = &secret.header;
    if covered {
        return format!("`for` covers the request; the value is put into `{header}` and nowhere else");
    }
    match secret.to.iter().any(|to| to.permits(target)) {
        true => "the request would be in the clear, and `allow-plaintext` is not set".to_owned(),
        false => "`for` doesn't cover the request".to_owned(),
    }
}

/// A variable or a configuration value.
fn value(question: &str, key: &str, name: &str, allowed: bool) -> Explanation {
    let why = match allowed {
        true => format!("`{key}` has this very name; the guest can read its value"),
        false => {
            format!("`{key}` doesn't have it; names are compared as they are, and nothing of the host's is passed on")
        }
    };
    let rule = allowed.then(|| format!("{key}.{name}"));
    Explanation { asked: question.to_owned(), allowed, rule, why: vec![why] }
}

fn place(key: &str, n: usize) -> String {
    format!("`[[{key}]]` number {}", n + 1)
}

fn rule_text(key: &str, n: usize, field: &str, value: &str) -> String {
    format!("[[{key}]] number {}: {field} = {value:?}", n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::parse(
            "env.A = 'b'\nconfig.k = 'v'\nstdio.stdout = true\nlimits.memory = '1MiB'\n\
             [[dir]]\nhost = 'data'\nguest = '/d'\naccess = 'read-write'\n\
             [[dir]]\nhost = 'sub'\nguest = '/d/sub'\naccess = 'read-only'\n\
             [[key-value]]\nbucket = 'b'\nstore = 'memory'\naccess = 'read-only'\n\
             [[http]]\nallow = 'GET https://a.example/v1'\n\
             [[http]]\nallow = 'https://*.b.example'\nallow-private = true\n\
             [[net]]\nconnect = '*.a.example:5432'\n\
             [[net]]\nconnect = '0.0.0.0/0:80'\n\
             [[lookup]]\nname = '*.other.example'\n\
             [[secret]]\nname = 's'\nenv = 'S'\nheader = 'x-s'\nfor = ['https://a.example']\n",
        )
        .unwrap()
    }

    #[test]
    fn each_kind_of_question_has_its_answer() {
        for (question, allowed, rule, why) in [
            ("GET https://a.example/v1/x", true, "number 1", "fits"),
            ("https://a.example/v1/x", true, "number 1", "fits"),
            ("POST https://a.example/v1/x", false, "", "doesn't fit: the method"),
            ("GET https://a.example/v2", false, "", "doesn't fit: the path"),
            ("GET http://a.example/v1", false, "", "doesn't fit: the scheme"),
            ("GET https://a.example:444/v1", false, "", "doesn't fit: the port"),
            ("PUT https://c.b.example/", true, "number 2", "doesn't fit: the host"),
            ("dir:/d/x", true, "number 1", "read-write"),
            ("dir:/d/x::rw", true, "number 1", "`data`"),
            ("dir:/d/sub/x::rw", false, "number 2", "read-only"),
            ("dir:/dx", false, "", "below none"),
            ("dir:/d/a/../x", true, "number 1", "`data`"),
            ("dir:/d/sub/a/../x::rw", false, "number 2", "read-only"),
            ("dir:/d/../x", false, "", "leaves `/d` by `..`"),
            ("dir:/d/../d/x", false, "", "leaves `/d` by `..`"),
            ("dir:/d/sub/../x", false, "", "leaves `/d/sub` by `..`"),
            ("env:A", true, "env.A", "very name"),
            ("env:a", false, "", "compared as they are"),
            ("config:k", true, "config.k", "very name"),
            ("kv:b", true, "number 1", "`memory`"),
            ("kv:b::rw", false, "number 1", "read-only"),
            ("kv:c", false, "", "no `[[key-value]]`"),
            ("stdio:stdout", true, "stdio", "names it"),
            ("stdio:stdin", false, "stdio", "doesn't name it"),
            ("limit:memory", true, "limits.memory = 1MiB", "128MiB"),
            ("limit:wall", true, "the default", "30s"),
            ("secret:s GET https://a.example/v1", true, "number 1", "`x-s`"),
            ("secret:s GET https://a.example/v2", false, "number 1", "covers the request"),
            ("secret:t GET https://a.example/v1", false, "", "no `[[secret]]`"),
            ("tcp:localhost:81", false, "", "no `[[net]]`"),
            ("tcp:db.a.example:5432", true, "number 1", "as if it had a public address"),
            ("udp:db.a.example:5432", false, "", "no `[[net]]`"),
            ("tcp:10.0.0.1:80", false, "", "number 2 fits, but the address is private"),
            ("tcp:8.8.8.8:80", true, "number 2", ""),
            ("dns:db.a.example", true, "number 1", "refused unless"),
            ("dns:x.other.example", true, "number 1", "refused unless"),
            ("dns:elsewhere.example", false, "", "no `[[lookup]]`"),
            ("dns:10.0.0.1", true, "", "its own answer"),
            ("tcp:[::ffff:10.0.0.1]:80", false, "", "no `[[net]]`"),
            ("tcp:other.example:80", false, "", "can't be looked up"),
            ("tcp:DB.A.example:5432", true, "number 1", "as if it had a public address"),
        ] {
            let got = policy().explain(question).unwrap();
            assert_eq!(got.allowed, allowed, "{question}: {got:?}");
            assert!(got.rule.as_deref().unwrap_or_default().contains(rule), "{question}: {got:?}");
            assert_eq!(got.rule.is_none(), rule.is_empty(), "{question}: {got:?}");
            assert!(why.is_empty() || got.why.iter().any(|line| line.contains(why)), "{question}: {got:?}");
        }
        for wrong in ["", "a", "door:x", "GET ftp://a", "limit:nothing", "stdio:x", "GET https://a@b", "secret:s"] {
            assert!(policy().explain(wrong).is_err(), "{wrong}");
        }
        // What no socket and no look-up takes: the guest would be told so whatever the policy says.
        for host in ["127.1", "0x7f.1", "0177.0.0.1", "2130706433", "localhost.", "[fe80::1%eth0]", "::1", "a..b", ""] {
            let error = policy().explain(&format!("tcp:{host}:80")).unwrap_err();
            assert!(error.contains("no grant covers"), "{host}: {error}");
        }
        for name in ["127.1", "localhost.", "fe80::1%eth0", "a..b", "*.a.example"] {
            assert!(policy().explain(&format!("dns:{name}")).unwrap_err().contains("no grant covers"), "{name}");
        }
        for port in ["0", "+80", "080", "65536", ""] {
            assert!(policy().explain(&format!("tcp:a.example:{port}")).is_err(), "{port}");
        }
    }

    #[test]
    fn streams_that_nobody_mentions_are_those_of_the_command_line() {
        let answer = Policy::default().explain("stdio:stdin").unwrap();
        assert!(!answer.allowed && answer.rule.is_none());
        let answer = answer.as_run();
        assert!(answer.allowed && answer.rule.is_none() && answer.why[0].contains("the library none"));
        let said = Policy::parse("stdio.stdout = true").unwrap();
        assert!(!said.explain("stdio:stdin").unwrap().as_run().allowed);
    }

    #[test]
    fn an_address_is_judged_by_the_rules_that_fit() {
        let ask = |url: &str, address: &str| policy().explain_address(url, address.parse().unwrap()).unwrap();
        assert!(ask("https://a.example/v1", "8.8.8.8").allowed);
        let no = ask("https://a.example/v1", "10.0.0.1");
        assert!(!no.allowed && no.why.iter().any(|line| line.contains("10.0.0.1 is private")), "{no:?}");
        assert!(ask("https://c.b.example/", "10.0.0.1").allowed);
        assert!(!ask("https://c.b.example/", "169.254.169.254").allowed);
    }
}
