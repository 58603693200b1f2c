//! Where a Rust source can be made wrong, and how: one small mistake at a time, as somebody's hand would slip.
//!
//! All mistakes are in the program at once, each behind a question whether it is the chosen one, so that one build serves
//! all of them. So each has to be an expression or a statement that also compiles where the right one stands.
//! Deliberately absent: patterns, constants and generated code, where no question can be asked.

use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Lit, Stmt, UnOp};

/// One mistake in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The bytes of the source in whose place the mistake stands.
    pub(super) place: Range<usize>,
    /// What stands there instead.
    pub(super) instead: String,
    pub(super) kind: Kind,
    /// The function that it is in.
    pub(super) function: String,
    /// The line, counted from 1.
    pub(super) line: usize,
}

/// What stands in the place of what was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A statement more, before what is there.
    Before,
    /// Nothing, in the place of a statement.
    Nothing,
    /// An expression.
    Expression,
}

/// Every mistake that can be made in a source.
pub(super) fn find(text: &str) -> syn::Result<Vec<Site>> {
    let file = syn::parse_file(text)?;
    let mut finder = Finder { text, sites: Vec::new(), function: String::new() };
    finder.visit_file(&file);
    let mut sites = finder.sites;
    sites.sort_by_key(|site| (site.place.start, std::cmp::Reverse(site.place.end), site.kind));
    Ok(sites)
}

/// The source with all mistakes in it. The first has the number `first`.
pub(super) fn weave(text: &str, sites: &[Site], first: usize) -> String {
    let numbered: Vec<(usize, &Site)> = sites.iter().enumerate().map(|(n, site)| (first + n, site)).collect();
    inside(text, 0..text.len(), &numbered)
}

fn inside(text: &str, range: Range<usize>, sites: &[(usize, &Site)]) -> String {
    let mut woven = String::new();
    let mut at = range.start;
    let mut rest = sites;
    while let Some(((_, first), _)) = rest.split_first() {
        let place = first.place.clone();
        let alike = |site: &Site| site.place == place && site.kind == first.kind;
        let here: Vec<_> = rest.iter().take_while(|(_, site)| alike(site)).copied().collect();
        let within = rest.iter().skip(here.len()).take_while(|(_, site)| site.place.start < place.end).count();
        let (inner, after) = rest.get(here.len()..).unwrap_or_default().split_at(within);
        woven.push_str(text.get(at..place.start).unwrap_or_default());
        let right = inside(text, place.clone(), inner);
        let on = |n: usize| format!("crate::mutant::on({n})");
        match first.kind {
            Kind::Expression => {
                woven.push('(');
                for (n, site) in &here {
                    woven.push_str(&format!("if {} {{ {} }} else ", on(*n), site.instead));
                }
                woven.push_str(&format!("{{ {right} }})"));
            }
            Kind::Nothing => {
                for (n, _) in here.iter().take(1) {
                    woven.push_str(&format!("if !{} {{ {right} }}", on(*n)));
                }
            }
            Kind::Before => {
                for (n, site) in &here {
                    woven.push_str(&format!("if {} {{ {} }} ", on(*n), site.instead));
                }
                woven.push_str(&right);
            }
        }
        at = place.end;
        rest = after;
    }
    woven.push_str(text.get(at..range.end).unwrap_or_default());
    woven
}

struct Finder<'a> {
    text: &'a str,
    sites: Vec<Site>,
    function: String,
}

