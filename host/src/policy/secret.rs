//! Which secrets are put into which requests, on their way out and nowhere else.
//!
//! Threat model: a guest may use a secret and must never have it. So the guest writes a placeholder, `{{secret:NAME}}`,
//! as the whole value of the header that the entry names; the host puts the value there after the request was checked,
//! and only where method and URL match one of the entry's own patterns. A placeholder anywhere else is a denial and is
//! never sent, so that a mistake is seen. Values are no part of a policy: only where they come from is.
//!
//! What stays open: whoever receives the secret can send it back. Exact copies in headers of the answer are covered up,
//! those in its body are not, so a secret belongs only to URLs that don't echo what they get.

use std::path::PathBuf;

use serde::Serialize;

use super::http::{HttpGrant, HttpTarget, is_forbidden_header};

/// One secret: where it comes from, and which requests it goes into.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretGrant {
    /// The name in the placeholder.
    pub name: String,
    /// Where the host gets the value, when an invocation begins.
    pub source: SecretSource,
    /// The header that it may stand in, in lower case.
    pub header: String,
    /// The header's value, with `{}` for the secret.
    pub format: String,
    /// The requests that it goes into.
    pub to: Vec<HttpGrant>,
    /// Whether it may go out in the clear.
    pub allow_plaintext: bool,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A variable of the host's own environment.
    Env(String),
    /// A file of the host; a line feed at its end is no part of the secret.
    File(PathBuf),
}

/// How a placeholder begins, in any header and whatever its name.
pub(crate) const PLACEHOLDER: &str = "{{secret:";

impl SecretGrant {
    /// What a guest writes in the header.
    pub fn placeholder(&self) -> String {
        format!("{PLACEHOLDER}{}}}}}", self.name)
    }

    /// Whether the secret goes into a request.
    pub fn permits(&self, target: &HttpTarget) -> bool {
        self.to.iter().any(|to| (to.is_https() || self.allow_plaintext) && to.permits(target))
    }

    /// What contradicts itself in an entry.
    ///
    /// # Errors
    /// A message for each.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(word) {
            wrong.push("a secret's `name` has 1 to 64 letters, digits, `-`, `_` and `.`".to_owned());
        }
        if http::HeaderName::from_bytes(self.header.as_bytes()).is_err() || is_forbidden_header(&self.header) {
            wrong.push(format!("`{}` is no header that a secret can stand in", self.header.escape_debug()));
        }
        if self.format.matches("{}").count() != 1 || !self.format.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            wrong.push("a secret's `format` has `{}` once, where the value goes, and no control characters".to_owned());
        }
        if self.to.is_empty() {
            wrong.push("a secret needs `for`, the requests that it goes into".to_owned());
        }
        if !self.allow_plaintext && self.to.iter().any(|to| !to.is_https()) {
            wrong.push("a secret goes out in the clear only with `allow-plaintext = true`".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(edit: impl FnOnce(&mut SecretGrant)) -> SecretGrant {
        let mut secret = SecretGrant {
            name: "api".into(),
            source: SecretSource::Env("API_KEY".into()),
            header: "authorization".into(),
            format: "Bearer {}".into(),
            to: vec![HttpGrant::parse("GET https://api.example.com/v1").unwrap()],
            allow_plaintext: false,
        };
        edit(&mut secret);
        secret
    }

    #[test]
    fn a_secret_goes_only_where_its_own_patterns_say() {
        let secret = secret(|_| {});
        let target = |method, url| HttpTarget::parse(method, url).unwrap();
        assert!(secret.permits(&target("GET", "https://api.example.com/v1/x")));
        assert!(!secret.permits(&target("POST", "https://api.example.com/v1/x")));
        assert!(!secret.permits(&target("GET", "https://api.example.com/v2")));
        assert!(!secret.permits(&target("GET", "https://evil.example.com/v1")));
        assert!(!secret.permits(&target("GET", "https://api.example.com/v1/../v2")));
    }

    #[test]
    fn a_secret_goes_out_in_the_clear_only_where_the_entry_says_so() {
        let plain = |allow| {
            secret(|s| {
                s.to = vec![HttpGrant::parse("http://api.example.com").unwrap()];
                s.allow_plaintext = allow;
            })
        };
        let target = HttpTarget::parse("GET", "http://api.example.com/").unwrap();
        assert!(!plain(false).permits(&target) && plain(true).permits(&target));
        assert!(plain(false).check().is_err() && plain(true).check().is_ok());
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_refused() {
        assert!(secret(|_| {}).check().is_ok());
        for wrong in [
            secret(|s| s.name = String::new()),
            secret(|s| s.name = "a}}".into()),
            secret(|s| s.header = "host".into()),
            secret(|s| s.header = "a b".into()),
            secret(|s| s.format = "Bearer".into()),
            secret(|s| s.format = "{}\r\nX: {}".into()),
            secret(|s| s.format = "{}\r\nX: a".into()),
            secret(|s| s.to.clear()),
        ] {
            assert_eq!(wrong.check().map_err(|all| all.len()), Err(1), "{wrong:?}");
        }
    }
}
