//! The modules of the `host` crate: which file is which module, and what a path in it stands for.

use super::Finding;
use super::scan::{Kind, Mention, Scan, Sources};
use std::collections::{BTreeMap, BTreeSet};

/// The folder of the crate.
const FOLDER: &str = "host/src/";
/// The name by which its program refers to its library.
const CRATE: &str = "host";

/// The modules that are reached from the library's root and the program's root.
pub(super) struct Modules<'a> {
    files: Vec<File<'a>>,
    /// Every module's path.
    known: BTreeSet<Vec<String>>,
    problems: Vec<Finding>,
}

/// One file of the crate.
struct File<'a> {
    path: String,
    scan: &'a Scan,
    /// The module that the file is: empty for a root.
    module: Vec<String>,
    /// Whether the whole file is compiled for tests only.
    test: bool,
    /// Whether it is part of a program, which sees the library as another crate.
    program: bool,
}

/// A place in code that is not test code, with what is named there.
pub(super) struct Named<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// The module in which it stands; `lib` or `main` for a root.
    pub(super) module: Vec<String>,
    /// The full path: `crate`, then modules of our own; or another crate, then what is named in it.
    pub(super) path: Vec<String>,
    /// Whether it is named by what a `use` brought in, which is mentioned on its own.
    pub(super) again: bool,
}

impl<'a> Modules<'a> {
    /// Follows the `mod` declarations from `lib.rs` and `main.rs`.
    pub(super) fn of(sources: &'a Sources) -> Modules<'a> {
        let mut modules = Modules { files: Vec::new(), known: BTreeSet::new(), problems: Vec::new() };
        // A program's roots below `bin/` are on their own, but name the library as `main.rs` does.
        let roots = sources.iter().map(|(path, _)| path).filter(|path| {
            path.strip_prefix(FOLDER)
                .is_some_and(|rest| rest == "lib.rs" || rest == "main.rs" || rest.starts_with("bin/"))
        });
        let mut open: Vec<_> =
            roots.map(|path| (path.to_owned(), Vec::new(), false, root_name(path) == "main")).collect();
        let mut seen = BTreeSet::new();
        while let Some((path, module, test, program)) = open.pop() {
            let Some(scan) = sources.get(&path) else { continue };
            if !seen.insert(path.clone()) {
                continue;
            }
            for child in &scan.children {
                let full = [module.as_slice(), &child.path].concat();
                if child.own_file {
                    let stem = full.join("/");
                    let candidates = [format!("{FOLDER}{stem}.rs"), format!("{FOLDER}{stem}/mod.rs")];
                    match candidates.into_iter().find(|path| sources.has(path)) {
                        Some(file) => open.push((file, full.clone(), test || child.test, program)),
                        None => modules.problems.push(Finding {
                            path: path.clone(),
                            line: child.line,
                            rule: "dependencies",
                            message: format!("module `{}` has no file `{FOLDER}{stem}.rs`", child.path.join("::")),
                            hint: "put a module where its name says; `#[path]` is not used here".to_owned(),
                        }),
                    }
                }
                modules.known.insert(full);
            }
            modules.files.push(File { path, scan, module, test, program });
        }
        for (path, _) in sources.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
            if !seen.contains(path) {
                modules.problems.push(Finding {
                    path: path.to_owned(),
                    line: 1,
                    rule: "dependencies",
                    message: "is in no module of the crate, so nothing compiles it".to_owned(),
                    hint: "declare it with `mod`, or delete it".to_owned(),
                });
            }
        }
        modules
    }

    /// Declarations without a file, and files without a declaration.
    pub(super) fn problems(&self) -> Vec<Finding> {
        self.problems.clone()
    }

    /// Whether there is a module with this path.
    pub(super) fn is_module(&self, path: &[String]) -> bool {
        self.known.contains(path)
    }

    /// The first parts of all module paths, each with the file that is this module or declares it.
    pub(super) fn top_level(&self) -> BTreeMap<&str, &str> {
        let mut found = BTreeMap::new();
        for file in self.files.iter().filter(|file| !file.test) {
            if let [name] = file.module.as_slice() {
                found.insert(name.as_str(), file.path.as_str());
            }
        }
        found
    }

