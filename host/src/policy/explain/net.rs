//! Which rule decides about an address or a name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{Explanation, place, rule_text};
use crate::policy::Policy;
use crate::policy::http::HostName;
use crate::policy::net_grant::{NetAsk, NetDenial, NetDirection, NetProtocol, Pinned, permits, permits_lookup};

/// A public address, for a name whose own addresses aren't known here.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Policy {
    pub(super) fn explain_net(&self, question: &str, protocol: NetProtocol, to: &str) -> Result<Explanation, String> {
        let wrong = || format!("`{question}` needs an address or a name, and a port, as in `tcp:db.example.com:5432`");
        let (host, port) = to.rsplit_once(':').ok_or_else(wrong)?;
        let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        let port: u16 = port.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let read = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().ok().map(|address| HostName::Address(address.into())),
            None => HostName::to_look_up(host).filter(|read| !matches!(read, HostName::Address(IpAddr::V6(_)))),
        };
        let mut names = Pinned::default();
        let mut why = Vec::new();
        let ip = match read.ok_or_else(|| unreadable(question, host))? {
            HostName::Address(ip) => ip,
            HostName::Name(name) => {
                if permits_lookup(&self.grants.net, &self.grants.lookup, &name, &[]).is_err() {
                    let found = self.grants.net.iter().any(|grant| grant.protocol == protocol);
                    let what = if found { "no `[[net]]` is for this host, so" } else { "the policy has no `[[net]]`:" };
                    let why = vec![format!("{what} the name can't be looked up")];
                    return Ok(Explanation { asked: question.to_owned(), allowed: false, rule: None, why });
                }
                let address = if name == "localhost" { LOOPBACK } else { PUBLIC };
                names.insert(name, Arc::from([address]));
                if address == PUBLIC {
                    why.push("a name is judged as if it had a public address; others need `allow-private`".to_owned());
                }
                address
            }
        };
        let ask = NetAsk { protocol, direction: NetDirection::Connect, address: SocketAddr::new(ip, port) };
        let grants = &self.grants.net;
        let decided = permits(grants, &ask, &names);
        match &decided {
            Ok(_) => {}
            Err(NetDenial::NoGrant) if grants.is_empty() => why.push("the policy has no `[[net]]`".to_owned()),
            Err(NetDenial::NoGrant) => why.push("no `[[net]]` is for this host, port and protocol".to_owned()),
            Err(NetDenial::Address(n, class)) => {
                let needs = if class.is_private() {
                    "`allow-private`, or a grant for the very address"
                } else {
                    "a grant for the very address"
                };
                why.push(format!("{} fits, but the address is {}: it needs {needs}", place("net", *n), class.name()));
            }
        }
        let allowed = decided.is_ok();
        let rule = decided.ok().and_then(|n| Some((n, grants.get(n)?)));
        let rule = rule.map(|(n, grant)| rule_text("net", n, grant.direction.name(), &grant.pattern()));
        Ok(Explanation { asked: question.to_owned(), allowed, rule, why })
    }

    pub(super) fn explain_lookup(&self, question: &str, name: &str) -> Result<Explanation, String> {
        let name = match HostName::to_look_up(name).ok_or_else(|| unreadable(question, name))? {
            HostName::Name(name) => name,
            HostName::Address(_) => {
                let why = vec!["an address is its own answer, which tells nothing and grants nothing".to_owned()];
                return Ok(Explanation { asked: question.to_owned(), allowed: true, rule: None, why });
            }
        };
        let name = name.as_str();
        let (net, lookup) = (&self.grants.net, &self.grants.lookup);
        let allowed = permits_lookup(net, lookup, name, &[]).is_ok();
        let by_lookup = lookup.iter().enumerate().find(|(_, grant)| grant.name.covers(name));
        let by_net = || {
            net.iter()
                .enumerate()
                .find(|(_, grant)| permits_lookup(std::slice::from_ref(grant), &[], name, &[]).is_ok())
        };
        let rule = match by_lookup {
            Some((n, grant)) => Some(rule_text("lookup", n, "name", &grant.name.to_string())),
            None => by_net().map(|(n, grant)| rule_text("net", n, grant.direction.name(), &grant.pattern())),
        };
        let why = match (allowed, &rule) {
            (true, _) => "an answer with an address that isn't public is refused unless the rule has `allow-private`",
            (false, _) => "no `[[lookup]]` names it, and no `[[net]]` grants connecting to it",
        };
        Ok(Explanation { asked: question.to_owned(), allowed, rule, why: vec![why.to_owned()] })
    }
}

fn unreadable(question: &str, host: &str) -> String {
    format!(
        "no grant covers `{question}`, whatever the policy says: `{host}` is neither a name nor an address in its usual \
         notation"
    )
}
