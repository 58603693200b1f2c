//! Comparing two versions of a contract: worlds, interfaces, functions and what they say about their age. Types are
//! compared in `types`.
//!
//! Everything that changed is found at once. Deliberately absent: a judgement of documentation and of names of parameters
//! beyond their being the same; and of what a function does, which the archived guests try.

use std::collections::{BTreeMap, BTreeSet};

use wit_parser::{
    Function, Interface, InterfaceId, PackageId, Resolve, Span, Stability, TypeDefKind, TypeId, World, WorldId,
    WorldItem, WorldKey,
};

use super::rule::{Change, Effect, Reader, Rule, Version};
use super::types::{Flow, Types, breaks, flows, show, without_version};

/// A contract: a package and all that it uses.
pub(crate) struct Contract {
    pub(crate) resolve: Resolve,
    package: PackageId,
    pub(crate) version: Version,
}

impl Contract {
    /// Reads a folder with WIT.
    pub(crate) fn read(folder: &std::path::Path) -> anyhow::Result<Self> {
        let mut resolve = Resolve::default();
        let (package, _) = match resolve.push_dir(folder) {
            Ok(read) => read,
            Err(error) => anyhow::bail!("failed to read `{}`: {}", folder.display(), resolve.render_error(&error)),
        };
        let version = resolve.packages.get(package).and_then(|package| Version::of(&package.name));
        let Some(version) = version else { anyhow::bail!("the package in `{}` has no version", folder.display()) };
        Ok(Self { resolve, package, version })
    }

    fn worlds(&self) -> BTreeMap<&str, WorldId> {
        let package = self.resolve.packages.get(self.package);
        package.into_iter().flat_map(|package| &package.worlds).map(|(name, id)| (name.as_str(), *id)).collect()
    }

    /// Every interface of the package, and those of other packages that its worlds name, without versions; and whether
    /// worlds import and export it.
    fn interfaces(&self) -> BTreeMap<String, (InterfaceId, Roles)> {
        let mut found: BTreeMap<String, (InterfaceId, Roles)> = BTreeMap::new();
        let own = self.resolve.packages.get(self.package).into_iter().flat_map(|package| package.interfaces.values());
        let own = own.map(|id| (*id, Roles::default()));
        let worlds = self.worlds();
        let worlds = worlds.values().filter_map(|id| self.resolve.worlds.get(*id)).flat_map(|world| {
            let imports = world.imports.values().map(|item| (item, Roles { imported: true, exported: false }));
            imports.chain(world.exports.values().map(|item| (item, Roles { imported: false, exported: true })))
        });
        let used = worlds.filter_map(|(item, roles)| match item {
            WorldItem::Interface { id, .. } => Some((*id, roles)),
            _ => None,
        });
        for (id, roles) in own.chain(used) {
            let Some(name) = self.resolve.id_of(id) else { continue };
            let known = &mut found.entry(without_version(&name).to_owned()).or_insert((id, Roles::default())).1;
            known.imported |= roles.imported;
            known.exported |= roles.exported;
        }
        found
    }

    /// Whether something was written in this package, and not brought in from another one.
    fn is_own(&self, span: Span) -> bool {
        span.is_known() && !self.resolve.render_location(span).contains("/deps/")
    }
}

/// What worlds do with an interface.
#[derive(Clone, Copy, Debug, Default)]
struct Roles {
    imported: bool,
    exported: bool,
}

/// Everything that changed from a release to today, in the order of the rules and then of places.
pub(crate) fn compare(old: &Contract, new: &Contract) -> Vec<Change> {
    let flows = flows(&old.resolve, old.worlds().into_values());
    let types = Types::new(&old.resolve, &new.resolve, flows);
    let mut comparison = Comparison { old, new, types, changes: Vec::new() };
    comparison.worlds();
    comparison.interfaces();
    let mut changes = comparison.changes;
    for (rule, place, message) in comparison.types.found {
        // Whether a function passes it is said in the message of what has names; the rest is found where it is passed.
        let unused = message.contains("no function passes it");
        let flow = Flow { to_guest: !unused, to_host: !unused };
        changes.push(Change { rule, place, message, breaks: breaks(flow) });
    }
    let effect = |effect| changes.iter().any(|change: &Change| change.rule.effect() == effect);
    let due = match (effect(Effect::Breaking), effect(Effect::Additive)) {
        (false, false) => old.version.clone(),
        (breaking, _) => old.version.next(breaking),
    };
    if new.version.before(&due) {
        let message =
            format!("the version is {}, and after what changed since {} it must be {due}", new.version, old.version);
        changes.push(Change { rule: Rule::VersionNotRaised, place: "package".to_owned(), message, breaks: Vec::new() });
    }
    changes.sort_by(|one, other| {
        (one.rule.effect(), one.rule, &one.place).cmp(&(other.rule.effect(), other.rule, &other.place))
    });
    changes
}

