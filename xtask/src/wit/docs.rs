//! The rule that our own WIT is documented: every interface, world, type, function, field and case has a comment, and
//! everything that a guest can name has `@since`.
//!
//! What a world imports and exports is documented where it is declared, so those lines need no docs of their own. The
//! WIT is the contract that people write guests against without ever seeing this repository, so a comment there
//! is the manual. Packages in `wit/deps` are as their authors wrote them and are not judged.

use crate::repo::Tree;
use crate::tidy::Finding;
use std::path::Path;
use wit_parser::{
    Docs, Function, Interface, Resolve, Span, Stability, Type, TypeDef, TypeDefKind, TypeId, World, WorldItem,
};

/// Parses all of `wit/` and returns a finding for every item that lacks docs or `@since`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let folder = tree.root().join("wit");
    let mut resolve = Resolve::default();
    let package = match resolve.push_dir(&folder) {
        Ok((package, _)) => package,
        Err(error) => {
            let text = resolve.render_error(&error).replace(&format!("{}/", tree.root().display()), "");
            let hint = "mend the WIT; nothing can be built until it parses".to_owned();
            return vec![Finding { path: "wit".to_owned(), line: 1, rule: "wit-docs", message: text, hint }];
        }
    };
    let mut rule = Rule { root: tree.root(), resolve: &resolve, findings: Vec::new() };
    if let Some(package) = resolve.packages.get(package) {
        for world in package.worlds.values().filter_map(|id| resolve.worlds.get(*id)) {
            rule.world(world);
        }
        for interface in package.interfaces.values().filter_map(|id| resolve.interfaces.get(*id)) {
            rule.interface(interface);
        }
    }
    rule.findings.sort();
    rule.findings
}

struct Rule<'a> {
    root: &'a Path,
    resolve: &'a Resolve,
    findings: Vec<Finding>,
}