impl Finder<'_> {
    fn source(&self, of: &impl syn::spanned::Spanned) -> &str {
        self.text.get(of.span().byte_range()).unwrap_or_default()
    }

    fn add(&mut self, of: &impl syn::spanned::Spanned, instead: impl Into<String>, kind: Kind) {
        let (function, line) = (self.function.clone(), of.span().start().line);
        let place = of.span().byte_range();
        self.sites.push(Site { place, instead: instead.into(), kind, function, line });
    }

    fn binary(&mut self, of: &syn::ExprBinary) {
        let (left, right) = (self.source(&of.left).to_owned(), self.source(&of.right).to_owned());
        if has_let(&of.left) || has_let(&of.right) {
            return;
        }
        let others: &[&str] = match of.op {
            BinOp::Lt(_) => &["<=", ">"],
            BinOp::Le(_) => &["<"],
            BinOp::Gt(_) => &[">=", "<"],
            BinOp::Ge(_) => &[">"],
            BinOp::Eq(_) => &["!="],
            BinOp::Ne(_) => &["=="],
            BinOp::Add(_) => &["-"],
            BinOp::Sub(_) => &["+"],
            BinOp::Mul(_) => &["+"],
            BinOp::And(_) | BinOp::Or(_) => {
                self.add(of, left, Kind::Expression);
                self.add(of, right, Kind::Expression);
                return;
            }
            _ => &[],
        };
        for other in others {
            self.add(of, format!("{left} {other} {right}"), Kind::Expression);
        }
    }

    fn literal(&mut self, of: &syn::ExprLit) {
        match &of.lit {
            Lit::Int(number) => {
                let (digits, suffix) = (number.base10_digits().parse::<u64>(), number.suffix());
                let Ok(value) = digits else { return };
                self.add(of, format!("{}{suffix}", value + 1), Kind::Expression);
                if value > 0 {
                    self.add(of, format!("{}{suffix}", value - 1), Kind::Expression);
                }
            }
            Lit::Byte(_) => self.add(of, "b'!'", Kind::Expression),
            Lit::Bool(value) => self.add(of, (!value.value).to_string(), Kind::Expression),
            Lit::Str(value) if !value.value().is_empty() => self.add(of, "\"\"", Kind::Expression),
            _ => {}
        }
    }

    /// `matches!` with a case less, and a text that is put together made empty.
    fn invocation(&mut self, of: &syn::ExprMacro) {
        let name = of.mac.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        match &*name {
            "format" => self.add(of, "String::new()", Kind::Expression),
            "matches" => {
                let source = self.source(of).to_owned();
                let inner = source.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(inner, _)| inner);
                let Some((value, cases)) = inner.and_then(|inner| inner.split_once(", ")) else { return };
                let cases: Vec<&str> = cases.split(" | ").collect();
                for left_out in 0..cases.len() {
                    let rest = cases.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, case)| *case);
                    let rest = rest.collect::<Vec<_>>().join(" | ");
                    let instead =
                        if rest.is_empty() { "false".to_owned() } else { format!("matches!({value}, {rest})") };
                    self.add(of, instead, Kind::Expression);
                }
            }
            _ => {}
        }
    }

    /// Two neighbouring arms with each other's bodies.
    fn arms(&mut self, of: &syn::ExprMatch) {
        let start = of.span().byte_range().start;
        let source = self.source(of).to_owned();
        for pair in of.arms.windows(2) {
            let [one, other] = pair else { continue };
            // What a pattern binds is there in its own arm alone.
            if binds(&one.pat) || binds(&other.pat) {
                continue;
            }
            let (a, b) = (one.body.span().byte_range(), other.body.span().byte_range());
            let (text_a, text_b) = (self.source(&one.body).to_owned(), self.source(&other.body).to_owned());
            let mut swapped = source.clone();
            swapped.replace_range(b.start - start..b.end - start, &text_a);
            swapped.replace_range(a.start - start..a.end - start, &text_b);
            self.add(of, swapped, Kind::Expression);
        }
    }

    /// A function that returns at once what says no, or yes.
    fn at_once(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let syn::ReturnType::Type(_, ty) = &signature.output else { return };
        let answers: &[&str] = match &**ty {
            syn::Type::Path(path) => {
                match path.path.segments.last().map(|segment| segment.ident.to_string()).as_deref() {
                    Some("bool") => &["return true;", "return false;"],
                    Some("Option") => &["return None;"],
                    _ => &[],
                }
            }
            _ => &[],
        };
        let Some(first) = block.stmts.first() else { return };
        for answer in answers {
            self.add(first, *answer, Kind::Before);
        }
    }

    fn within(&mut self, name: String, work: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.function, name);
        work(self);
        self.function = before;
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, of: &'ast syn::ItemMod) {
        // Tests are no part of the guest.
        if of.attrs.is_empty() {
            visit::visit_item_mod(self, of);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_item_fn(&mut self, of: &'ast syn::ItemFn) {
        self.within(of.sig.ident.to_string(), |finder| {
            finder.at_once(&of.sig, &of.block);
            visit::visit_item_fn(finder, of);
        });
    }

    fn visit_item_impl(&mut self, of: &'ast syn::ItemImpl) {
        let name = self.source(&of.self_ty).split('<').next().unwrap_or_default().to_owned();
        self.within(name, |finder| visit::visit_item_impl(finder, of));
    }

    fn visit_impl_item_fn(&mut self, of: &'ast syn::ImplItemFn) {
        let name = format!("{}::{}", self.function, of.sig.ident);
        self.within(name, |finder| {
            finder.at_once(&of.sig, &of.block);
            visit::visit_impl_item_fn(finder, of);
        });
    }

    fn visit_stmt(&mut self, of: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = of {
            let leaves =
                matches!(expr, Expr::Return(_) | Expr::Continue(_) | Expr::If(_) | Expr::While(_) | Expr::ForLoop(_));
            if !leaves {
                self.add(of, "", Kind::Nothing);
            }
        }
        visit::visit_stmt(self, of);
    }

    fn visit_local(&mut self, of: &'ast syn::Local) {
        // What `let … else` does instead has to leave, so nothing in it can be left out.
        if let Some(init) = &of.init {
            self.visit_expr(&init.expr);
        }
    }

    fn visit_expr_repeat(&mut self, of: &'ast syn::ExprRepeat) {
        // The length is a constant.
        self.visit_expr(&of.expr);
    }

    fn visit_expr_if(&mut self, of: &'ast syn::ExprIf) {
        if !has_let(&of.cond) {
            self.add(&of.cond, "false", Kind::Expression);
            self.add(&of.cond, "true", Kind::Expression);
        }
        visit::visit_expr_if(self, of);
    }

    fn visit_expr_match(&mut self, of: &'ast syn::ExprMatch) {
        self.arms(of);
        visit::visit_expr_match(self, of);
    }

    fn visit_expr_struct(&mut self, of: &'ast syn::ExprStruct) {
        for field in of.fields.iter().filter(|field| field.colon_token.is_some()) {
            if matches!(field.expr, Expr::Field(_)) {
                self.add(&field.expr, "Default::default()", Kind::Expression);
            }
        }
        visit::visit_expr_struct(self, of);
    }

    fn visit_expr_path(&mut self, of: &'ast syn::ExprPath) {
        let instead = match self.source(of) {
            "Failure::InvalidConfig" => "Failure::InvalidInput",
            "Level::Info" => "Level::Warn",
            // A constant can't ask, but who uses it can.
            name if name.len() > 3
                && !name.contains("::")
                && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') =>
            {
                let instead = format!("{name} + 1");
                return self.add(of, instead, Kind::Expression);
            }
            _ => return,
        };
        self.add(of, instead, Kind::Expression);
    }

    fn visit_expr(&mut self, of: &'ast Expr) {
        match of {
            Expr::Binary(binary) => self.binary(binary),
            Expr::Lit(literal) => self.literal(literal),
            Expr::Macro(invocation) => self.invocation(invocation),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) && !has_let(&unary.expr) => {
                let instead = self.source(&unary.expr).to_owned();
                self.add(unary, instead, Kind::Expression);
            }
            _ => {}
        }
        visit::visit_expr(self, of);
    }
}

