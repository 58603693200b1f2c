//! The part of the policy file that is about HTTP: `[[http]]`, `[[secret]]` and `[tls]`.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::Reader;
use crate::policy::http::HttpGrant;
use crate::policy::secret::{SecretGrant, SecretSource};

impl Reader<'_> {
    pub(super) fn http(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<HttpGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("http", "an array of tables: write `[[http]]`", value);
            return Vec::new();
        };
        array.iter().filter_map(|item| self.http_grant(item)).collect()
    }

    fn http_grant(&mut self, item: &Spanned<DeValue<'_>>) -> Option<HttpGrant> {
        let table = self.expect_table("http", item)?;
        let (mut grant, mut private, mut ca, mut named) = (None, false, None, false);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "allow" => {
                    named = true;
                    grant = self.pattern("allow", value);
                }
                "allow-private" => private = self.boolean("allow-private", value),
                "ca" => ca = self.path("ca", value),
                other => self.unknown((key, value), other, &["allow", "allow-private", "ca"]),
            }
        }
        if !named {
            let message = "a grant for HTTP needs `allow`, such as `\"GET https://api.example.com/v1\"`".to_owned();
            self.error(item.span(), message);
        }
        let mut grant: HttpGrant = grant?;
        (grant.allow_private, grant.ca) = (private, ca);
        Some(grant)
    }

    pub(super) fn secrets(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<SecretGrant> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("secret", "an array of tables: write `[[secret]]`", value);
            return Vec::new();
        };
        let mut secrets: Vec<SecretGrant> = Vec::new();
        for item in array.iter() {
            let Some(secret) = self.secret(item) else { continue };
            if secrets.iter().any(|other| other.name == secret.name) {
                self.error(item.span(), format!("two secrets have the name `{}`", secret.name.escape_debug()));
            }
            secrets.push(secret);
        }
        secrets
    }

    fn secret(&mut self, item: &Spanned<DeValue<'_>>) -> Option<SecretGrant> {
        const KEYS: &[&str] = &["name", "env", "file", "header", "format", "for", "allow-plaintext"];
        let before = self.errors.len();
        let table = self.expect_table("secret", item)?;
        let (mut name, mut env, mut file, mut header) = (None, None, None, None);
        let (mut format, mut to, mut allow_plaintext) = ("{}".to_owned(), Vec::new(), false);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "name" => name = self.string("name", value),
                "env" => env = self.string("env", value).map(SecretSource::Env),
                "file" => file = self.path("file", value).map(SecretSource::File),
                "header" => header = self.string("header", value),
                "format" => format = self.string("format", value).unwrap_or_default(),
                "for" => to = self.patterns("for", value),
                "allow-plaintext" => allow_plaintext = self.boolean("allow-plaintext", value),
                other => self.unknown((key, value), other, KEYS),
            }
        }
        // What is missing beside what is wrong would be said twice.
        if self.errors.len() > before {
            return None;
        }
        let (Some(name), Some(header)) = (name, header) else {
            self.error(item.span(), "a secret needs `name` and `header`".to_owned());
            return None;
        };
        let source = match (env, file) {
            (Some(source), None) | (None, Some(source)) => source,
            _ => {
                self.error(item.span(), "a secret comes either from `env` or from `file`".to_owned());
                return None;
            }
        };
        let secret = SecretGrant { name, source, header: header.to_ascii_lowercase(), format, to, allow_plaintext };
        for message in secret.check().err().into_iter().flatten() {
            self.error(item.span(), message);
        }
        Some(secret)
    }

    pub(super) fn tls(&mut self, value: &Spanned<DeValue<'_>>) -> Option<PathBuf> {
        let mut ca = None;
        for (key, value) in self.expect_table("tls", value)?.iter() {
            match key.get_ref().as_ref() {
                "ca" => ca = self.path("ca", value),
                other => self.unknown((key, value), other, &["ca"]),
            }
        }
        ca
    }

    fn patterns(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Vec<HttpGrant> {
        match value.get_ref().as_array() {
            Some(_) if self.too_many(name, value) => Vec::new(),
            Some(array) => array.iter().filter_map(|item| self.pattern(name, item)).collect(),
            None => {
                self.wrong_type(name, "an array of strings", value);
                Vec::new()
            }
        }
    }

    fn pattern(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<HttpGrant> {
        match HttpGrant::parse(&self.string(name, value)?) {
            Ok(grant) => Some(grant),
            Err(error) => {
                self.error(value.span(), format!("`{name}`: {error}"));
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> bool {
        let given = value.get_ref().as_bool();
        if given.is_none() {
            self.wrong_type(name, "true or false", value);
        }
        given.unwrap_or_default()
    }

    fn path(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<PathBuf> {
        let text = self.string(name, value)?;
        if text.is_empty() {
            self.error(value.span(), format!("`{name}` is a path that is not empty"));
            return None;
        }
        Some(PathBuf::from(text))
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::file::parse;
    use crate::policy::{HttpTarget, SecretSource};

    fn errors(text: &str) -> Vec<String> {
        parse(text).unwrap_err().0.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect()
    }

    #[test]
    fn grants_for_http_and_secrets_read_into_their_values() {
        let policy = parse(
            "[tls]\nca = 'all.pem'\n\
             [[http]]\nallow = 'GET https://a.example/v1'\n\
             [[http]]\nallow = 'http://b.internal:8080'\nallow-private = true\nca = 'b.pem'\n\
             [[secret]]\nname = 'key'\nenv = 'KEY'\nheader = 'Authorization'\nformat = 'Bearer {}'\n\
             for = ['https://a.example']\n",
        )
        .unwrap();
        let grants = &policy.grants;
        assert_eq!(grants.tls_ca.as_deref(), Some("all.pem".as_ref()));
        assert!(grants.http[0].permits(&HttpTarget::parse("GET", "https://a.example/v1").unwrap()));
        assert_eq!((grants.http[0].allow_private, grants.http[1].allow_private), (false, true));
        assert_eq!(grants.http[1].ca.as_deref(), Some("b.pem".as_ref()));
        let secret = &grants.secret[0];
        assert_eq!((secret.header.as_str(), &secret.source), ("authorization", &SecretSource::Env("KEY".into())));
        assert_eq!(secret.placeholder(), "{{secret:key}}");
    }

    #[test]
    fn what_is_wrong_with_them_is_said_at_its_place() {
        assert!(errors("[[http]]\nallow = 'ftp://a.example'")[0].starts_with("2:9 `allow`: the scheme must be"));
        assert!(errors("[[http]]\nallow-private = true")[0].contains("needs `allow`"));
        assert!(errors("[[http]]\nallow = 'https://a.example'\nalow-private = true")[0].contains("allow-private"));
        assert!(errors("http = 'https://a.example'")[0].contains("write `[[http]]`"));
        let secret = |rest: &str| errors(&format!("[[secret]]\nname = 'k'\nheader = 'x-key'\n{rest}"));
        assert!(secret("for = ['https://a.example']")[0].contains("either from `env` or from `file`"));
        assert!(secret("env = 'A'")[0].contains("needs `for`"));
        assert!(secret("env = 'A'\nfor = ['http://a.example']")[0].contains("allow-plaintext"));
        assert!(secret("env = 'A'\nfor = ['https://a@b.example']")[0].contains("user information"));
        let twice = "[[secret]]\nname='k'\nheader='x'\nenv='A'\nfor=['https://a.example']\n";
        assert!(errors(&twice.repeat(2))[0].contains("two secrets have the name `k`"));
        assert!(errors("[tls]\nca = ''")[0].contains("not empty"));
    }

    #[test]
    fn a_secret_is_part_of_the_digest_by_its_source_alone() {
        let digest = |env: &str| {
            let text = format!("[[secret]]\nname='k'\nheader='x'\nenv='{env}'\nfor=['https://a.example']\n");
            parse(&text).unwrap().digest()
        };
        assert_eq!(digest("A"), digest("A"));
        assert_ne!(digest("A"), digest("B"));
    }
}