    /// Everything named in code that is not test code.
    pub(super) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.code().flat_map(move |file| {
            let mentions = file.scan.mentions.iter().filter(|mention| !mention.test);
            mentions.map(move |mention| {
                let mut module = [file.module.as_slice(), &mention.inside].concat();
                let path = self.resolve(file, &module, mention);
                if file.module.is_empty() {
                    module = vec![root_name(&file.path).to_owned()];
                }
                let first = mention.path.first();
                let again = mention.kind != Kind::Use && first.is_some_and(|name| file.scan.aliases.contains_key(name));
                Named { file: &file.path, line: mention.line, kind: mention.kind, module, path, again }
            })
        })
    }

    /// All fields read in code that is not test code, each with the module in which it is read.
    pub(super) fn reads(&self) -> impl Iterator<Item = (&[String], &str)> {
        self.code().flat_map(|file| {
            let reads = file.scan.reads.iter().filter(|read| !read.test);
            reads.map(move |read| (file.module.as_slice(), read.field.as_str()))
        })
    }

    fn code(&self) -> impl Iterator<Item = &File<'a>> {
        self.files.iter().filter(|file| !file.test)
    }

    /// The full path of what is named in `module`.
    fn resolve(&self, file: &File<'_>, module: &[String], mention: &Mention) -> Vec<String> {
        let path = match mention.kind {
            Kind::Method => return mention.path.clone(),
            // The last part is what the `use` itself brings in, so a path of one part stands for itself.
            Kind::Use if mention.path.len() == 1 => mention.path.clone(),
            _ => file.scan.expand(&mention.path),
        };
        let mut rest = path.as_slice();
        let mut base = match rest {
            [first, ..] if first == "crate" || (file.program && first == CRATE) => Vec::new(),
            [first, ..] if first == "self" || first == "super" => module.to_vec(),
            [first, ..] if self.is_module(&[module, std::slice::from_ref(first)].concat()) => {
                return [&["crate".to_owned()], module, rest].concat();
            }
            _ => return path,
        };
        while let [first, tail @ ..] = rest {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ if file.program && rest.len() == path.len() && first == CRATE => {}
                _ => break,
            }
            rest = tail;
        }
        [&["crate".to_owned()], base.as_slice(), rest].concat()
    }
}

fn root_name(path: &str) -> &'static str {
    if path.ends_with("/lib.rs") { "lib" } else { "main" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn named(files: &[(&str, &str)]) -> Vec<String> {
        let made = made::tree(files);
        let sources = Sources::read(&made.tree);
        let modules = Modules::of(&sources);
        assert_eq!(modules.problems(), []);
        let mut all: Vec<_> =
            modules.named().map(|one| format!("{} -> {}", one.module.join("::"), one.path.join("::"))).collect();
        all.sort();
        all
    }

    #[test]
    fn paths_are_resolved_to_the_root_of_the_crate() {
        let found = named(&[
            ("host/src/lib.rs", "mod a; mod b; mod host; use host::Host;"),
            ("host/src/host.rs", ""),
            ("host/src/main.rs", "fn main() { host::b::run() }"),
            ("host/src/a.rs", "mod c; use c::d; use super::b as other; fn f() { other::x(); std::fs::read(); }"),
            ("host/src/a/c.rs", "use super::super::b::e; use self::inner::g; mod inner { use super::super::h; }"),
            ("host/src/b.rs", "use std::process; fn f() { process::exit(1) }"),
        ]);
        assert_eq!(
            found,
            [
                "a -> crate::a::c::d",
                "a -> crate::b",
                "a -> crate::b::x",
                "a -> std::fs::read",
                "a::c -> crate::a::c::inner::g",
                "a::c -> crate::b::e",
                "a::c::inner -> crate::a::h",
                "b -> std::process",
                "b -> std::process::exit",
                "lib -> crate::host::Host",
                "main -> crate::b::run",
            ]
        );
    }

    #[test]
    fn a_file_of_tests_is_no_code() {
        let found = named(&[
            ("host/src/lib.rs", "#[cfg(test)] mod a;"),
            ("host/src/a.rs", "mod b; use crate::x;"),
            ("host/src/a/b.rs", "use crate::y;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_file_that_nothing_declares_and_a_module_without_a_file_are_found() {
        let made = made::tree(&[("host/src/lib.rs", "mod a;"), ("host/src/b.rs", "")]);
        let sources = Sources::read(&made.tree);
        let problems = Modules::of(&sources).problems();
        let messages: Vec<_> = problems.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            messages,
            ["module `a` has no file `host/src/a.rs`", "is in no module of the crate, so nothing compiles it"]
        );
    }
}
