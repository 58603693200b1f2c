//! Which world a component is run as, from the names of its exports.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use super::source::invalid;
use crate::outcome::Stop;

/// The contract that a component is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// It exports `sandbox:host/job`: one input in, one output out.
    Sandbox,
    /// It exports `wasi:cli/run`: a program with arguments and standard streams.
    Command,
    /// It exports `wasi:http/incoming-handler`: a server's handler, which `run` can't call.
    Http,
    /// Anything else: its functions are called by name.
    Custom,
}

impl World {
    /// The world of a component with these exports. A component that has several is run as the first of this list.
    pub(crate) fn of(exports: &[String]) -> Self {
        let worlds = [Self::Sandbox, Self::Command, Self::Http];
        let found = worlds.into_iter().find(|world| exports.iter().any(|name| world.is_told_by(name)));
        found.unwrap_or(Self::Custom)
    }

    /// Whether an export of this name makes a component one of this world: its interface, at a compatible version.
    pub(crate) fn is_told_by(self, name: &str) -> bool {
        let (interface, versions) = match self {
            Self::Sandbox => ("sandbox:host/job", "0.1."),
            Self::Command => ("wasi:cli/run", "0.2."),
            Self::Http => ("wasi:http/incoming-handler", "0.2."),
            Self::Custom => return false,
        };
        name.split_once('@').is_some_and(|(name, version)| name == interface && version.starts_with(versions))
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sandbox => "sandbox",
            Self::Command => "command",
            Self::Http => "http",
            Self::Custom => "custom",
        })
    }
}

/// The names of all imports and exports of a component, each sorted. The engine validates the rest when it compiles.
pub(crate) fn names(binary: &[u8]) -> Result<(Vec<String>, Vec<String>), Stop> {
    let broken = |error: wasmparser::BinaryReaderError| {
        invalid(format!("the component is broken at byte {}: {}", error.offset(), error.message()))
    };
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(binary) {
        match payload.map_err(broken)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    imports.sort();
    exports.sort();
    Ok((imports, exports))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> World {
        World::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_world_is_told_by_its_export_at_a_compatible_version() {
        assert_eq!(of(&["sandbox:host/job@0.1.7"]), World::Sandbox);
        assert_eq!(of(&["sandbox:host/job@0.2.0"]), World::Custom);
        assert_eq!(of(&["wasi:cli/run@0.2.0"]), World::Command);
        assert_eq!(of(&["wasi:cli/run@0.3.0"]), World::Custom);
        assert_eq!(of(&["wasi:http/incoming-handler@0.2.4"]), World::Http);
        assert_eq!(of(&["init", "wasi:cli/run@0.2.6", "sandbox:host/job@0.1.0"]), World::Sandbox);
        assert_eq!(of(&[]), World::Custom);
    }
}
