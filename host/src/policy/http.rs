//! Which HTTP requests a guest may make: patterns over method, scheme, host, port and path, and the target of a request
//! taken apart once, strictly, so that what is compared is what is sent.
//!
//! Threat model: a guest writes the target of its choice and tries to have it read in two ways, once by the check and
//! once by whoever is asked: user information before the host, hosts that end or begin like a granted one, addresses as
//! one number or in octal, a trailing dot, dot segments, encoded slashes, a method in lower case. What could be read in
//! two ways is refused and never tidied up. A name that is granted doesn't grant the addresses behind the operator's
//! firewall that it may resolve to: see [`HttpGrant::permits_address`].
//!
//! Absent: a pattern for every host that a file could say, names in other letters than ASCII (write them in Punycode), patterns over queries,
//! and `CONNECT` and `TRACE`, which no grant covers: one makes a tunnel, the other sends headers back.

mod algebra;
mod index;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::Serialize;

pub(super) use self::algebra::is_subdomain;
pub use self::index::HttpIndex;
use super::net::AddressClass;

/// One pattern of requests that a guest may make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpGrant {
    /// Methods; empty for all of them but `CONNECT` and `TRACE`.
    methods: Vec<String>,
    scheme: HttpScheme,
    host: HostPattern,
    port: u16,
    /// A path without a slash at its end; empty for all paths.
    path: String,
    /// Whether the host may resolve to private addresses, see [`AddressClass::is_private`].
    pub allow_private: bool,
    /// A file with certificates of authorities that are trusted for this grant beside the system's.
    pub ca: Option<PathBuf>,
}

/// The two schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpScheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// A host as it stands in a target: a name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostName {
    /// A name of letters, digits, `-`, `_` and dots.
    Name(String),
    /// An address in its usual notation.
    Address(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
enum HostPattern {
    Exactly(HostName),
    /// Every name below this one, at any depth, but not the name itself.
    Below(String),
    /// Every host that is public; see [`HttpGrant::any`].
    Any,
}

/// What a request is for, read strictly. Its text form has no path: a path can hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    method: String,
    scheme: HttpScheme,
    host: HostName,
    port: u16,
    path: String,
}

/// Why a pattern or a target is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttp {
    /// No scheme, or one that isn't HTTP.
    #[error("the scheme must be `http` or `https`")]
    Scheme,
    /// The method is no token, or one that no grant covers.
    #[error("`{0}` is no method that can be granted")]
    Method(String),
    /// A user name or password before the host.
    #[error("user information before the host is refused")]
    UserInfo,
    /// The host is neither a name nor an address in its usual notation.
    #[error("`{0}` is neither a host name nor an address in its usual notation")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is no port: it is a number from 1 to 65535")]
    Port(String),
    /// `*` anywhere but as the first of three or more labels.
    #[error(
        "a wildcard is written `*.example.com`: it stands for whole labels at the front, before two labels or more"
    )]
    Wildcard,
    /// The path could be read in two ways.
    #[error(
        "the path could be read in two ways: no `..`, no encoded slash, dot or `%`, no backslash, no empty segment"
    )]
    Path,
}

/// Headers that are the host's to set: they say where a message ends, where it goes, or what the connection is used
/// for. The last three change the method after it was checked.
const FORBIDDEN_HEADERS: [&str; 15] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Whether a guest may neither set a header nor see it. `name` is in lower case.
pub fn is_forbidden_header(name: &str) -> bool {
    FORBIDDEN_HEADERS.contains(&name)
}

