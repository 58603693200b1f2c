//! An ahead-of-time artifact: native code, what is known of the component that it was made from, and a keyed hash over
//! both.
//!
//! Loading native code is running it, and the engine looks at little more than its own version. So an artifact is
//! loaded only when its hash, made with a key that only the host knows, is right for every byte of it; nothing in it is
//! read before that but the lengths and which key it names. What a file is called is of no account.
//!
//! ```text
//! code      an ELF object as the engine writes it, at the very beginning, so that it can be mapped
//! facts     JSON: what the component is, and the settings that were compiled in
//! trailer   magic, format, lengths, key id, code id, BLAKE3 of the component's bytes, keyed BLAKE3 of all before it
//! ```
//!
//! Pure but for making a key. Where artifacts are kept is in [`crate::cache`].

use std::fmt;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::component::Facts;
use crate::engine::{CodeId, CodeKey, ENGINE};
use crate::outcome::{Refusal, Stop};

/// The first bytes of a trailer.
const MAGIC: &[u8; 8] = b"host-aot";

/// The layout below, and the meaning of the facts.
const FORMAT: u64 = 1;

/// This program's version.
const HOST: &str = env!("CARGO_PKG_VERSION");

/// Bytes of a trailer.
pub(crate) const TRAILER: usize = 8 + 8 + 8 + 8 + 8 + 32 + 32 + MAC;

/// Bytes of the keyed hash, which are an artifact's last.
pub(crate) const MAC: usize = 32;

/// What authenticates artifacts. Whoever knows it can make native code that the host runs.
#[derive(Clone, PartialEq, Eq)]
pub struct ArtifactKey([u8; 32]);

/// The digest that a component's code is looked up by: BLAKE3 of its bytes as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceId(pub(crate) [u8; 32]);

/// What an artifact says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) facts: Facts,
    pub(crate) code: CodeKey,
    /// The versions of host and engine that made it.
    pub(crate) host: String,
    pub(crate) engine: String,
    /// The kind of processor and operating system that it is for.
    pub(crate) target: String,
}

/// The end of an artifact. Of these only the format and the key's name may be looked at before [`Trailer::check`].
#[derive(Debug)]
pub(crate) struct Trailer {
    pub(crate) code_id: CodeId,
    pub(crate) source: SourceId,
    code_bytes: u64,
    facts_bytes: u64,
    mac: [u8; MAC],
}

/// Where the parts of an authentic artifact are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Bytes of code, from the beginning.
    pub(crate) code: u64,
    /// Bytes of facts, after the code.
    pub(crate) facts: u64,
}

/// Why an artifact is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("it is not whole")]
    Truncated,
    #[error("it has the layout of another version of the host")]
    Format,
    #[error("it was made with the key `{theirs}`, and this host's is `{ours}`")]
    OtherKey { theirs: String, ours: String },
    #[error("it was changed after it was made")]
    Changed,
}

impl ArtifactKey {
    /// A new one, from the operating system's random numbers.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// From its text form, 64 hexadecimal digits, with blanks around them or not.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Its text form. Whoever reads it can make code that the host runs.
    pub fn to_secret_text(&self) -> String {
        hex(&self.0)
    }

    /// A name for it that tells nothing about it: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        hex(&self.id_bytes())
    }

    /// Hashes what an artifact consists of.
    pub(crate) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }

    fn id_bytes(&self) -> [u8; 8] {
        let derived = blake3::derive_key("host artifact key id", &self.0);
        derived.first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactKey({})", self.id())
    }
}

impl SourceId {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl About {
    pub(crate) fn new(facts: Facts, code: CodeKey) -> Self {
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        Self { facts, code, host: HOST.to_owned(), engine: ENGINE.to_owned(), target }
    }

    /// Reads facts that were seen to be authentic.
    pub(crate) fn read(facts: &[u8]) -> Result<Self, Broken> {
        serde_json::from_slice(facts).map_err(|_| Broken::Format)
    }

