//! What the rules want to know of a Rust file: the paths that it names, the fields that it reads, its modules.
//!
//! Bodies of macros are not syntax until the macro has run; their tokens are searched for the same things, so that a
//! call inside `println!` or `select!` counts. Whatever stands under `#[cfg(test)]` or `#[test]` is marked as test
//! code. Names are resolved through the file's own `use` declarations; those brought in by `*` are not seen.

use super::{Finding, tokens};
use crate::repo::Tree;
use proc_macro2::Span;
use std::collections::BTreeMap;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Member, UseTree};

/// All Rust files of the repository.
pub(crate) struct Sources {
    files: BTreeMap<String, Result<Scan, (usize, String)>>,
}

/// One Rust file.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) mentions: Vec<Mention>,
    pub(crate) reads: Vec<Read>,
    pub(crate) children: Vec<Child>,
    /// Names that `use` brought in, with the path that each stands for.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
}

/// A place where a path, macro, method or attribute is named.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) kind: Kind,
    /// The parts as written; nothing is resolved yet.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) test: bool,
    /// The modules inside this file in which it stands.
    pub(crate) inside: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `use a::b`
    Use,
    /// `use a::*`, whose path is `a`
    Glob,
    /// `a::b` anywhere in code
    Path,
    /// `a::b!`
    Macro,
    /// `.a()`
    Method,
    /// `#[a::b]`
    Attribute,
}

/// A read of a named field.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) field: String,
    pub(crate) test: bool,
}

/// A module declared in this file.
#[derive(Debug)]
pub(crate) struct Child {
    /// The modules inside this file, down to and with this one.
    pub(crate) path: Vec<String>,
    /// Whether its text stands in a file of its own.
    pub(crate) own_file: bool,
    pub(crate) test: bool,
    pub(crate) line: usize,
}

impl Sources {
    /// Reads all Rust files of `tree`.
    pub(crate) fn read(tree: &Tree) -> Sources {
        let rust = tree.files().filter(|(path, _)| path.ends_with(".rs"));
        Sources { files: rust.map(|(path, text)| (path.to_owned(), scan(text))).collect() }
    }

    /// All files that could be read, by path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Scan)> {
        self.files.iter().filter_map(|(path, scan)| Some((path.as_str(), scan.as_ref().ok()?)))
    }

    /// One file.
    pub(crate) fn get(&self, path: &str) -> Option<&Scan> {
        self.files.get(path)?.as_ref().ok()
    }

    /// Whether there is such a file, readable or not.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// A finding for each file that is not Rust.
    pub(crate) fn unreadable(&self) -> Vec<Finding> {
        let broken = self.files.iter().filter_map(|(path, scan)| Some((path, scan.as_ref().err()?)));
        broken
            .map(|(path, (line, error))| Finding {
                path: path.clone(),
                line: *line,
                rule: "syntax",
                message: format!("is not readable as Rust: {error}"),
                hint: "mend it; no other rule can be checked in it".to_owned(),
            })
            .collect()
    }
}

impl Scan {
    /// The path with its first part replaced by what a `use` in this file says that it stands for.
    pub(crate) fn expand(&self, path: &[String]) -> Vec<String> {
        let mut path = path.to_vec();
        // A `use` may build on another one, but never in a circle unless it does not compile.
        for _ in 0..4 {
            let Some((first, rest)) = path.split_first() else { break };
            match self.aliases.get(first) {
                Some(target) if target.first() != Some(first) => path = [target, rest].concat(),
                _ => break,
            }
        }
        path
    }
}

/// Reads one file; an error has its line.
fn scan(text: &str) -> Result<Scan, (usize, String)> {
    let file = syn::parse_file(text).map_err(|error| (error.span().start().line, error.to_string()))?;
    let mut visitor = Visitor { test: file.attrs.iter().any(marks_test), ..Visitor::default() };
    visitor.visit_file(&file);
    Ok(visitor.scan)
}

#[derive(Default)]
struct Visitor {
    scan: Scan,
    inside: Vec<String>,
    test: bool,
}

impl Visitor {
    fn mention(&mut self, kind: Kind, path: Vec<String>, span: Span) {
        let (line, test, inside) = (span.start().line, self.test, self.inside.clone());
        self.scan.mentions.push(Mention { kind, path, line, test, inside });
    }

    fn read(&mut self, field: String) {
        self.scan.reads.push(Read { field, test: self.test });
    }

    /// Does `work`, with what it finds marked as test code if an attribute says so.
    fn under(&mut self, attributes: &[Attribute], work: impl FnOnce(&mut Self)) {
        let before = self.test;
        self.test |= attributes.iter().any(marks_test);
        work(self);
        self.test = before;
    }

    fn tokens(&mut self, stream: proc_macro2::TokenStream) {
        for found in tokens::search(stream) {
            match found {
                tokens::Found::Named { kind, path, span } => self.mention(kind, path, span),
                tokens::Found::Field(name) => self.read(name),
            }
        }
    }

