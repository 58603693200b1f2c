//! Patterns of requests compared with each other: how one is written, what two have in common, whether one covers
//! another, and which part of one a request fails at.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use super::{AddressClass, HostName, HostPattern, HttpGrant, HttpScheme, HttpTarget, is_ambiguous};

/// Paths that are suggested one by one before they are taken together.
const MANY_PATHS: usize = 8;

/// Patterns that are each compared with each.
const MOST_PRUNED: usize = 2 * crate::policy::MAX_GRANTS;

/// Segments of a path that an audit records.
const SEGMENTS: usize = 2;

impl HttpGrant {
    /// Every request over a scheme's own port to every public host: what an audit without a ceiling allows. No policy
    /// file can say this.
    pub(crate) fn any(scheme: HttpScheme) -> Self {
        let (methods, path) = (Vec::new(), String::new());
        Self { methods, scheme, host: HostPattern::Any, port: scheme.port(), path, allow_private: false, ca: None }
    }

    /// Which part of the pattern a request doesn't fit; none where it is permitted.
    pub fn refuses(&self, target: &HttpTarget) -> Option<&'static str> {
        if self.scheme != target.scheme {
            return Some("the scheme");
        }
        if !self.permits_host(&target.host) {
            return Some("the host");
        }
        if self.port != target.port {
            return Some("the port");
        }
        if !self.permits_method(&target.method) {
            return Some("the method");
        }
        (!self.permits_path(&target.path)).then_some("the path")
    }

    /// What both permit: every request, every address and every server's certificate that this permits is permitted by
    /// either. None where they have nothing in common.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        // Most pairs of two long lists are about different hosts, so that comes first.
        let host = self.host.meet(&other.host)?;
        // No methods means all of them, so a meet without any must not be written that way.
        let methods = match (self.methods.as_slice(), other.methods.as_slice()) {
            ([], methods) | (methods, []) => methods.to_vec(),
            (methods, others) => {
                let common: Vec<String> = methods.iter().filter(|method| others.contains(method)).cloned().collect();
                Some(common).filter(|common| !common.is_empty())?
            }
        };
        let path = match (is_below(&self.path, &other.path), is_below(&other.path, &self.path)) {
            (true, _) => self.path.clone(),
            (_, true) => other.path.clone(),
            _ => return None,
        };
        let ca = self.ca.clone().filter(|_| self.ca == other.ca);
        let allow_private = self.allow_private && other.allow_private;
        let (port, scheme) = (self.port, self.scheme);
        Some(Self { methods, scheme, host, port, path, allow_private, ca })
    }

    /// Whether everything that `other` permits is permitted by this.
    pub fn covers(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty() && other.methods.iter().all(|method| self.methods.contains(method)));
        methods
            && self.scheme == other.scheme
            && self.port == other.port
            && self.host.meet(&other.host).as_ref() == Some(&other.host)
            && is_below(&other.path, &self.path)
            && (self.allow_private || !other.allow_private)
            && (other.ca.is_none() || self.ca == other.ca)
    }

    /// Whether its host stands for more than one name.
    pub fn is_wildcard(&self) -> bool {
        !matches!(self.host, HostPattern::Exactly(_))
    }

    /// Whether it is for every method, and for every path.
    pub fn is_open(&self) -> bool {
        self.methods.is_empty() && self.path.is_empty()
    }

    /// The kind of address that it names, where it names one and no name.
    pub fn address_class(&self) -> Option<AddressClass> {
        match &self.host {
            HostPattern::Exactly(HostName::Address(address)) => Some(AddressClass::of(*address)),
            _ => None,
        }
    }

    /// The same pattern once for each of its methods, so that one which is covered by several others is seen to be.
    pub(in crate::policy) fn by_method(&self) -> Vec<Self> {
        match self.methods.as_slice() {
            [] => vec![self.clone()],
            methods => methods.iter().map(|one| Self { methods: vec![one.clone()], ..self.clone() }).collect(),
        }
    }

    /// Leaves out what another one of the list covers. A very long list stays as it is, which means the same.
    pub(in crate::policy) fn prune(grants: Vec<Self>) -> Vec<Self> {
        if grants.len() > MOST_PRUNED {
            return grants;
        }
        let mut kept: Vec<Self> = Vec::new();
        for grant in grants {
            if !kept.iter().any(|other| other.covers(&grant)) {
                kept.retain(|other| !grant.covers(other));
                kept.push(grant);
            }
        }
        kept
    }

    /// The fewest patterns for these: methods of one place together, and many paths as what they have in common.
    pub(in crate::policy) fn gather(grants: &[Self]) -> Vec<Self> {
        let mut places: BTreeMap<String, Vec<&Self>> = BTreeMap::new();
        for grant in grants {
            let place = Self { methods: Vec::new(), ..grant.clone() };
            places.entry(format!("{place} {} {:?}", grant.allow_private, grant.ca)).or_default().push(grant);
        }
        let mut paths: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for same in places.into_values() {
            let Some(first) = same.first() else { continue };
            let mut methods: Vec<String> = same.iter().flat_map(|grant| grant.methods.iter().cloned()).collect();
            methods.sort();
            methods.dedup();
            let grant = Self { methods, ..(*first).clone() };
            let place = Self { path: String::new(), ..grant.clone() };
            paths.entry(format!("{place} {} {:?}", grant.allow_private, grant.ca)).or_default().push(grant);
        }
        let together = |same: Vec<Self>| match same.split_first() {
            Some((first, rest)) if same.len() > MANY_PATHS => {
                let path = rest.iter().fold(first.path.clone(), |path, grant| common_path(&path, &grant.path));
                vec![Self { path, ..first.clone() }]
            }
            _ => same,
        };
        Self::prune(paths.into_values().flat_map(together).collect())
    }
}

