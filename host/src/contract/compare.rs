//! Comparing functions and types of two sides, the world's and the component's, with every difference at its path.
//!
//! Types are equal when they have the same structure: that is the rule of the engine and of its validator, which know no
//! subtypes of values. Names of types don't matter, apart from those of resources.

use std::collections::{HashMap, HashSet};

use wit_parser::{Function, Handle, Resolve, Span, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

use super::finding::{Code, Finding, MAX_FINDINGS, Severity};
use super::{show, version};

/// A comparison under way. `want` is the world's side, `have` the component's.
pub(super) struct Comparison<'a> {
    pub(super) want: &'a Resolve,
    pub(super) have: &'a Resolve,
    /// `import` or `export`: the first word of every place.
    pub(super) direction: &'static str,
    /// How bad a difference is that is found now.
    pub(super) severity: Severity,
    pub(super) findings: Vec<Finding>,
    /// Whether there is more than what is in `findings`.
    pub(super) truncated: bool,
    /// How many of `findings` are errors.
    errors: usize,
    /// Pairs that were looked at. Types share their parts, so a small component can have endless paths.
    seen: HashSet<(TypeId, TypeId)>,
}

/// One difference; its severity is the comparison's.
pub(super) struct Difference {
    pub(super) code: Code,
    pub(super) at: Option<Span>,
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) found: Option<String>,
    pub(super) fix: String,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(want: &'a Resolve, have: &'a Resolve) -> Self {
        let (direction, severity, seen) = ("import", Severity::Error, HashSet::new());
        Self { want, have, direction, severity, findings: Vec::new(), truncated: false, errors: 0, seen }
    }

    /// Whether all that is reported are errors already, so that looking on changes nothing.
    pub(super) fn is_full(&self) -> bool {
        self.truncated && self.errors >= MAX_FINDINGS
    }

    pub(super) fn add(&mut self, place: &str, difference: Difference) {
        // Each severity has room of its own: no number of warnings may hide that a component doesn't fit.
        let is_error = self.severity == Severity::Error;
        let alike = if is_error { self.errors } else { self.findings.len() - self.errors };
        if alike >= MAX_FINDINGS {
            self.truncated = true;
            return;
        }
        self.errors += usize::from(is_error);
        let Difference { code, at, message, expected, found, fix } = difference;
        // The worlds that only say what is run have no file that anybody could look at.
        let at = at.filter(Span::is_known).map(|span| self.want.render_location(span));
        let at = at.filter(|at| !at.starts_with("host:"));
        let place = crate::text::escape(&format!("{} {place}", self.direction));
        let message = crate::text::escape(&message);
        self.findings.push(Finding { severity: self.severity, code, place, at, message, expected, found, fix });
    }

    /// Compares two functions of the same name.
    pub(super) fn functions(&mut self, place: &str, want: &Function, have: &Function) {
        let (expected, found) = (show::function(self.want, want), show::function(self.have, have));
        let mut differ = |code, message| {
            let (expected, found) = (Some(expected.clone()), Some(found.clone()));
            let fix = "give the function the signature that it has in the world's WIT".to_owned();
            self.add(place, Difference { code, at: Some(want.span), message, expected, found, fix });
        };
        if want.kind.is_async() != have.kind.is_async() {
            let word = |function: &Function| if function.kind.is_async() { "async" } else { "not async" };
            differ(
                Code::AsyncDiffers,
                format!("it is {} in the world and {} in the component", word(want), word(have)),
            );
        }
        let wanted: Vec<&str> = want.params.iter().map(|param| param.name.as_str()).collect();
        let had: Vec<&str> = have.params.iter().map(|param| param.name.as_str()).collect();
        if wanted != had {
            differ(Code::ParamsDiffer, lists("parameter", &wanted, &had));
        }
        if want.result.is_some() != have.result.is_some() {
            let word = |function: &Function| if function.result.is_some() { "a result" } else { "no result" };
            differ(
                Code::ResultDiffers,
                format!("it has {} in the world and {} in the component", word(want), word(have)),
            );
        }
        let others: HashMap<_, _> = have.params.iter().map(|param| (param.name.as_str(), param)).collect();
        for param in &want.params {
            if let Some(other) = others.get(param.name.as_str()) {
                self.types(&format!("{place}({})", param.name), Some(param.span), &param.ty, &other.ty);
            }
        }
        if let (Some(wanted), Some(had)) = (&want.result, &have.result) {
            self.types(&format!("{place} -> result"), Some(want.span), wanted, had);
        }
    }

    /// Compares two types, and the types in them.
    pub(super) fn types(&mut self, place: &str, at: Option<Span>, want: &Type, have: &Type) {
        let (want, have) = (dealias(self.want, want), dealias(self.have, have));
        let (Type::Id(want_id), Type::Id(have_id)) = (want, have) else {
            if want != have {
                self.differ(place, at, want, have);
            }
            return;
        };
        if !self.seen.insert((want_id, have_id)) {
            return;
        }
        let (want_side, have_side) = (self.want, self.have);
        let (Some(want_def), Some(have_def)) = (want_side.types.get(want_id), have_side.types.get(have_id)) else {
            return;
        };
        // What has a name is told of where it was made, however it was reached.
        let home = named(want_side, want_def);
        let place = home.as_deref().unwrap_or(place);
        let at = if home.is_some() { Some(want_def.span) } else { at };
        match (&want_def.kind, &have_def.kind) {
            (TypeDefKind::Record(w), TypeDefKind::Record(h)) => {
                let wanted: Vec<&str> = w.fields.iter().map(|field| field.name.as_str()).collect();
                let had: Vec<&str> = h.fields.iter().map(|field| field.name.as_str()).collect();
                self.parts(place, at, (Code::FieldsDiffer, "field"), (&wanted, &had), (want, have));
                let others: HashMap<_, _> = h.fields.iter().map(|field| (field.name.as_str(), field)).collect();
                for field in &w.fields {
                    if let Some(other) = others.get(field.name.as_str()) {
                        self.types(&format!("{place}.{}", field.name), Some(field.span), &field.ty, &other.ty);
                    }
                }
            }
            (TypeDefKind::Variant(w), TypeDefKind::Variant(h)) => {
                let wanted: Vec<&str> = w.cases.iter().map(|case| case.name.as_str()).collect();
                let had: Vec<&str> = h.cases.iter().map(|case| case.name.as_str()).collect();
                self.parts(place, at, (Code::CasesDiffer, "case"), (&wanted, &had), (want, have));
                let others: HashMap<_, _> = h.cases.iter().map(|case| (case.name.as_str(), case)).collect();
                for case in &w.cases {
                    if let Some(other) = others.get(case.name.as_str()) {
                        let place = format!("{place}.{}", case.name);
                        self.payloads(&place, Some(case.span), case.ty.as_ref(), other.ty.as_ref(), (want, have));
                    }
                }
            }
            (TypeDefKind::Enum(w), TypeDefKind::Enum(h)) => {
                let wanted: Vec<&str> = w.cases.iter().map(|case| case.name.as_str()).collect();
                let had: Vec<&str> = h.cases.iter().map(|case| case.name.as_str()).collect();
                self.parts(place, at, (Code::CasesDiffer, "case"), (&wanted, &had), (want, have));
            }
            (TypeDefKind::Flags(w), TypeDefKind::Flags(h)) => {
                let wanted: Vec<&str> = w.flags.iter().map(|flag| flag.name.as_str()).collect();
                let had: Vec<&str> = h.flags.iter().map(|flag| flag.name.as_str()).collect();
                self.parts(place, at, (Code::FlagsDiffer, "flag"), (&wanted, &had), (want, have));
            }
            (TypeDefKind::Tuple(w), TypeDefKind::Tuple(h)) if w.types.len() == h.types.len() => {
                for (n, (w, h)) in w.types.iter().zip(&h.types).enumerate() {
                    self.types(&format!("{place}.{n}"), at, w, h);
                }
            }
            (TypeDefKind::Option(w), TypeDefKind::Option(h)) => self.types(&format!("{place}.some"), at, w, h),
            (TypeDefKind::List(w), TypeDefKind::List(h)) => self.types(&format!("{place}[]"), at, w, h),
            (TypeDefKind::FixedLengthList(w, m), TypeDefKind::FixedLengthList(h, n)) if m == n => {
                self.types(&format!("{place}[]"), at, w, h);
            }
            (TypeDefKind::Map(wk, wv), TypeDefKind::Map(hk, hv)) => {
                self.types(&format!("{place}.key"), at, wk, hk);
                self.types(&format!("{place}.value"), at, wv, hv);
            }
            (TypeDefKind::Result(w), TypeDefKind::Result(h)) => {
                self.payloads(&format!("{place}.ok"), at, w.ok.as_ref(), h.ok.as_ref(), (want, have));
                self.payloads(&format!("{place}.err"), at, w.err.as_ref(), h.err.as_ref(), (want, have));
            }
            (TypeDefKind::Future(w), TypeDefKind::Future(h)) | (TypeDefKind::Stream(w), TypeDefKind::Stream(h)) => {
                self.payloads(&format!("{place}.item"), at, w.as_ref(), h.as_ref(), (want, have));
            }
            (TypeDefKind::Handle(w), TypeDefKind::Handle(h)) => self.handles(place, at, (w, h), (want, have)),
            (TypeDefKind::Resource, TypeDefKind::Resource) => {}
            _ => self.differ(place, at, want, have),
        }
    }

    /// Two types of different kinds.
    fn differ(&mut self, place: &str, at: Option<Span>, want: Type, have: Type) {
        let (expected, found) = (show::ty(self.want, &want, true), show::ty(self.have, &have, true));
        let difference = Difference {
            code: Code::TypeDiffers,
            at,
            message: "the types differ".to_owned(),
            fix: format!("make it `{}`", show::ty(self.want, &want, false)),
            expected: Some(expected),
            found: Some(found),
        };
        self.add(place, difference);
    }

    /// Names that must be the same in the same order.
    fn parts(
        &mut self,
        place: &str,
        at: Option<Span>,
        (code, word): (Code, &str),
        (wanted, had): (&[&str], &[&str]),
        (want, have): (Type, Type),
    ) {
        if wanted == had {
            return;
        }
        let difference = Difference {
            code,
            at,
            message: lists(word, wanted, had),
            expected: Some(show::ty(self.want, &want, true)),
            found: Some(show::ty(self.have, &have, true)),
            fix: format!("declare the {word}s as in the world's WIT, in that order"),
        };
        self.add(place, difference);
    }

    /// What a case holds, on both sides or on one.
    fn payloads(
        &mut self,
        place: &str,
        at: Option<Span>,
        want: Option<&Type>,
        have: Option<&Type>,
        (whole_want, whole_have): (Type, Type),
    ) {
        match (want, have) {
            (Some(want), Some(have)) => self.types(place, at, want, have),
            (None, None) => {}
            (want, _) => {
                let difference = Difference {
                    code: Code::TypeDiffers,
                    at,
                    message: match want {
                        Some(_) => "the world has a value here, and the component has none".to_owned(),
                        None => "the component has a value here, and the world has none".to_owned(),
                    },
                    expected: Some(show::ty(self.want, &whole_want, true)),
                    found: Some(show::ty(self.have, &whole_have, true)),
                    fix: match want {
                        Some(want) => format!("let it hold `{}`", show::ty(self.want, want, false)),
                        None => "let it hold nothing".to_owned(),
                    },
                };
                self.add(place, difference);
            }
        }
    }

    fn handles(&mut self, place: &str, at: Option<Span>, (w, h): (&Handle, &Handle), (want, have): (Type, Type)) {
        let resource = |handle: &Handle| match handle {
            Handle::Own(id) | Handle::Borrow(id) => *id,
        };
        let (expected, found) = (show::ty(self.want, &want, true), show::ty(self.have, &have, true));
        let (w_home, h_home) = (home(self.want, resource(w)), home(self.have, resource(h)));
        let mut differ = |code, message: &str, fix: String| {
            let (expected, found) = (Some(expected.clone()), Some(found.clone()));
            self.add(place, Difference { code, at, message: message.to_owned(), expected, found, fix });
        };
        match (w, h) {
            (Handle::Own(_), Handle::Borrow(_)) => differ(
                Code::OwnershipDiffers,
                "the world passes the resource on, and the component only borrows it",
                format!("take it as `{expected}`"),
            ),
            (Handle::Borrow(_), Handle::Own(_)) => differ(
                Code::OwnershipDiffers,
                "the world only lends the resource, and the component takes it for its own",
                format!("take it as `{expected}`"),
            ),
            _ => {}
        }
        if w_home.0 != h_home.0 || !version::compatible(&w_home.1, &h_home.1) {
            let message = "the handles are of different resources";
            differ(Code::ResourceDiffers, message, format!("use `{}` of `{}`", w_home.0, w_home.1));
        }
    }
}

