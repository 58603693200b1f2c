//! The worlds that a component is compared with: ours, which are in the binary, and any other.

use wit_parser::{Resolve, UnresolvedPackageGroup, WorldId};

/// A world to compare components with.
pub struct Target {
    pub(super) name: String,
    pub(super) resolve: Resolve,
    pub(super) world: WorldId,
}

/// The names of the worlds that the host knows: what it offers to every guest, and what it can run.
pub const BUILT_IN: &[&str] = &["sandbox", "sandbox-pure", "command", "http", "imports"];

macro_rules! wit {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $path)))),*]
    };
}

/// The contract: our own package, then one package after another that it uses.
const CONTRACT: &[&[(&str, &str)]] = &[
    wit!["wit/budget.wit", "wit/config.wit", "wit/job.wit", "wit/log.wit", "wit/world.wit"],
    wit!["wit/deps/cli/cli.wit"],
    wit!["wit/deps/clocks/clocks.wit"],
    wit!["wit/deps/config/store.wit", "wit/deps/config/world.wit"],
    wit!["wit/deps/filesystem/filesystem.wit"],
    wit!["wit/deps/http/http.wit"],
    wit!["wit/deps/io/io.wit"],
    wit![
        "wit/deps/keyvalue/atomic.wit",
        "wit/deps/keyvalue/batch.wit",
        "wit/deps/keyvalue/store.wit",
        "wit/deps/keyvalue/watch.wit",
        "wit/deps/keyvalue/world.wit",
    ],
    wit!["wit/deps/logging/logging.wit", "wit/deps/logging/world.wit"],
    wit!["wit/deps/random/random.wit"],
    wit!["wit/deps/sockets/sockets.wit"],
];

/// Worlds that our contract has no name for: what the host runs beside jobs. A program may import all that is offered.
const OTHERS: &str = "package sandbox:run;
world command { include sandbox:host/imports@0.1.0; export wasi:cli/run@0.2.12; }
world http { include sandbox:host/imports@0.1.0; export wasi:http/incoming-handler@0.2.12; }";

impl Target {
    /// One of [`BUILT_IN`], from the contract that is in this binary; none where there is no such world.
    pub fn built_in(name: &str) -> Option<Self> {
        let name = BUILT_IN.iter().find(|known| **known == name)?;
        let mut resolve = Resolve::default();
        let mut groups = CONTRACT.iter().map(|files| group(files));
        let main = groups.next()??;
        let package = resolve.push_groups(main, groups.collect::<Option<_>>()?).ok()?;
        let others = resolve.push_str("host", OTHERS).ok()?;
        let package = if matches!(*name, "command" | "http") { others } else { package };
        let world = resolve.select_world(&[package], Some(name)).ok()?;
        Some(Self { name: (*name).to_owned(), resolve, world })
    }

    /// A world of somebody else's, read by the caller.
    pub fn new(name: impl Into<String>, resolve: Resolve, world: WorldId) -> Self {
        Self { name: name.into(), resolve, world }
    }

    /// The names of what it imports.
    pub fn imports(&self) -> Vec<String> {
        let world = self.resolve.worlds.get(self.world);
        let keys = world.map(|world| world.imports.keys()).into_iter().flatten();
        keys.map(|key| super::check::name(&self.resolve, key)).collect()
    }

    /// What it is called in reports.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The files of one package. The first comment of the contract stands before the package, wherever that is declared.
fn group(files: &[(&str, &str)]) -> Option<UnresolvedPackageGroup> {
    let mut sources = wit_parser::SourceMap::default();
    for (path, text) in files {
        sources.push_str(path, *text);
    }
    sources.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_world_is_read() {
        for name in BUILT_IN {
            assert!(Target::built_in(name).is_some(), "{name}");
        }
        assert!(Target::built_in("proxy").is_none());
    }

    /// A file that is left out would make a world that isn't the contract's.
    #[test]
    fn every_file_of_the_contract_is_in_the_binary() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut on_disk = Vec::new();
        let mut folders = vec![root.join("wit")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "wit") {
                    on_disk.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        on_disk.sort();
        let mut built_in: Vec<&str> = CONTRACT.iter().flat_map(|files| files.iter().map(|(path, _)| *path)).collect();
        built_in.sort_unstable();
        assert_eq!(built_in, on_disk);
    }
}