    fn use_tree(&mut self, tree: &UseTree, prefix: &[String]) {
        let extended = |name: &proc_macro2::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &extended(&path.ident)),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, prefix);
                }
            }
            UseTree::Glob(glob) => self.mention(Kind::Glob, prefix.to_vec(), glob.star_token.spans[0]),
            UseTree::Name(name) if name.ident == "self" => self.used(prefix.to_vec(), None, name.ident.span()),
            UseTree::Name(name) => self.used(extended(&name.ident), None, name.ident.span()),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { prefix.to_vec() } else { extended(&rename.ident) };
                self.used(path, Some(rename.rename.to_string()), rename.ident.span());
            }
        }
    }

    fn used(&mut self, path: Vec<String>, alias: Option<String>, span: Span) {
        if let Some(name) = alias.or_else(|| path.last().cloned()) {
            self.scan.aliases.insert(name, path.clone());
        }
        self.mention(Kind::Use, path, span);
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        self.under(attributes(item), |this| visit::visit_item(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.under(&item.attrs, |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inside.push(item.ident.to_string());
        self.scan.children.push(Child {
            path: self.inside.clone(),
            own_file: item.content.is_none(),
            test: self.test,
            line: item.ident.span().start().line,
        });
        visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single name is a local variable, or stands for a `use`, which was mentioned itself.
        if path.segments.len() > 1
            && let Some(first) = path.segments.first()
        {
            let parts = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.mention(Kind::Path, parts, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let parts: Vec<_> = attribute.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
        let bracket = attribute.bracket_token.span.open();
        if parts == ["cfg_attr"]
            && let syn::Meta::List(list) = &attribute.meta
        {
            // What it brings may be any attribute at all, so every name in it counts as one.
            for name in tokens::names(list.tokens.clone()) {
                self.mention(Kind::Attribute, vec![name], bracket);
            }
        }
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
        self.mention(Kind::Attribute, parts, bracket);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        let parts: Vec<_> = invocation.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = invocation.path.segments.first() {
            self.mention(Kind::Macro, parts, first.ident.span());
        }
        self.tokens(invocation.tokens.clone());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.mention(Kind::Method, vec![call.method.to_string()], call.method.span());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if let Member::Named(name) = &field.member {
            self.read(name.to_string());
        }
        visit::visit_expr_field(self, field);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        match &*assign.left {
            // `a.b.c = d` reads `a.b` and writes `c`.
            syn::Expr::Field(field) => self.visit_expr(&field.base),
            other => self.visit_expr(other),
        }
        self.visit_expr(&assign.right);
    }

    fn visit_field_pat(&mut self, pattern: &'ast syn::FieldPat) {
        let ignored = matches!(&*pattern.pat, syn::Pat::Wild(_));
        if let Member::Named(name) = &pattern.member
            && !ignored
        {
            self.read(name.to_string());
        }
        visit::visit_field_pat(self, pattern);
    }
}

/// Whether an attribute says that what follows is compiled for tests only.
fn marks_test(attribute: &Attribute) -> bool {
    let names: Vec<_> = attribute.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    match &attribute.meta {
        syn::Meta::List(list) if names == ["cfg"] => {
            let condition: Vec<_> = tokens::names(list.tokens.clone()).collect();
            match condition.first().map(String::as_str) {
                Some("test") => true,
                Some("all") => {
                    condition.iter().any(|name| name == "test") && !condition.iter().any(|name| name == "not")
                }
                _ => false,
            }
        }
        _ => names.last().is_some_and(|name| name == "test"),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(text: &str) -> Vec<String> {
        let scan = scan(text).unwrap();
        let shown = scan.mentions.iter().map(|one| {
            let test = if one.test { " test" } else { "" };
            format!("{:?} {} {}{test}", one.kind, one.line, one.path.join("::"))
        });
        shown.collect()
    }

    #[test]
    fn nested_and_renamed_uses_are_taken_apart() {
        assert_eq!(
            mentions("use a::{b, c::{self, d as e}, f::*};"),
            ["Use 1 a::b", "Use 1 a::c", "Use 1 a::c::d", "Glob 1 a::f"]
        );
        let scan = scan("use a::b as c; use c::d;").unwrap();
        assert_eq!(scan.expand(&["d".to_owned(), "e".to_owned()]), ["a", "b", "d", "e"]);
    }

    #[test]
    fn code_inside_macros_counts() {
        assert_eq!(
            mentions("fn f() { select! { x = a::b() => print!(\"{}\", c.d::<e::f>()) } }"),
            ["Macro 1 select", "Path 1 a::b", "Macro 1 print", "Method 1 d", "Path 1 e::f"]
        );
    }

    #[test]
    fn test_code_is_marked() {
        assert_eq!(
            mentions("#[cfg(test)]\nmod tests { fn f() { a::b(); } }\n#[cfg(not(test))] fn f() { a::b(); }"),
            ["Attribute 1 cfg test", "Path 2 a::b test", "Attribute 3 cfg", "Path 3 a::b"]
        );
        assert_eq!(
            mentions("#[tokio::test] fn f() { a::b(); } fn g() { a::c(); }"),
            ["Attribute 1 tokio::test test", "Path 1 a::b test", "Path 1 a::c"]
        );
    }

    #[test]
    fn a_write_to_a_field_is_no_read() {
        let scan = scan("fn f() { a.b.c = d.e; let G { h, i: _ } = j; k!(l.m, n.o()); }").unwrap();
        let reads: Vec<_> = scan.reads.iter().map(|read| read.field.as_str()).collect();
        assert_eq!(reads, ["b", "e", "h", "m"]);
    }
}