struct Comparison<'a> {
    old: &'a Contract,
    new: &'a Contract,
    types: Types<'a>,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn find(&mut self, rule: Rule, place: impl Into<String>, message: impl Into<String>, breaks: &[Reader]) {
        self.changes.push(Change { rule, place: place.into(), message: message.into(), breaks: breaks.to_vec() });
    }

    fn worlds(&mut self) {
        let (olds, news) = (self.old.worlds(), self.new.worlds());
        for (name, id) in &news {
            if !olds.contains_key(name) {
                self.find(Rule::WorldAdded, format!("world {name}"), "the world is new", &[]);
                if let Some(world) = self.new.resolve.worlds.get(*id) {
                    self.is_new(&format!("world {name}"), &world.stability);
                }
            }
        }
        for (name, old) in olds {
            let Some(new) = news.get(name) else {
                let readers = [Reader::Guest, Reader::Source];
                self.find(Rule::WorldRemoved, format!("world {name}"), "the world is gone", &readers);
                continue;
            };
            let (Some(old), Some(new)) = (self.old.resolve.worlds.get(old), self.new.resolve.worlds.get(*new)) else {
                continue;
            };
            self.is_same_age(&format!("world {name}"), &old.stability, &new.stability);
            self.world(old, new);
        }
    }

    fn world(&mut self, old: &'a World, new: &'a World) {
        let (old_side, new_side) = (&self.old.resolve, &self.new.resolve);
        for import in [true, false] {
            let word = if import { "import" } else { "export" };
            let items = |world: &'a World| if import { &world.imports } else { &world.exports };
            let named = |resolve: &Resolve, world: &'a World| -> BTreeMap<String, (String, &'a WorldItem)> {
                let of = |(key, item)| {
                    let name = key_name(resolve, key);
                    (without_version(&name).to_owned(), (name, item))
                };
                items(world).iter().map(of).collect()
            };
            let (olds, news) = (named(old_side, old), named(new_side, new));
            for (name, (full, item)) in &news {
                if !olds.contains_key(name) {
                    let place = format!("world {} {word} {full}", new.name);
                    if import {
                        self.find(
                            Rule::ImportAdded,
                            &place,
                            "guests of the world may use it, and older hosts lack it",
                            &[],
                        );
                    } else {
                        let message = "the host would call it, and guests that were built before don't have it";
                        self.find(Rule::ExportAdded, &place, message, &[Reader::Guest, Reader::Source]);
                    }
                    self.is_new_item(&place, item);
                }
            }
            for (name, (full, item)) in &olds {
                let place = format!("world {} {word} {full}", old.name);
                match news.get(name) {
                    None if import => {
                        let message = "guests that were built before may import it";
                        self.find(Rule::ImportRemoved, place, message, &[Reader::Guest, Reader::Source]);
                    }
                    None => {
                        let message = "guests that are built now don't have it, and older hosts call it";
                        self.find(Rule::ExportRemoved, place, message, &[Reader::Host]);
                    }
                    Some((new_full, new_item)) => self.items(&place, (full, item), (new_full, new_item), import),
                }
            }
        }
    }

    /// Two items of the same name in the same world.
    fn items(
        &mut self,
        place: &str,
        (old_name, old): (&str, &'a WorldItem),
        (new_name, new): (&str, &'a WorldItem),
        import: bool,
    ) {
        match (old, new) {
            (WorldItem::Interface { stability: old, .. }, WorldItem::Interface { stability: new, span, .. }) => {
                let version = |name: &str| name.split_once('@').and_then(|(_, version)| Version::parse(version));
                let own = self.own_prefix();
                if old_name != new_name && !new_name.starts_with(&own) {
                    let fits = matches!((version(old_name), version(new_name)), (Some(old), Some(new)) if old.compatible(&new));
                    let message = format!("it is `{new_name}` now");
                    if fits {
                        self.find(Rule::ForeignVersionChanged, place, message, &[]);
                    } else {
                        let readers = [Reader::Guest, Reader::Host, Reader::Source];
                        self.find(Rule::ForeignVersionBroken, place, message, &readers);
                    }
                }
                if self.new.is_own(*span) {
                    self.is_same_age(place, old, new);
                }
            }
            (WorldItem::Function(old), WorldItem::Function(new)) => self.function(place, old, new),
            (WorldItem::Type { id: old, .. }, WorldItem::Type { id: new, .. }) => {
                self.types.declared(place, *old, *new);
            }
            _ => {
                let readers = if import { [Reader::Guest, Reader::Source] } else { [Reader::Guest, Reader::Host] };
                self.find(
                    Rule::TypeChanged,
                    place,
                    "an interface, a function and a type are different things",
                    &readers,
                );
            }
        }
    }

    fn interfaces(&mut self) {
        let (olds, news) = (self.old.interfaces(), self.new.interfaces());
        let own = self.own_prefix();
        for (name, (id, _)) in &news {
            if !olds.contains_key(name) && name.starts_with(&own) {
                self.find(Rule::InterfaceAdded, name, "the interface is new", &[]);
                if let Some(interface) = self.new.resolve.interfaces.get(*id) {
                    self.is_new(name, &interface.stability);
                }
            }
        }
        for (name, (old, _)) in &olds {
            let Some((new, roles)) = news.get(name) else {
                if name.starts_with(&own) {
                    let readers = [Reader::Guest, Reader::Source];
                    self.find(Rule::InterfaceRemoved, name, "the interface is gone", &readers);
                }
                continue;
            };
            let sides = (self.old.resolve.interfaces.get(*old), self.new.resolve.interfaces.get(*new));
            let (Some(old), Some(new)) = sides else { continue };
            if name.starts_with(&own) {
                self.is_same_age(name, &old.stability, &new.stability);
            }
            self.interface(name, old, new, *roles);
        }
    }

    fn interface(&mut self, name: &str, old: &'a Interface, new: &'a Interface, roles: Roles) {
        let own = name.starts_with(&self.own_prefix());
        let mut renamed = BTreeSet::new();
        for (function, of_old) in &old.functions {
            let place = format!("{name}#{function}");
            if let Some(of_new) = new.functions.get(function) {
                if own {
                    self.is_same_age(&place, &of_old.stability, &of_new.stability);
                }
                self.function(&place, of_old, of_new);
                continue;
            }
            // An exported one is called by the host: by that of the release, for a guest that is built now.
            let reader = if roles.exported { Reader::Host } else { Reader::Guest };
            let meant = self.renamed(of_old, old, new);
            match meant {
                Some(meant) => {
                    let message = format!("it seems to be called `{meant}` now");
                    renamed.insert(meant);
                    self.find(Rule::FunctionRenamed, place, message, &[reader, Reader::Source]);
                }
                None => self.find(Rule::FunctionRemoved, place, "the function is gone", &[reader, Reader::Source]),
            }
        }
        for (function, of_new) in new.functions.iter().filter(|(name, _)| !old.functions.contains_key(*name)) {
            let place = format!("{name}#{function}");
            if own {
                self.is_new(&place, &of_new.stability);
            }
            if renamed.contains(function.as_str()) {
                continue;
            }
            if roles.exported {
                let message = "guests export the interface, and those that were built before don't have the function";
                self.find(Rule::RequiredFunctionAdded, place, message, &[Reader::Guest, Reader::Source]);
            } else {
                let message = "guests may call it, and older hosts lack it";
                self.find(Rule::FunctionAdded, place, message, &[]);
            }
        }
        self.interface_types(name, old, new, own);
    }

    fn interface_types(&mut self, name: &str, old: &Interface, new: &Interface, own: bool) {
        let is_resource = |resolve: &Resolve, id: TypeId| {
            matches!(resolve.types.get(id).map(|def| &def.kind), Some(TypeDefKind::Resource))
        };
        for (ty, old_id) in &old.types {
            let place = format!("{name}#{ty}");
            let Some(new_id) = new.types.get(ty) else {
                if is_resource(&self.old.resolve, *old_id) {
                    let readers = [Reader::Guest, Reader::Source];
                    self.find(Rule::ResourceRemoved, place, "the resource is gone", &readers);
                } else {
                    let message = "sources name the type; what functions pass is told with them";
                    self.find(Rule::TypeRemoved, place, message, &[Reader::Source]);
                }
                continue;
            };
            if own
                && let (Some(old), Some(new)) =
                    (self.old.resolve.types.get(*old_id), self.new.resolve.types.get(*new_id))
            {
                self.is_same_age(&place, &old.stability, &new.stability);
            }
            self.types.declared(&place, *old_id, *new_id);
        }
        for (ty, id) in new.types.iter().filter(|(ty, _)| !old.types.contains_key(*ty)) {
            let place = format!("{name}#{ty}");
            let rule = if is_resource(&self.new.resolve, *id) { Rule::ResourceAdded } else { Rule::TypeAdded };
            self.find(rule, &place, "it is new", &[]);
            if own && let Some(def) = self.new.resolve.types.get(*id) {
                self.is_new(&place, &def.stability);
            }
        }
    }

    fn function(&mut self, place: &str, old: &Function, new: &Function) {
        let readers = [Reader::Guest, Reader::Host, Reader::Source];
        if old.kind.is_async() != new.kind.is_async() {
            let word = |function: &Function| if function.kind.is_async() { "async" } else { "not async" };
            self.find(Rule::AsyncChanged, place, format!("it was {} and is {}", word(old), word(new)), &readers);
        }
        let names =
            |function: &Function| function.params.iter().map(|param| param.name.clone()).collect::<Vec<_>>().join(", ");
        if names(old) != names(new) {
            let message = format!("the parameters were `{}` and are `{}`", names(old), names(new));
            self.find(Rule::ParamsChanged, place, message, &readers);
        }
        for param in &old.params {
            if let Some(other) = new.params.iter().find(|other| other.name == param.name) {
                self.types.compare(&format!("{place}({})", param.name), &param.ty, &other.ty);
            }
        }
        match (&old.result, &new.result) {
            (Some(old), Some(new)) => self.types.compare(&format!("{place} -> result"), old, new),
            (None, None) => {}
            (old, _) => {
                let (had, has) = if old.is_some() { ("a result", "none") } else { ("no result", "one") };
                self.find(Rule::ResultChanged, place, format!("it had {had} and has {has}"), &readers);
            }
        }
    }

    /// The function that one which is gone became: the only new one with the same signature.
    fn renamed(&self, gone: &Function, old: &Interface, new: &'a Interface) -> Option<&'a str> {
        let wanted = signature(&self.old.resolve, gone);
        let mut alike = new.functions.iter().filter(|(name, function)| {
            !old.functions.contains_key(*name) && signature(&self.new.resolve, function) == wanted
        });
        let found = alike.next()?;
        alike.next().is_none().then_some(found.0.as_str())
    }

    /// Whatever the release doesn't have says since when it is there: a version after that of the release.
    fn is_new(&mut self, place: &str, stability: &Stability) {
        match since(stability) {
            None => self.find(Rule::SinceMissing, place, "it is new and has no `@since`", &[]),
            // That it isn't after today's version, the parser has seen to.
            Some(version) if !self.old.version.before(&version) => {
                let message = format!("it says since {version}, and {} was released without it", self.old.version);
                self.find(Rule::SinceWrong, place, message, &[]);
            }
            Some(_) => {}
        }
    }

    fn is_new_item(&mut self, place: &str, item: &WorldItem) {
        match item {
            WorldItem::Interface { stability, span, .. } if self.new.is_own(*span) => self.is_new(place, stability),
            WorldItem::Function(function) if self.new.is_own(function.span) => self.is_new(place, &function.stability),
            _ => {}
        }
    }

    fn is_same_age(&mut self, place: &str, old: &Stability, new: &Stability) {
        let (old, new) = (since(old), since(new));
        if old == new {
            return;
        }
        let word = |version: Option<Version>| version.map_or("nothing".to_owned(), |version| format!("`{version}`"));
        self.find(Rule::SinceChanged, place, format!("its `@since` was {} and is {}", word(old), word(new)), &[]);
    }

    /// How the names of our own interfaces begin.
    fn own_prefix(&self) -> String {
        let package = self.new.resolve.packages.get(self.new.package);
        package.map(|package| format!("{}:{}/", package.name.namespace, package.name.name)).unwrap_or_default()
    }
}

fn since(stability: &Stability) -> Option<Version> {
    match stability {
        Stability::Stable { since, .. } => Version::parse(&since.to_string()),
        _ => None,
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params = function.params.iter().map(|param| format!("{}: {}", param.name, show(resolve, &param.ty)));
    let result = function.result.as_ref().map_or(String::new(), |result| format!(" -> {}", show(resolve, result)));
    format!("({}){result}", params.collect::<Vec<_>>().join(", "))
}

fn key_name(resolve: &Resolve, key: &WorldKey) -> String {
    match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(id) => resolve.id_of(*id).unwrap_or_default(),
    }
}