impl Rule<'_> {
    fn world(&mut self, world: &World) {
        let what = format!("world `{}`", world.name);
        self.documented(&what, &world.docs, world.span);
        self.since(&what, &world.stability, world.span);
        for item in world.imports.values().chain(world.exports.values()) {
            match item {
                // What an `include` brought in stands in the file where it was written, which may be another package's.
                WorldItem::Function(function) if self.ours(function.span) => self.function(function),
                WorldItem::Type { id, span } if self.ours(*span) => self.ty(*id),
                _ => {}
            }
        }
    }

    fn interface(&mut self, interface: &Interface) {
        let what = format!("interface `{}`", interface.name.as_deref().unwrap_or("without a name"));
        self.documented(&what, &interface.docs, interface.span);
        self.since(&what, &interface.stability, interface.span);
        for function in interface.functions.values() {
            self.function(function);
        }
        for id in interface.types.values() {
            self.ty(*id);
        }
    }

    fn function(&mut self, function: &Function) {
        let what = format!("function `{}`", function.name);
        self.documented(&what, &function.docs, function.span);
        self.since(&what, &function.stability, function.span);
    }

    fn ty(&mut self, id: TypeId) {
        let Some(ty) = self.resolve.types.get(id) else { return };
        if self.used_from_elsewhere(ty) {
            return;
        }
        let name = ty.name.as_deref().unwrap_or("without a name");
        let what = format!("type `{name}`");
        self.documented(&what, &ty.docs, ty.span);
        self.since(&what, &ty.stability, ty.span);
        match &ty.kind {
            TypeDefKind::Record(record) => {
                for field in &record.fields {
                    self.documented(&format!("field `{}` of `{name}`", field.name), &field.docs, field.span);
                }
            }
            TypeDefKind::Variant(variant) => {
                for case in &variant.cases {
                    self.documented(&format!("case `{}` of `{name}`", case.name), &case.docs, case.span);
                }
            }
            TypeDefKind::Enum(cases) => {
                for case in &cases.cases {
                    self.documented(&format!("case `{}` of `{name}`", case.name), &case.docs, case.span);
                }
            }
            TypeDefKind::Flags(flags) => {
                for flag in &flags.flags {
                    self.documented(&format!("flag `{}` of `{name}`", flag.name), &flag.docs, flag.span);
                }
            }
            _ => {}
        }
    }

    /// Whether the type stands here by `use`, and has its docs where it was declared.
    fn used_from_elsewhere(&self, ty: &TypeDef) -> bool {
        match ty.kind {
            TypeDefKind::Type(Type::Id(id)) => self.resolve.types.get(id).is_some_and(|other| other.owner != ty.owner),
            _ => false,
        }
    }

    fn documented(&mut self, what: &str, docs: &Docs, span: Span) {
        if docs.contents.as_deref().is_none_or(|text| text.trim().is_empty()) {
            self.find(span, format!("{what} has no docs"), "write what it is for above it, with `///`");
        }
    }

    fn since(&mut self, what: &str, stability: &Stability, span: Span) {
        if stability.is_unknown() {
            self.find(span, format!("{what} has no `@since`"), "say since which version, with `@since(version = …)`");
        }
    }

    fn find(&mut self, span: Span, message: String, hint: &str) {
        let (path, line) = self.place(span);
        self.findings.push(Finding { path, line, rule: "wit-docs", message, hint: hint.to_owned() });
    }

    fn ours(&self, span: Span) -> bool {
        span.is_known() && !self.place(span).0.starts_with("wit/deps/")
    }

    /// The file, relative to the root, and the line.
    fn place(&self, span: Span) -> (String, usize) {
        // Rendered as `file:line:column`.
        let text = self.resolve.render_location(span);
        let mut parts = text.rsplitn(3, ':').skip(1);
        let line = parts.next().and_then(|line| line.parse().ok()).unwrap_or(1);
        let path = parts.next().unwrap_or("wit");
        let path = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(path));
        (path.to_string_lossy().into_owned(), line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    const GOOD: &str = "\
package a:b@0.1.0;

/// An interface.
@since(version = 0.1.0)
interface i {
  /// A record.
  @since(version = 0.1.0)
  record r {
    /// A field.
    f: u8,
  }

  /// A variant.
  @since(version = 0.1.0)
  variant v {
    /// A case.
    c(u8),
  }

  /// A function.
  @since(version = 0.1.0)
  g: func(r: r) -> v;
}

/// A world.
@since(version = 0.1.0)
world w {
  @since(version = 0.1.0)
  import i;
  /// A function of the world itself.
  @since(version = 0.1.0)
  export h: func();
}
";

    fn messages(text: &str) -> Vec<String> {
        let made = made::tree(&[("wit/all.wit", text)]);
        check(&made.tree).into_iter().map(|finding| format!("{}:{}", finding.place(), finding.message)).collect()
    }

    #[test]
    fn documented_wit_passes() {
        assert_eq!(messages(GOOD), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_item_needs_docs() {
        for (doc, expected) in [
            ("/// An interface.\n", "wit/all.wit:4:interface `i` has no docs"),
            ("  /// A record.\n", "wit/all.wit:7:type `r` has no docs"),
            ("    /// A field.\n", "wit/all.wit:9:field `f` of `r` has no docs"),
            ("    /// A case.\n", "wit/all.wit:16:case `c` of `v` has no docs"),
            ("  /// A function.\n", "wit/all.wit:21:function `g` has no docs"),
            ("/// A world.\n", "wit/all.wit:26:world `w` has no docs"),
            ("  /// A function of the world itself.\n", "wit/all.wit:31:function `h` has no docs"),
        ] {
            assert_eq!(messages(&GOOD.replace(doc, "")), [expected]);
        }
    }

    #[test]
    fn what_a_guest_can_name_needs_since() {
        let found = messages(&GOOD.replace("@since(version = 0.1.0)\n", "\n"));
        let subjects = ["interface `i`", "type `r`", "type `v`", "function `g`", "world `w`", "function `h`"];
        assert_eq!(found.len(), subjects.len(), "{found:?}");
        for subject in subjects {
            assert!(
                found.iter().any(|line| line.ends_with(&format!("{subject} has no `@since`"))),
                "{subject}: {found:?}"
            );
        }
    }

    #[test]
    fn wit_that_does_not_parse_is_one_finding() {
        let found = messages("package a:b@0.1.0;\ninterface {");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("wit/all.wit:2:11"), "{found:?}");
    }
}
