//! The value of a secret while an invocation lasts.
//!
//! It has no text form: neither `Debug` nor an error shows it. Its own bytes are overwritten when the invocation is
//! over; copies in buffers of connections and of the operating system are not.

use std::fmt;
use std::io::Read as _;

use http::HeaderValue;

use crate::policy::{SecretGrant, SecretSource};

/// Bytes that a secret may have.
const MAX: u64 = 8 * 1024;

/// A secret with its value.
pub(crate) struct Secret {
    pub(crate) grant: SecretGrant,
    value: Vec<u8>,
}

impl Secret {
    /// Gets the value from where it is.
    ///
    /// # Errors
    /// A message without the value: it isn't there, or can't stand in a header.
    pub(crate) fn read(grant: &SecretGrant) -> Result<Self, String> {
        let name = &grant.name;
        let value = match &grant.source {
            SecretSource::Env(variable) => match std::env::var_os(variable) {
                Some(value) => value.into_encoded_bytes(),
                None => return Err(format!("the secret `{name}` has no value: `{variable}` is not set")),
            },
            SecretSource::File(path) => {
                let mut value = Vec::new();
                let read = std::fs::File::open(path).and_then(|file| file.take(MAX + 2).read_to_end(&mut value));
                if let Err(error) = read {
                    return Err(format!("failed to read the secret `{name}` from `{}`: {error}", path.display()));
                }
                value
            }
        };
        let mut secret = Self { grant: grant.clone(), value };
        if secret.value.last() == Some(&b'\n') {
            secret.value.pop();
        }
        if secret.value.is_empty() || secret.value.len() as u64 > MAX {
            return Err(format!("the secret `{name}` must have 1 to {MAX} bytes"));
        }
        if secret.value.iter().any(|byte| !(0x20..0x7f).contains(byte)) {
            return Err(format!("the secret `{name}` has bytes that can't stand in a header"));
        }
        Ok(secret)
    }

    /// The header's value, marked so that nothing shows it and no table of a connection keeps it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let (before, after) = self.grant.format.split_once("{}")?;
        let mut text = [before.as_bytes(), &self.value, after.as_bytes()].concat();
        let value = HeaderValue::from_bytes(&text).ok();
        wipe(&mut text);
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    }

    /// The bytes with every exact copy of the secret covered up, or none where there is no copy.
    pub(crate) fn cover(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (mut covered, mut rest, mut found) = (Vec::with_capacity(bytes.len()), bytes, false);
        while let Some((first, tail)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(self.value.as_slice()) {
                covered.extend_from_slice(b"[secret]");
                (rest, found) = (after, true);
            } else {
                covered.push(*first);
                rest = tail;
            }
        }
        found.then_some(covered)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.grant.name)
    }
}

/// Overwrites in a way that isn't optimised away.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HttpGrant;

    fn grant(source: SecretSource) -> SecretGrant {
        SecretGrant {
            name: "key".into(),
            source,
            header: "authorization".into(),
            format: "Bearer {}".into(),
            to: vec![HttpGrant::parse("https://a.example").unwrap()],
            allow_plaintext: false,
        }
    }

    fn from_file(bytes: &[u8]) -> Result<Secret, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Secret::read(&grant(SecretSource::File(file.path().into())))
    }

    #[test]
    fn a_secret_shows_its_value_to_nobody() {
        let secret = from_file(b"s3cr3t\n").unwrap();
        let header = secret.header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer s3cr3t");
        assert!(!format!("{secret:?} {header:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_value_that_breaks_a_header_is_refused_unseen() {
        for wrong in [&b""[..], b"\n", b"a\r\nX: y", b"a\0b", "é".as_bytes(), &[b'x'; 8193]] {
            let message = from_file(wrong).unwrap_err();
            assert!(message.contains("`key`") && !message.contains("X: y"), "{message}");
        }
        assert!(from_file(&[b'x'; 8192]).is_ok());
        assert!(Secret::read(&grant(SecretSource::Env("HOST_NO_SUCH_VARIABLE".into()))).is_err());
        assert!(Secret::read(&grant(SecretSource::File("/no/such/file".into()))).is_err());
    }

    #[test]
    fn exact_copies_are_covered_up() {
        let secret = from_file(b"abc").unwrap();
        assert_eq!(secret.cover(b"x abcabc ab").as_deref(), Some(&b"x [secret][secret] ab"[..]));
        assert_eq!(secret.cover(b"x ab c"), None);
        assert_eq!(secret.cover(b""), None);
    }
}