impl HttpTarget {
    /// The request as a pattern, with the first segments of its path where the path can be read in one way only. What a
    /// path ends with is most often data.
    pub fn pattern(&self) -> String {
        let mut path = String::new();
        if !is_ambiguous(&self.path) {
            for segment in self.path.split('/').filter(|segment| !segment.is_empty()).take(SEGMENTS) {
                path.push('/');
                path.push_str(segment);
            }
        }
        format!("{self}{path}")
    }

    /// Whether a grant for this very host would need `allow-private` to reach an address.
    pub(crate) fn needs_private(&self, address: IpAddr) -> bool {
        HttpGrant::parse(&self.pattern()).is_ok_and(|grant| grant.permits_address(address).is_err())
    }
}

impl HostPattern {
    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => (a == b).then(|| self.clone()),
            (Self::Any, Self::Any) => Some(Self::Any),
            (Self::Any, Self::Exactly(host)) | (Self::Exactly(host), Self::Any) => {
                (!is_special(host)).then(|| Self::Exactly(host.clone()))
            }
            (Self::Any, Self::Below(parent)) | (Self::Below(parent), Self::Any) => Some(Self::Below(parent.clone())),
            (Self::Below(parent), Self::Exactly(host)) | (Self::Exactly(host), Self::Below(parent)) => {
                let HostName::Name(name) = host else { return None };
                is_subdomain(name, parent).then(|| Self::Exactly(host.clone()))
            }
            (Self::Below(a), Self::Below(b)) if a == b || is_subdomain(a, b) => Some(self.clone()),
            (Self::Below(a), Self::Below(b)) => is_subdomain(b, a).then(|| other.clone()),
        }
    }
}

/// Whether naming this very host reaches more than a pattern that covers it: see [`HttpGrant::permits_address`].
fn is_special(host: &HostName) -> bool {
    match host {
        HostName::Name(name) => name == "localhost",
        HostName::Address(address) => AddressClass::of(*address) != AddressClass::Public,
    }
}