impl HttpGrant {
    /// Reads `[METHOD[,METHOD] ]scheme://host[:port][/path]`, as `--allow-http` takes it.
    ///
    /// The host is a name, an address, or `*.` and a name of two labels or more, which stands for every name below it
    /// and not for the name itself. Without a port it is the scheme's own; without methods it is every method; a path
    /// stands for itself and everything below it, in whole segments.
    ///
    /// # Errors
    /// What is wrong with it.
    ///
    /// ```
    /// use host::policy::{HttpGrant, HttpTarget};
    /// let grant = HttpGrant::parse("GET,HEAD https://*.example.com/v1").unwrap();
    /// let target = |url| HttpTarget::parse("GET", url).unwrap();
    /// assert!(grant.permits(&target("https://api.example.com/v1/items?id=1")));
    /// assert!(!grant.permits(&target("https://example.com/v1")));
    /// assert!(!grant.permits(&target("https://api.example.com/v10")));
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidHttp> {
        let (methods, url) = match text.trim().rsplit_once(' ') {
            Some((methods, url)) => (methods.trim_end(), url),
            None => ("", text.trim()),
        };
        let mut names: Vec<String> = Vec::new();
        for method in methods.split(',').filter(|_| !methods.is_empty()) {
            names.push(read_method(method.trim())?);
        }
        names.sort();
        names.dedup();
        let (scheme, authority, path) = split(url)?;
        if path.contains(['?', '#']) {
            return Err(InvalidHttp::Path);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() && is_ambiguous(path) {
            return Err(InvalidHttp::Path);
        }
        let (host, port) = split_port(authority)?;
        let host = match host.strip_prefix("*.") {
            Some(name) => match HostName::read(name)? {
                HostName::Name(name) if name.contains('.') => HostPattern::Below(name),
                _ => return Err(InvalidHttp::Wildcard),
            },
            None if host.contains('*') => return Err(InvalidHttp::Wildcard),
            None => HostPattern::Exactly(HostName::read(host)?),
        };
        let port = port.unwrap_or(scheme.port());
        Ok(Self { methods: names, scheme, host, port, path: path.to_owned(), allow_private: false, ca: None })
    }

    /// Whether a request may be made.
    pub fn permits(&self, target: &HttpTarget) -> bool {
        self.refuses(target).is_none()
    }

    /// Whether a request that is permitted may go to this address, which its host resolved to.
    ///
    /// Public addresses may be reached; private ones where the grant allows them; an address of any kind where the grant
    /// is for this very address; and the host's own where the grant is for `localhost`.
    ///
    /// # Errors
    /// The kind of address that it is.
    pub fn permits_address(&self, address: IpAddr) -> Result<(), AddressClass> {
        let class = AddressClass::of(address);
        let named = match &self.host {
            HostPattern::Exactly(HostName::Address(granted)) => *granted == address,
            HostPattern::Exactly(HostName::Name(name)) => name == "localhost" && address.is_loopback(),
            HostPattern::Below(_) | HostPattern::Any => false,
        };
        match class {
            AddressClass::Public => Ok(()),
            class if self.allow_private && class.is_private() => Ok(()),
            _ if named => Ok(()),
            class => Err(class),
        }
    }

    /// Whether it is for messages over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == HttpScheme::Https
    }

    fn permits_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|granted| granted == method)
    }

    fn permits_host(&self, host: &HostName) -> bool {
        match (&self.host, host) {
            (HostPattern::Exactly(granted), host) => granted == host,
            (HostPattern::Below(parent), HostName::Name(name)) => is_subdomain(name, parent),
            (HostPattern::Any, _) => true,
            (HostPattern::Below(_), HostName::Address(_)) => false,
        }
    }

    /// A grant for all paths leaves it to the server what a path means; one for some paths has to know.
    fn permits_path(&self, path: &str) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let below = path.strip_prefix(self.path.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !is_ambiguous(path)
    }
}

