//! Comparing the types of two versions of a contract, each where it is declared, with the path to every difference.
//!
//! The engine knows no subtypes of values, so any change of a type that a function passes breaks the guests that were
//! built before, whichever way the values go. Which way they go decides what would happen if they could still be passed,
//! and is said with the change.

use std::collections::{HashMap, HashSet};

use wit_parser::{Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem};

use super::rule::{Reader, Rule};

/// Which way the values of a type go, in the version that is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) to_guest: bool,
    pub(super) to_host: bool,
}

/// The way of every type that some function of the worlds passes.
pub(super) fn flows(resolve: &Resolve, worlds: impl Iterator<Item = WorldId>) -> HashMap<TypeId, Flow> {
    let mut flows = HashMap::new();
    for world in worlds.filter_map(|id| resolve.worlds.get(id)) {
        for (items, import) in [(&world.imports, true), (&world.exports, false)] {
            for item in items.values() {
                let functions: Vec<_> = match item {
                    WorldItem::Interface { id, .. } => resolve
                        .interfaces
                        .get(*id)
                        .into_iter()
                        .flat_map(|interface| interface.functions.values())
                        .collect(),
                    WorldItem::Function(function) => vec![function],
                    WorldItem::Type { .. } => Vec::new(),
                };
                for function in functions {
                    for param in &function.params {
                        mark(resolve, &param.ty, !import, &mut flows);
                    }
                    if let Some(result) = &function.result {
                        mark(resolve, result, import, &mut flows);
                    }
                }
            }
        }
    }
    flows
}

fn mark(resolve: &Resolve, ty: &Type, to_guest: bool, flows: &mut HashMap<TypeId, Flow>) {
    let Type::Id(id) = dealias(resolve, ty) else { return };
    let flow = flows.entry(id).or_default();
    let known = if to_guest { &mut flow.to_guest } else { &mut flow.to_host };
    if std::mem::replace(known, true) {
        return;
    }
    let Some(def) = resolve.types.get(id) else { return };
    for part in parts(def) {
        mark(resolve, &part, to_guest, flows);
    }
}

/// The types that a type is made of.
fn parts(def: &TypeDef) -> Vec<Type> {
    match &def.kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::FixedLengthList(ty, _) => vec![*ty],
        TypeDefKind::Map(key, value) => vec![*key, *value],
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().copied().collect(),
        TypeDefKind::Type(ty) => vec![*ty],
        _ => Vec::new(),
    }
}

/// A comparison of types under way.
pub(super) struct Types<'a> {
    pub(super) old: &'a Resolve,
    pub(super) new: &'a Resolve,
    pub(super) flows: HashMap<TypeId, Flow>,
    pub(super) found: Vec<(Rule, String, String)>,
    seen: HashSet<(TypeId, TypeId)>,
}

impl<'a> Types<'a> {
    pub(super) fn new(old: &'a Resolve, new: &'a Resolve, flows: HashMap<TypeId, Flow>) -> Self {
        Self { old, new, flows, found: Vec::new(), seen: HashSet::new() }
    }

    /// Compares two types of the same name where both are declared.
    pub(super) fn declared(&mut self, place: &str, old: TypeId, new: TypeId) {
        let (old, new) = (Type::Id(old), Type::Id(new));
        // What is here by `use` is compared where it comes from, unless it comes from somewhere else now.
        if is_alias(self.old, &old) || is_alias(self.new, &new) {
            self.compare(place, &old, &new);
        } else {
            self.inside(place, &old, &new);
        }
    }

    /// Compares two types that a function or another type uses.
    pub(super) fn compare(&mut self, place: &str, old: &Type, new: &Type) {
        let (old_base, new_base) = (dealias(self.old, old), dealias(self.new, new));
        let (old_home, new_home) = (home(self.old, &old_base), home(self.new, &new_base));
        if old_home.is_some() && old_home == new_home {
            return;
        }
        self.inside(place, &old_base, &new_base);
    }