    /// Why code with these settings doesn't run under those that are wanted.
    pub(crate) fn differs(&self, wanted: CodeKey) -> Stop {
        let CodeKey { fuel, deterministic, tier } = self.code;
        let mut why = Vec::new();
        if self.engine != ENGINE {
            why.push(format!("it was made for {}, and this is {ENGINE}", self.engine));
        }
        if self.host != HOST {
            why.push(format!("it was made by host {}, and this is {HOST}", self.host));
        }
        let on = |on: bool| if on { "on" } else { "off" };
        for (name, theirs, ours) in
            [("fuel", fuel, wanted.fuel), ("deterministic", deterministic, wanted.deterministic)]
        {
            if theirs != ours {
                why.push(format!("it was made with `{name}` {}, and the policy has it {}", on(theirs), on(ours)));
            }
        }
        if tier != wanted.tier {
            why.push(format!("it was made with `{}`, and the policy has `{}`", tier.word(), wanted.tier.word()));
        }
        if why.is_empty() {
            why.push(format!("it was made for another processor ({} with other features)", self.target));
        }
        let message = format!("the artifact doesn't fit: {}", why.join("; "));
        Stop::refused(
            Refusal::Artifact,
            message,
            "compile the component again with `host compile`, or run the component",
        )
    }
}

/// What is written after the code: facts and trailer.
pub(crate) fn seal(key: &ArtifactKey, about: &About, code_id: CodeId, source: SourceId, code: &[u8]) -> Vec<u8> {
    // Facts are strings and numbers, which always have a JSON form.
    let facts = serde_json::to_vec(about).unwrap_or_default();
    let mut tail = facts;
    let facts_bytes = tail.len() as u64;
    tail.extend_from_slice(MAGIC);
    tail.extend_from_slice(&FORMAT.to_le_bytes());
    tail.extend_from_slice(&(code.len() as u64).to_le_bytes());
    tail.extend_from_slice(&facts_bytes.to_le_bytes());
    tail.extend_from_slice(&key.id_bytes());
    tail.extend_from_slice(&code_id.0);
    tail.extend_from_slice(&source.0);
    let mut hasher = key.hasher();
    hasher.update(code).update(&tail);
    let mac = *hasher.finalize().as_bytes();
    tail.extend_from_slice(&mac);
    tail
}

/// Whether bytes end as an artifact does. It says nothing about who made it.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    split(bytes).is_some_and(|(_, trailer)| trailer.starts_with(MAGIC))
}

/// Checks an artifact that is in memory, and gives what it says of itself and its code.
pub(crate) fn open<'b>(bytes: &'b [u8], key: &ArtifactKey) -> Result<(Trailer, About, &'b [u8]), Broken> {
    let (body, trailer) = split(bytes).ok_or(Broken::Truncated)?;
    let trailer = Trailer::read(trailer, key)?;
    let mut hasher = key.hasher();
    hasher.update(bytes.get(..bytes.len() - MAC).ok_or(Broken::Truncated)?);
    let parts = trailer.check(&hasher, body.len() as u64)?;
    let code = usize::try_from(parts.code).map_err(|_| Broken::Truncated)?;
    let (code, facts) = body.split_at_checked(code).ok_or(Broken::Truncated)?;
    Ok((trailer, About::read(facts)?, code))
}

impl Trailer {
    /// Reads the last [`TRAILER`] bytes of an artifact.
    pub(crate) fn read(mut bytes: &[u8], key: &ArtifactKey) -> Result<Self, Broken> {
        let rest = &mut bytes;
        if take::<8>(rest)? != *MAGIC {
            return Err(Broken::Truncated);
        }
        let [format, code_bytes, facts_bytes] = [number(rest)?, number(rest)?, number(rest)?];
        if format != FORMAT {
            return Err(Broken::Format);
        }
        let theirs = take::<8>(rest)?;
        if theirs != key.id_bytes() {
            return Err(Broken::OtherKey { theirs: hex(&theirs), ours: key.id() });
        }
        let (code_id, source) = (CodeId(take(rest)?), SourceId(take(rest)?));
        Ok(Self { code_id, source, code_bytes, facts_bytes, mac: take(rest)? })
    }

    /// Whether this is the hash of all bytes before the last [`MAC`]; then where the parts of the body are.
    pub(crate) fn check(&self, hasher: &blake3::Hasher, body_bytes: u64) -> Result<Parts, Broken> {
        // Compared in constant time by the library.
        if hasher.finalize() != blake3::Hash::from_bytes(self.mac) {
            return Err(Broken::Changed);
        }
        // From here on every byte is one that a holder of the key wrote.
        if self.code_bytes.checked_add(self.facts_bytes) != Some(body_bytes) {
            return Err(Broken::Truncated);
        }
        Ok(Parts { code: self.code_bytes, facts: self.facts_bytes })
    }
}

/// The body and the trailer.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(TRAILER)?)
}