/// A resource's own name and that of where it was declared.
fn home(resolve: &Resolve, id: TypeId) -> (String, String) {
    let Type::Id(id) = dealias(resolve, &Type::Id(id)) else { return (String::new(), String::new()) };
    let Some(def) = resolve.types.get(id) else { return (String::new(), String::new()) };
    let owner = match def.owner {
        TypeOwner::Interface(id) => interface_name(resolve, id),
        _ => String::new(),
    };
    (def.name.clone().unwrap_or_default(), owner)
}

/// An interface's full name, empty for one that was written in the middle of a world.
fn interface_name(resolve: &Resolve, id: wit_parser::InterfaceId) -> String {
    let named = resolve.interfaces.get(id).is_some_and(|interface| interface.package.is_some());
    if named { resolve.id_of(id).unwrap_or_default() } else { String::new() }
}

/// Where a type that has a name was declared.
fn named(resolve: &Resolve, def: &TypeDef) -> Option<String> {
    let name = def.name.as_deref()?;
    match def.owner {
        TypeOwner::Interface(id) => {
            let interface = interface_name(resolve, id);
            Some(if interface.is_empty() { name.to_owned() } else { format!("{interface}#{name}") })
        }
        TypeOwner::World(_) => Some(name.to_owned()),
        TypeOwner::None => None,
    }
}