    fn inside(&mut self, place: &str, old: &Type, new: &Type) {
        let (old, new) = (dealias(self.old, old), dealias(self.new, new));
        let (Type::Id(old_id), Type::Id(new_id)) = (old, new) else {
            if old != new {
                self.changed(place, &old, &new);
            }
            return;
        };
        if !self.seen.insert((old_id, new_id)) {
            return;
        }
        let (old_side, new_side) = (self.old, self.new);
        let (Some(old_def), Some(new_def)) = (old_side.types.get(old_id), new_side.types.get(new_id)) else { return };
        let flow = self.flows.get(&old_id).copied().unwrap_or_default();
        match (&old_def.kind, &new_def.kind) {
            (TypeDefKind::Record(o), TypeDefKind::Record(n)) => {
                let olds: Vec<_> = o.fields.iter().map(|field| (field.name.as_str(), Some(field.ty))).collect();
                let news: Vec<_> = n.fields.iter().map(|field| (field.name.as_str(), Some(field.ty))).collect();
                self.named(place, Word::FIELD, flow, &olds, &news);
            }
            (TypeDefKind::Variant(o), TypeDefKind::Variant(n)) => {
                let olds: Vec<_> = o.cases.iter().map(|case| (case.name.as_str(), case.ty)).collect();
                let news: Vec<_> = n.cases.iter().map(|case| (case.name.as_str(), case.ty)).collect();
                self.named(place, Word::CASE, flow, &olds, &news);
            }
            (TypeDefKind::Enum(o), TypeDefKind::Enum(n)) => {
                let olds: Vec<_> = o.cases.iter().map(|case| (case.name.as_str(), None)).collect();
                let news: Vec<_> = n.cases.iter().map(|case| (case.name.as_str(), None)).collect();
                self.named(place, Word::CASE, flow, &olds, &news);
            }
            (TypeDefKind::Flags(o), TypeDefKind::Flags(n)) => {
                let olds: Vec<_> = o.flags.iter().map(|flag| (flag.name.as_str(), None)).collect();
                let news: Vec<_> = n.flags.iter().map(|flag| (flag.name.as_str(), None)).collect();
                self.named(place, Word::FLAG, flow, &olds, &news);
            }
            (TypeDefKind::Tuple(o), TypeDefKind::Tuple(n)) if o.types.len() == n.types.len() => {
                for (k, (o, n)) in o.types.iter().zip(&n.types).enumerate() {
                    self.compare(&format!("{place}.{k}"), o, n);
                }
            }
            (TypeDefKind::Option(o), TypeDefKind::Option(n)) => self.compare(&format!("{place}.some"), o, n),
            (TypeDefKind::List(o), TypeDefKind::List(n)) => self.compare(&format!("{place}[]"), o, n),
            (TypeDefKind::FixedLengthList(o, k), TypeDefKind::FixedLengthList(n, l)) if k == l => {
                self.compare(&format!("{place}[]"), o, n);
            }
            (TypeDefKind::Map(ok, ov), TypeDefKind::Map(nk, nv)) => {
                self.compare(&format!("{place}.key"), ok, nk);
                self.compare(&format!("{place}.value"), ov, nv);
            }
            (TypeDefKind::Result(o), TypeDefKind::Result(n)) => {
                for (word, o, n) in [("ok", &o.ok, &n.ok), ("err", &o.err, &n.err)] {
                    self.payload(&format!("{place}.{word}"), o.as_ref(), n.as_ref());
                }
            }
            (TypeDefKind::Future(o), TypeDefKind::Future(n)) | (TypeDefKind::Stream(o), TypeDefKind::Stream(n)) => {
                self.payload(&format!("{place}.item"), o.as_ref(), n.as_ref());
            }
            (TypeDefKind::Handle(o), TypeDefKind::Handle(n)) => self.handles(place, (o, n), (&old, &new)),
            (TypeDefKind::Resource, TypeDefKind::Resource) => {}
            _ => self.changed(place, &old, &new),
        }
    }

    /// Parts that have names: fields, cases, flags.
    fn named(
        &mut self,
        place: &str,
        word: Word,
        flow: Flow,
        old: &[(&str, Option<Type>)],
        new: &[(&str, Option<Type>)],
    ) {
        let has = |parts: &[(&str, Option<Type>)], name: &str| parts.iter().any(|(other, _)| *other == name);
        let mut reordered = true;
        for (name, _) in old.iter().filter(|(name, _)| !has(new, name)) {
            reordered = false;
            let message = format!("the {} is gone{}", word.word, word.gone(flow));
            self.found.push((word.removed, format!("{place}.{name}"), message));
        }
        for (name, _) in new.iter().filter(|(name, _)| !has(old, name)) {
            reordered = false;
            let message = format!("the {} is new{}", word.word, word.come(flow));
            self.found.push((word.added, format!("{place}.{name}"), message));
        }
        let names =
            |parts: &[(&str, Option<Type>)]| parts.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        if reordered && names(old) != names(new) {
            let message = format!(
                "the {}s were `{}` and are `{}`: each is passed by its number",
                word.word,
                names(old).join(", "),
                names(new).join(", ")
            );
            self.found.push((word.reordered, place.to_owned(), message));
        }
        for (name, old) in old {
            if let Some((_, new)) = new.iter().find(|(other, _)| other == name) {
                self.payload(&format!("{place}.{name}"), old.as_ref(), new.as_ref());
            }
        }
    }

    fn payload(&mut self, place: &str, old: Option<&Type>, new: Option<&Type>) {
        match (old, new) {
            (Some(old), Some(new)) => self.compare(place, old, new),
            (None, None) => {}
            (old, new) => {
                let show = |resolve, ty: Option<&Type>| {
                    ty.map_or("nothing".to_owned(), |ty| format!("`{}`", show(resolve, ty)))
                };
                let message = format!("it held {} and holds {}", show(self.old, old), show(self.new, new));
                self.found.push((Rule::TypeChanged, place.to_owned(), message));
            }
        }
    }