fn number(rest: &mut &[u8]) -> Result<u64, Broken> {
    take(rest).map(u64::from_le_bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Broken> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(Broken::Truncated)?;
    *rest = after;
    Ok(*first)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::component::{Form, World};
    use crate::engine::Tier;

    const CODE: CodeKey = CodeKey { fuel: false, deterministic: false, tier: Tier::Cranelift };

    fn about() -> About {
        let facts = Facts {
            digest: "sha256:00".to_owned(),
            size_bytes: 8,
            form: Form::Component,
            world: World::Custom,
            imports: vec!["a:b/c@1.0.0".to_owned()],
            exports: Vec::new(),
        };
        About::new(facts, CODE)
    }

    fn artifact(key: &ArtifactKey, code: &[u8]) -> Vec<u8> {
        let tail = seal(key, &about(), CodeId([7; 32]), SourceId::of(b"source"), code);
        [code, &tail].concat()
    }

    #[test]
    fn what_was_sealed_is_opened_whole() {
        let key = ArtifactKey::generate();
        for code in [&b""[..], b"\x7fELF and more"] {
            let bytes = artifact(&key, code);
            assert!(looks_like(&bytes));
            let (trailer, about, opened) = open(&bytes, &key).unwrap();
            assert_eq!((opened, trailer.code_id, trailer.source), (code, CodeId([7; 32]), SourceId::of(b"source")));
            assert_eq!(about.facts, self::about().facts);
        }
    }

    #[test]
    fn an_artifact_with_any_byte_changed_is_not_opened() {
        let key = ArtifactKey::generate();
        let good = artifact(&key, &[0x5a; 1500]);
        let mut random = rand::rngs::StdRng::seed_from_u64(6);
        let every_byte = (0..good.len()).map(|at| (at, 0xff));
        let some_bits: Vec<(usize, u8)> =
            (0..10_000).map(|_| (random.random_range(0..good.len()), 1 << random.random_range(0..8))).collect();
        for (at, mask) in every_byte.chain(some_bits) {
            let mut bad = good.clone();
            bad[at] ^= mask;
            assert!(open(&bad, &key).is_err(), "byte {at} with {mask:#x}");
        }
        assert!(open(&good, &key).is_ok());
    }

    #[test]
    fn an_artifact_that_is_cut_off_or_goes_on_is_not_opened() {
        let key = ArtifactKey::generate();
        let good = artifact(&key, &[0x5a; 300]);
        for end in 0..good.len() {
            assert!(open(&good[..end], &key).is_err(), "{end} bytes");
            assert!(open(&good[good.len() - end..], &key).is_err(), "the last {end} bytes");
        }
        assert!(open(&[&good[..], b"\0"].concat(), &key).is_err());
        assert!(open(&[&good[..], &good[..]].concat(), &key).is_err());
    }

    #[test]
    fn an_artifact_of_another_key_names_it() {
        let (ours, theirs) = (ArtifactKey::generate(), ArtifactKey::generate());
        let error = open(&artifact(&theirs, b"code"), &ours).unwrap_err();
        assert_eq!(error, Broken::OtherKey { theirs: theirs.id(), ours: ours.id() });
        // The name of a key proves nothing.
        let mut forged = artifact(&theirs, b"code");
        let at = forged.len() - TRAILER + 32;
        forged[at..at + 8].copy_from_slice(&ours.id_bytes());
        assert_eq!(open(&forged, &ours).unwrap_err(), Broken::Changed);
    }

    #[test]
    fn a_key_is_read_from_its_text_and_shows_none_of_it() {
        let key = ArtifactKey::generate();
        assert_eq!(ArtifactKey::parse(&format!(" {}\n", key.to_secret_text())), Some(key.clone()));
        for text in ["", "ab", &"g".repeat(64), &"+f".repeat(32), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(ArtifactKey::parse(text), None, "{text}");
        }
        assert_eq!(format!("{key:?}"), format!("ArtifactKey({})", key.id()));
        assert!(!key.to_secret_text().contains(&key.id()));
    }

    #[test]
    fn settings_that_differ_are_named() {
        let stop = about().differs(CodeKey { fuel: true, ..CODE });
        assert_eq!(stop.reason.code(), "refused.artifact");
        assert!(stop.message.contains("made with `fuel` off, and the policy has it on"), "{}", stop.message);
        let other = About { engine: "wasmtime 1.2.3".to_owned(), ..about() };
        assert!(other.differs(CODE).message.contains("it was made for wasmtime 1.2.3"));
        let other = About { host: "9.9.9".to_owned(), ..about() };
        assert!(other.differs(CODE).message.contains("it was made by host 9.9.9"));
        assert!(about().differs(CODE).message.contains("another processor"));
    }
}