/// Whether a name is below another.
pub(in crate::policy) fn is_subdomain(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

/// Whether a path is another one or below it, in whole segments; the empty one stands for all.
fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| parent.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn common_path(a: &str, b: &str) -> String {
    let common = a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b);
    common.map(|(segment, _)| segment).collect::<Vec<_>>().join("/")
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://", self.scheme.name())?;
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Below(parent) => write!(f, "*.{parent}")?,
            HostPattern::Exactly(HostName::Address(IpAddr::V6(address))) => write!(f, "[{address}]")?,
            HostPattern::Exactly(host) => write!(f, "{host}")?,
        }
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> HttpGrant {
        HttpGrant::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_is_written_as_it_is_read() {
        for text in [
            "https://a.example",
            "GET,POST http://*.a.example:8080/v1/x",
            "http://[::1]:1",
            "https://192.0.2.1/x",
            "PURGE https://localhost",
        ] {
            assert_eq!(grant(text).to_string(), text);
            assert_eq!(grant(&grant(text).to_string()), grant(text));
        }
    }

    #[test]
    fn what_two_patterns_have_in_common_is_in_both() {
        let meet = |a: &str, b: &str| {
            let (one, two) = (grant(a).meet(&grant(b)), grant(b).meet(&grant(a)));
            assert_eq!(one, two, "{a} {b}");
            one.map(|grant| grant.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            meet("GET,POST https://a.example/v1", "POST,PUT https://a.example"),
            some("POST https://a.example/v1")
        );
        assert_eq!(meet("GET https://a.example", "POST https://a.example"), None);
        assert_eq!(meet("https://a.example", "POST https://a.example"), some("POST https://a.example"));
        assert_eq!(meet("https://*.a.example", "https://b.a.example"), some("https://b.a.example"));
        assert_eq!(meet("https://*.a.example", "https://*.b.a.example"), some("https://*.b.a.example"));
        assert_eq!(meet("https://*.a.example", "https://a.example"), None);
        assert_eq!(meet("https://*.a.example", "https://ba.example"), None);
        assert_eq!(meet("https://a.example/v1", "https://a.example/v10"), None);
        assert_eq!(meet("https://a.example/v1", "https://a.example/v1/x"), some("https://a.example/v1/x"));
        assert_eq!(meet("https://a.example", "http://a.example"), None);
        assert_eq!(meet("https://a.example", "https://a.example:444"), None);
    }

    #[test]
    fn every_public_host_has_nothing_in_common_with_an_address_that_isnt() {
        let any = HttpGrant::any(HttpScheme::Http);
        assert_eq!(any.meet(&grant("http://127.0.0.1")), None);
        assert_eq!(any.meet(&grant("http://169.254.169.254")), None);
        assert_eq!(any.meet(&grant("http://localhost")), None);
        assert_eq!(any.meet(&grant("http://8.8.8.8")), Some(grant("http://8.8.8.8")));
        assert!(any.covers(&grant("GET http://a.example/x")) && !any.covers(&grant("http://127.0.0.1")));
        assert!(!any.covers(&grant("http://a.example:81")) && !grant("http://a.example").covers(&any));
        assert!(any.permits_address("127.0.0.1".parse().unwrap()).is_err());
        assert!(HttpGrant::parse(&any.to_string()).is_err(), "no file can say it");
    }

    #[test]
    fn a_request_is_recorded_with_two_segments_and_nothing_of_a_path_that_is_read_in_two_ways() {
        let pattern = |url| HttpTarget::parse("GET", url).unwrap().pattern();
        assert_eq!(pattern("https://a.example/v1/users/4711?q=1"), "GET https://a.example/v1/users");
        assert_eq!(pattern("https://a.example:444"), "GET https://a.example:444");
        assert_eq!(pattern("https://a.example/v1/../x"), "GET https://a.example");
    }

    #[test]
    fn patterns_are_gathered_by_place_and_many_paths_are_one() {
        let gather = |texts: &[&str]| {
            let grants: Vec<HttpGrant> = texts.iter().map(|text| grant(text)).collect();
            HttpGrant::gather(&grants).iter().map(HttpGrant::to_string).collect::<Vec<_>>()
        };
        assert_eq!(gather(&["GET https://a.example/x", "POST https://a.example/x"]), ["GET,POST https://a.example/x"]);
        assert_eq!(
            gather(&["GET https://a.example/x", "POST https://a.example/y"]),
            ["GET https://a.example/x", "POST https://a.example/y"]
        );
        assert_eq!(gather(&["GET https://a.example/x", "GET https://a.example/x/y"]), ["GET https://a.example/x"]);
        let many: Vec<String> = (0..9).map(|n| format!("GET https://a.example/u/{n}")).collect();
        assert_eq!(gather(&many.iter().map(String::as_str).collect::<Vec<_>>()), ["GET https://a.example/u"]);
    }
}