    fn handles(&mut self, place: &str, (old, new): (&Handle, &Handle), (old_ty, new_ty): (&Type, &Type)) {
        let resource = |handle: &Handle| match handle {
            Handle::Own(id) | Handle::Borrow(id) => Type::Id(*id),
        };
        if std::mem::discriminant(old) != std::mem::discriminant(new) {
            let message = format!("it was `{}` and is `{}`", show(self.old, old_ty), show(self.new, new_ty));
            self.found.push((Rule::OwnershipChanged, place.to_owned(), message));
        }
        let (old_home, new_home) =
            (home(self.old, &dealias(self.old, &resource(old))), home(self.new, &dealias(self.new, &resource(new))));
        if old_home != new_home {
            self.changed(place, old_ty, new_ty);
        }
    }

    fn changed(&mut self, place: &str, old: &Type, new: &Type) {
        let message = format!("it was `{}` and is `{}`", show(self.old, old), show(self.new, new));
        self.found.push((Rule::TypeChanged, place.to_owned(), message));
    }
}

/// What the parts of a type are called, and the rules about them.
#[derive(Clone, Copy)]
struct Word {
    word: &'static str,
    removed: Rule,
    added: Rule,
    reordered: Rule,
}

impl Word {
    const FIELD: Self =
        Self { word: "field", removed: Rule::FieldRemoved, added: Rule::FieldAdded, reordered: Rule::FieldsReordered };
    const CASE: Self =
        Self { word: "case", removed: Rule::CaseRemoved, added: Rule::CaseAdded, reordered: Rule::CasesReordered };
    const FLAG: Self =
        Self { word: "flag", removed: Rule::FlagRemoved, added: Rule::FlagAdded, reordered: Rule::FlagsReordered };

    fn come(self, flow: Flow) -> String {
        let word = self.word;
        match (flow.to_guest, flow.to_host) {
            (true, true) => format!(": the value goes both ways, and whoever was built before doesn't know the {word}"),
            (true, false) => format!(": the host would hand it to guests that don't know the {word}"),
            (false, true) => format!(": guests that are built now would hand it to hosts that don't know the {word}"),
            (false, false) => ": no function passes it, and sources that name all of it break".to_owned(),
        }
    }

    fn gone(self, flow: Flow) -> String {
        let word = self.word;
        match (flow.to_guest, flow.to_host) {
            (true, true) => format!(": the value goes both ways, and whoever was built before counts on the {word}"),
            (true, false) => format!(": guests that were built before count on getting the {word}"),
            (false, true) => format!(": guests that were built before hand over the {word}"),
            (false, false) => ": no function passes it, and sources that name it break".to_owned(),
        }
    }
}

/// Whom a change of a type breaks.
pub(super) fn breaks(flow: Flow) -> Vec<Reader> {
    if flow == Flow::default() { vec![Reader::Source] } else { vec![Reader::Guest, Reader::Host, Reader::Source] }
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

fn is_alias(resolve: &Resolve, ty: &Type) -> bool {
    dealias(resolve, ty) != *ty
}

/// Where a type that has a name was declared, without versions.
fn home(resolve: &Resolve, ty: &Type) -> Option<String> {
    let Type::Id(id) = ty else { return None };
    let def = resolve.types.get(*id)?;
    let name = def.name.as_ref()?;
    let owner = match def.owner {
        TypeOwner::Interface(id) => without_version(&resolve.id_of(id)?).to_owned(),
        TypeOwner::World(id) => format!("world {}", resolve.worlds.get(id)?.name),
        TypeOwner::None => return None,
    };
    Some(format!("{owner}#{name}"))
}

/// An interface's name without the version.
pub(super) fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// A type in WIT, by its name where it has one.
pub(super) fn show(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let Some(def) = resolve.types.get(*id) else { return "?".to_owned() };
    if let Some(name) = &def.name {
        return name.clone();
    }
    let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| show(resolve, ty));
    match &def.kind {
        TypeDefKind::Option(ty) => format!("option<{}>", show(resolve, ty)),
        TypeDefKind::List(ty) => format!("list<{}>", show(resolve, ty)),
        TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", show(resolve, ty)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", show(resolve, key), show(resolve, value)),
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(|ty| show(resolve, ty)).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::Handle(Handle::Own(id)) => show(resolve, &Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", show(resolve, &Type::Id(*id))),
        TypeDefKind::Future(ty) => format!("future<{}>", optional(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", optional(ty)),
        TypeDefKind::Type(ty) => show(resolve, ty),
        other => other.as_str().to_owned(),
    }
}