/// Whether a condition binds names, so that it can't stand anywhere else.
fn has_let(of: &Expr) -> bool {
    struct Lets(bool);
    impl<'ast> Visit<'ast> for Lets {
        fn visit_expr_let(&mut self, _: &'ast syn::ExprLet) {
            self.0 = true;
        }
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    }
    let mut lets = Lets(false);
    lets.visit_expr(of);
    lets.0
}

/// Whether a pattern gives a name to anything. One word may be a constant, but where it is none it is a name.
fn binds(of: &syn::Pat) -> bool {
    struct Names(bool);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, _: &'ast syn::PatIdent) {
            self.0 = true;
        }
    }
    let mut names = Names(false);
    names.visit_pat(of);
    names.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instead(text: &str) -> Vec<String> {
        let text = format!("fn f() {{ {text} }}");
        find(&text).unwrap().into_iter().map(|site| format!("{} -> {}", &text[site.place], site.instead)).collect()
    }

    #[test]
    fn each_kind_of_mistake_is_made() {
        assert_eq!(instead("a < b"), ["a < b -> a <= b", "a < b -> a > b"]);
        assert_eq!(instead("a && b"), ["a && b -> a", "a && b -> b"]);
        assert_eq!(instead("x(2)"), ["2 -> 3", "2 -> 1"]);
        assert_eq!(instead("!a"), ["!a -> a"]);
        assert_eq!(instead("if a { b }"), ["a -> false", "a -> true"]);
        assert_eq!(instead("log(a);"), ["log(a); -> "]);
        assert_eq!(instead("x == b'.'"), ["x == b'.' -> x != b'.'", "b'.' -> b'!'"]);
        assert_eq!(instead("match x { a => y, E::B => z }"), Vec::<String>::new());
        assert_eq!(
            instead("match x { E::A => y, E::B => z }"),
            ["match x { E::A => y, E::B => z } -> match x { E::A => z, E::B => y }"]
        );
        assert_eq!(
            instead("matches!(x, 1 | 2)"),
            ["matches!(x, 1 | 2) -> matches!(x, 2)", "matches!(x, 1 | 2) -> matches!(x, 1)"]
        );
    }

    #[test]
    fn where_no_question_can_be_asked_nothing_is_changed() {
        for text in ["const A: usize = 3;", "let [1, ..] = x;", "let y: [u8; 4] = x;", "if let Some(x) = y && z {}"] {
            assert_eq!(instead(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(instead("let Some(x) = y else { panic(); };"), Vec::<String>::new());
        assert_eq!(find("#[cfg(test)] mod tests { fn f() -> bool { a < b } }").unwrap(), []);
    }

    #[test]
    fn mistakes_within_mistakes_are_each_there_once() {
        let text = "fn f() -> bool { a < 1 }";
        let sites = find(text).unwrap();
        assert_eq!(sites.len(), 6);
        let woven = weave(text, &sites, 10);
        syn::parse_file(&woven).unwrap();
        for n in 10..16 {
            assert_eq!(woven.matches(&format!("on({n})")).count(), 1, "{woven}");
        }
    }
}
