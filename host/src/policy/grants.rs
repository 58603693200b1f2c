//! What a guest may touch. Everything that is not here is denied.
//!
//! Threat model: the guest names paths, variables and keys of its own choosing; the operator names what it may have.
//! A grant is compared, never searched for: there are no patterns over variables or keys, so a guest that guesses
//! names learns nothing. Sockets, names, HTTP and secrets have patterns of their own, in the modules beside this one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::compiler::Compiler;
use super::http::HttpGrant;
use super::keyvalue::KeyValueGrant;
use super::net_grant::{LookupGrant, NetGrant};
use super::secret::SecretGrant;
use super::units::Bytes;

/// Every grant of a policy. The default grants nothing: no directory, no variable, no argument, no bucket, closed standard
/// input, and standard output and error that are read by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grants {
    /// Directories of the host that the guest sees.
    pub dir: Vec<DirGrant>,
    /// Environment variables with their values.
    pub env: BTreeMap<String, String>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Configuration that the guest can read by key.
    pub config: BTreeMap<String, String>,
    /// Key-value buckets that the guest can open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_value: Vec<KeyValueGrant>,
    /// Which standard streams the guest is connected to; none of them where nothing is said.
    pub stdio: Option<StdioGrant>,
    /// What happens when the guest tries what is not granted.
    pub on_denied: OnDenied,
    /// What the component's code is made with.
    pub compiler: Compiler,
    /// HTTP requests that the guest may make.
    pub http: Vec<HttpGrant>,
    /// Secrets that are put into requests on their way out.
    pub secret: Vec<SecretGrant>,
    /// A file with certificates of authorities that are trusted beside the system's.
    pub tls_ca: Option<PathBuf>,
    /// The seed of a deterministic run, whose clocks and random bytes are not the real ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deterministic: Option<u64>,
    /// Addresses that the guest may connect to or listen on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<NetGrant>,
    /// Names that the guest may look up beside those that it may connect to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lookup: Vec<LookupGrant>,
}

/// One directory of the host under a name in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DirGrant {
    /// The directory on the host. Relative paths are relative to where the host was started.
    pub host: PathBuf,
    /// The path under which the guest sees it.
    pub guest: String,
    /// Whether the guest may change anything in it.
    pub access: DirAccess,
    /// Bytes of all files in it together, at any depth; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Bytes>,
    /// Files, directories and links in it together, at any depth; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u64>,
}

/// How a directory may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirAccess {
    /// Listing and reading.
    #[default]
    ReadOnly,
    /// Everything, below this directory.
    ReadWrite,
}

/// Which standard streams are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StdioGrant {
    /// Otherwise the guest finds its input at its end.
    pub stdin: bool,
    /// Otherwise what the guest writes is counted and dropped.
    pub stdout: bool,
    /// Otherwise what the guest writes is counted and dropped.
    pub stderr: bool,
}

/// What a denial does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDenied {
    /// The guest sees an error and goes on; the receipt lists the denial.
    #[default]
    Error,
    /// The guest is stopped with `denied.<capability>`.
    Stop,
}

impl StdioGrant {
    /// All three streams, as a program on a command line expects.
    pub const ALL: Self = Self { stdin: true, stdout: true, stderr: true };
}

impl DirAccess {
    /// Whether something may be changed.
    pub fn permits_writing(self) -> bool {
        self == Self::ReadWrite
    }
}

impl DirGrant {
    /// Whether a path of the guest is this directory's or below it, as it is written. `..` takes back the name before it;
    /// where there is none it would leave the directory, which is refused whatever comes after it.
    pub fn contains(&self, path: &str) -> bool {
        let mut depth = 0_usize;
        self.rest(path).is_some_and(|rest| {
            rest.split('/').all(|part| match part {
                "" | "." => true,
                ".." => depth.checked_sub(1).map(|above| depth = above).is_some(),
                _ => {
                    depth = depth.saturating_add(1);
                    true
                }
            })
        })
    }