/// The type behind any number of other names for it.
pub(super) fn dealias(resolve: &Resolve, ty: &Type) -> Type {
    let mut ty = *ty;
    while let Type::Id(id) = ty {
        match resolve.types.get(id).map(|def| &def.kind) {
            Some(TypeDefKind::Type(other)) => ty = *other,
            _ => break,
        }
    }
    ty
}

/// What two lists of names differ in: missing, more, or the order.
fn lists(word: &str, wanted: &[&str], had: &[&str]) -> String {
    let (in_wanted, in_had) = (wanted.iter().collect::<HashSet<_>>(), had.iter().collect::<HashSet<_>>());
    let lacks: Vec<&str> = wanted.iter().filter(|name| !in_had.contains(name)).copied().collect();
    let more: Vec<&str> = had.iter().filter(|name| !in_wanted.contains(name)).copied().collect();
    let plural = |names: &[&str]| if names.len() == 1 { word.to_owned() } else { format!("{word}s") };
    match (lacks.as_slice(), more.as_slice()) {
        ([], []) => format!(
            "the {word}s are in another order: {} comes where {} should",
            show::names(first(had, wanted)),
            show::names(first(wanted, had))
        ),
        (lacks, []) => format!("the component lacks the {} {}", plural(lacks), show::names(lacks.iter().copied())),
        ([], more) => {
            format!("the component has the {} {} more than the world", plural(more), show::names(more.iter().copied()))
        }
        (lacks, more) => format!(
            "the component lacks the {} {} and has {} instead",
            plural(lacks),
            show::names(lacks.iter().copied()),
            show::names(more.iter().copied())
        ),
    }
}

/// The first name of a list that stands where the other list has another one.
fn first<'n>(one: &[&'n str], other: &[&'n str]) -> Option<&'n str> {
    one.iter().zip(other).find(|(a, b)| a != b).map(|(a, _)| *a)
}