impl HttpTarget {
    /// Reads the parts of a request as a guest gives them. `path` may have a query, which is no part of the target.
    ///
    /// # Errors
    /// What could be read in two ways.
    pub fn read(method: &str, scheme: &str, authority: &str, path: &str) -> Result<Self, InvalidHttp> {
        let method = read_method(method)?;
        let scheme = HttpScheme::read(scheme)?;
        let (host, port) = split_port(authority)?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') {
            return Err(InvalidHttp::Path);
        }
        let (host, port) = (HostName::read(host)?, port.unwrap_or(scheme.port()));
        Ok(Self { method, scheme, host, port, path: path.to_owned() })
    }

    /// Reads a method and a URL.
    ///
    /// # Errors
    /// What could be read in two ways.
    pub fn parse(method: &str, url: &str) -> Result<Self, InvalidHttp> {
        let (scheme, authority, path) = split(url)?;
        Self::read(method, scheme.name(), authority, path)
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port, which is the scheme's own where none was given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The scheme.
    pub fn scheme(&self) -> HttpScheme {
        self.scheme
    }

    /// Host and port as they are sent: without the port where it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl HttpScheme {
    fn read(text: &str) -> Result<Self, InvalidHttp> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(InvalidHttp::Scheme),
        }
    }

    /// The scheme's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme's own port.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl HostName {
    /// Reads a host strictly; none where it is neither a name nor an address in its usual notation.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// What a guest asks for when it looks something up: an address, or a name in lower case; none where that could be read in two
    /// ways.
    ///
    /// ```
    /// use host::policy::HostName;
    /// assert_eq!(HostName::to_look_up("DB.example.com").unwrap().to_string(), "db.example.com");
    /// assert!(HostName::to_look_up("127.1").is_none() && HostName::to_look_up("localhost.").is_none());
    /// ```
    pub fn to_look_up(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::Address).or_else(|| Self::parse(text))
    }

    /// Reads a host strictly: no octal or short addresses, no zone, no empty label, no dot at the end.
    pub(super) fn read(text: &str) -> Result<Self, InvalidHttp> {
        let wrong = || InvalidHttp::Host(shown(text));
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
            return inner.parse::<Ipv6Addr>().map(|address| Self::Address(address.into())).map_err(|_| wrong());
        }
        let name = text.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(wrong());
        }
        // What ends in a number is an address to some readers, in whatever notation, so it must be one to all.
        let last = name.rsplit('.').next().unwrap_or_default();
        let digits = last.strip_prefix("0x").unwrap_or(last);
        if last.bytes().all(|byte| byte.is_ascii_digit())
            || (last.len() != digits.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return name.parse::<Ipv4Addr>().map(|address| Self::Address(address.into())).map_err(|_| wrong());
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}", self.method, self.scheme.name(), self.authority())
    }
}

fn read_method(method: &str) -> Result<String, InvalidHttp> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let known = !["CONNECT", "TRACE"].iter().any(|refused| method.eq_ignore_ascii_case(refused));
    if method.is_empty() || method.len() > 32 || !method.bytes().all(token) || !known {
        return Err(InvalidHttp::Method(shown(method)));
    }
    Ok(method.to_owned())
}

/// Scheme, authority and the rest of a URL.
fn split(url: &str) -> Result<(HttpScheme, &str, &str), InvalidHttp> {
    let (scheme, rest) = url.split_once("://").ok_or(InvalidHttp::Scheme)?;
    let scheme = HttpScheme::read(scheme)?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    Ok((scheme, authority, path))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), InvalidHttp> {
    if authority.contains('@') {
        return Err(InvalidHttp::UserInfo);
    }
    // The colons of an address of version 6 are inside its brackets.
    let after = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority.get(after..).and_then(|rest| rest.find(':')).map(|colon| after + colon);
    let Some(colon) = colon else { return Ok((authority, None)) };
    let (host, port) = authority.split_at(colon);
    let port = port.strip_prefix(':').unwrap_or(port);
    let number = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    match port.parse::<u16>() {
        Ok(value) if number => Ok((host, Some(value))),
        _ => Err(InvalidHttp::Port(shown(port))),
    }
}

/// Whether a path could mean another path to somebody: by dot segments (with parameters or without), by an encoding
/// of what separates segments, once or twice, by backslashes, or by segments that some servers leave out.
fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let odd = |c: char| c == '\\' || !c.is_ascii_graphic();
    let encoded = ["%2e", "%2f", "%5c", "%25", "%00"];
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    let mut segments = lower.split('/').skip(1).peekable();
    let mut empty = false;
    while let Some(segment) = segments.next() {
        empty |= segment.is_empty() && segments.peek().is_some();
        empty |= dots(segment);
    }
    empty || lower.contains(odd) || encoded.iter().any(|code| lower.contains(code))
}

/// Text of a policy or a guest, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