    /// What a guest asks this directory for when it uses a path: the rest after the directory's own. The names that a guest
    /// knows directories by are compared as text.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.guest.trim_end_matches('/') {
            "." => Some(path).filter(|path| !path.starts_with('/')),
            own => path.strip_prefix(own).filter(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// Entries of a directory with a quota on bytes alone: what is empty takes room too.
    pub const MAX_FILES: u64 = 10_000;

    /// A directory without a quota.
    pub fn new(host: impl Into<PathBuf>, guest: impl Into<String>, access: DirAccess) -> Self {
        Self { host: host.into(), guest: guest.into(), access, max_bytes: None, max_files: None }
    }

    /// Whether what is written to it is counted.
    pub fn has_quota(&self) -> bool {
        self.max_bytes.is_some() || self.max_files.is_some()
    }

    /// Reads `HOST[::GUEST][::ro|::rw]`, as `--dir` takes it. Without a guest path the directory has the name that it
    /// has on the host, and without an access word it can be written to, like the directories of other hosts.
    ///
    /// # Errors
    /// An empty path or a word other than `ro` and `rw` in third place.
    ///
    /// ```
    /// use host::policy::{DirAccess, DirGrant};
    /// let grant = DirGrant::parse("./logs::/in::ro").unwrap();
    /// assert_eq!((grant.guest.as_str(), grant.access), ("/in", DirAccess::ReadOnly));
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = text.split("::").collect();
        let access = match parts.last() {
            Some(&"ro") if parts.len() > 1 => DirAccess::ReadOnly,
            Some(&"rw") if parts.len() > 1 => DirAccess::ReadWrite,
            Some(word) if parts.len() > 2 => return Err(format!("`{word}` is neither `ro` nor `rw`")),
            _ => DirAccess::ReadWrite,
        };
        if matches!(parts.last(), Some(&"ro" | &"rw")) && parts.len() > 1 {
            parts.pop();
        }
        match parts.as_slice() {
            [host] if !host.is_empty() => Ok(Self::new(*host, *host, access)),
            [host, guest] if !host.is_empty() && !guest.is_empty() => Ok(Self::new(*host, *guest, access)),
            _ => Err(format!("`{text}` is not `HOST[::GUEST][::ro|::rw]`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_a_directory_by_whole_names_only() {
        let grant = DirGrant::parse("a::/d").unwrap();
        assert!(grant.contains("/d") && grant.contains("/d/") && grant.contains("/d/x"));
        assert!(!grant.contains("/dx") && !grant.contains("d") && !grant.contains("/d/../x"));
        assert!(grant.contains("/d/a/../x") && grant.contains("/d/a/./b/../../x"));
        assert!(!grant.contains("/d/a/../../x") && !grant.contains("/d/../d/x") && !grant.contains("/d/./../x"));
        assert!(DirGrant::parse("a::/").unwrap().contains("/x"));
        let here = DirGrant::parse(".").unwrap();
        assert!(here.contains("x/y") && !here.contains("/x") && !here.contains("../x"));
    }

    #[test]
    fn a_directory_is_read_in_all_its_forms() {
        let parse = |text| DirGrant::parse(text).map(|g| (g.host.display().to_string(), g.guest, g.access));
        let (ro, rw) = (DirAccess::ReadOnly, DirAccess::ReadWrite);
        assert_eq!(parse("a"), Ok(("a".into(), "a".into(), rw)));
        assert_eq!(parse("a::ro"), Ok(("a".into(), "a".into(), ro)));
        assert_eq!(parse("a::/b"), Ok(("a".into(), "/b".into(), rw)));
        assert_eq!(parse("a::/b::rw"), Ok(("a".into(), "/b".into(), rw)));
        assert_eq!(parse("a::/b::ro"), Ok(("a".into(), "/b".into(), ro)));
        assert_eq!(parse("ro"), Ok(("ro".into(), "ro".into(), rw)));
        for wrong in ["", "::", "::ro", "a::", "a::/b::rx", "a::/b::ro::ro", "a::b::c::d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
