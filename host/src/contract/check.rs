//! Does a component fit a world: everything that is wrong, at once.

use wit_component::DecodedWasm;
use wit_parser::{Function, InterfaceId, Resolve, Span, TypeDefKind, TypeId, World, WorldItem, WorldKey};

use super::compare::{Comparison, Difference, dealias};
use super::finding::{Code, Finding, Report, Severity};
use super::target::Target;
use super::{grants, nearest, show, version};
use crate::policy::Policy;
use crate::text::escape;

/// The one change that mends most differences.
const REBUILD: &str = "build the guest against the world's WIT";

/// Compares a component with a world, and what it imports with a policy where there is one. The component is binary; its
/// origin doesn't matter.
///
/// The component fits when no finding is an error: then the host's linker takes it, and whatever the world asks for can
/// be called. Without warnings too, apart from those about the policy and from other versions that are compatible,
/// it also is a subtype of the world by the rules of the component model.
pub fn check(component: &[u8], target: &Target, policy: Option<&Policy>) -> Report {
    let (have, world) = match wit_component::decode(component) {
        Ok(DecodedWasm::Component(have, world)) => (have, world),
        Ok(DecodedWasm::WitPackage(..)) => {
            return no_form(target, "it is a WIT package and nothing that could run");
        }
        Err(error) => return no_form(target, &escape(&format!("{error:#}"))),
    };
    let (Some(wanted), Some(had)) = (target.resolve.worlds.get(target.world), have.worlds.get(world)) else {
        return no_form(target, "it has no world");
    };
    let mut sides = Sides { comparison: Comparison::new(&target.resolve, &have), wanted, had };
    // What functions reach is an error and comes first; what is left of the types can't be passed at all.
    for pass in [Pass::Functions, Pass::Types] {
        sides.imports(pass);
        sides.exports(pass);
    }
    let Comparison { mut findings, truncated, .. } = sides.comparison;
    if let Some(policy) = policy {
        findings.extend(had.imports.keys().filter_map(|key| grants::finding(&name(&have, key), policy)));
    }
    Report::new(&target.name, findings, truncated)
}

fn no_form(target: &Target, why: &str) -> Report {
    let finding = Finding {
        severity: Severity::Error,
        code: Code::NoWitForm,
        place: "component".to_owned(),
        at: None,
        message: format!("the component's types can't be read as WIT: {why}"),
        expected: None,
        found: None,
        fix: "build it with a toolchain that starts from WIT".to_owned(),
    };
    Report::new(&target.name, vec![finding], false)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Functions,
    Types,
}

/// The items of one side, in their order and by name: both sides can have any number of them.
struct Offered<'o, 'a> {
    all: &'o [(String, &'a WorldItem)],
    names: version::Names<'o, &'a WorldItem>,
}

impl<'o, 'a> Offered<'o, 'a> {
    fn new(all: &'o [(String, &'a WorldItem)]) -> Self {
        Self { all, names: version::Names::new(all.iter().map(|(name, item)| (name.as_str(), *item))) }
    }
}

struct Sides<'a> {
    comparison: Comparison<'a>,
    wanted: &'a World,
    had: &'a World,
}

impl<'a> Sides<'a> {
    fn imports(&mut self, pass: Pass) {
        self.comparison.direction = "import";
        let (want, have) = (self.comparison.want, self.comparison.have);
        let offered: Vec<(String, &WorldItem)> =
            self.wanted.imports.iter().map(|(key, item)| (name(want, key), item)).collect();
        let offered = Offered::new(&offered);
        for (key, item) in &self.had.imports {
            if self.comparison.is_full() {
                return;
            }
            let import = name(have, key);
            match offered.names.find(&import) {
                Some(found) => self.items(pass, &import, found, item),
                None if pass == Pass::Functions => self.extra_import(&import, &offered, item),
                None => {}
            }
        }
    }

    fn exports(&mut self, pass: Pass) {
        self.comparison.direction = "export";
        let (want, have) = (self.comparison.want, self.comparison.have);
        let offered: Vec<(String, &WorldItem)> =
            self.had.exports.iter().map(|(key, item)| (name(have, key), item)).collect();
        let offered = Offered::new(&offered);
        for (key, item) in &self.wanted.exports {
            if self.comparison.is_full() {
                return;
            }
            let export = name(want, key);
            match offered.names.find(&export) {
                Some(found) => self.items(pass, &export, item, found),
                None if pass == Pass::Functions => self.missing_export(&export, &offered, item),
                None => {}
            }
        }
    }

    fn extra_import(&mut self, import: &str, offered: &Offered<'_, 'a>, item: &WorldItem) {
        if let Some(other) = offered.names.any_version(import) {
            let fix = format!("build the guest against `{other}`");
            self.version(import, other, import, fix);
            return;
        }
        // A type that stands in the world is structure alone, which the engine doesn't look for.
        let severity = self.comparison.severity;
        if matches!(item, WorldItem::Type { .. }) {
            self.comparison.severity = Severity::Warning;
        }
        let known = offered.all.iter().map(|(name, _)| name.as_str());
        let meant = nearest(import, known).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let found = match item {
            WorldItem::Function(function) => Some(show::function(self.comparison.have, function)),
            _ => None,
        };
        let difference = Difference {
            code: Code::ExtraImport,
            at: None,
            message: format!("the world doesn't offer `{import}`{meant}"),
            expected: None,
            found,
            fix: "leave it out of the guest, or name a world that offers it".to_owned(),
        };
        self.comparison.add(import, difference);
        self.comparison.severity = severity;
    }

    fn missing_export(&mut self, export: &str, offered: &Offered<'_, 'a>, item: &WorldItem) {
        if let Some(other) = offered.names.any_version(export) {
            let fix = format!("build the guest against `{export}`");
            self.version(export, export, other, fix);
            return;
        }
        let severity = self.comparison.severity;
        if matches!(item, WorldItem::Type { .. }) {
            self.comparison.severity = Severity::Warning;
        }
        let (expected, at) = match item {
            WorldItem::Function(function) => (Some(show::function(self.comparison.want, function)), function.span),
            WorldItem::Interface { span, .. } | WorldItem::Type { span, .. } => (None, *span),
        };
        let exports = match offered.all {
            [] => "it exports nothing".to_owned(),
            _ => format!("it exports {}", show::names(offered.all.iter().map(|(name, _)| name.as_str()))),
        };
        let difference = Difference {
            code: Code::MissingExport,
            at: Some(at),
            message: format!("the component doesn't export `{export}`; {exports}"),
            expected,
            found: None,
            fix: format!("implement `{export}` in the guest and export it"),
        };
        self.comparison.add(export, difference);
        self.comparison.severity = severity;
    }

    fn version(&mut self, place: &str, expected: &str, found: &str, fix: String) {
        let difference = Difference {
            code: Code::VersionMismatch,
            at: None,
            message: format!("the world has `{expected}`, and the component `{found}`, which isn't compatible"),
            expected: Some(expected.to_owned()),
            found: Some(found.to_owned()),
            fix,
        };
        self.comparison.add(place, difference);
    }

    /// Compares two items of the same name.
    fn items(&mut self, pass: Pass, place: &str, want: &'a WorldItem, have: &'a WorldItem) {
        match (want, have) {
            (WorldItem::Interface { id: want, .. }, WorldItem::Interface { id: have, .. }) => match pass {
                Pass::Functions => self.interface_functions(place, *want, *have),
                Pass::Types => self.interface_types(place, *want, *have),
            },
            (WorldItem::Function(want), WorldItem::Function(have)) => self.comparison.functions(place, want, have),
            (WorldItem::Type { id: want, span }, WorldItem::Type { id: have, .. }) => {
                if pass == Pass::Types {
                    self.named_types(place, *span, *want, *have);
                }
            }
            _ if pass == Pass::Types => {}
            _ => {
                let (expected, found) = (kind(want), kind(have));
                let difference = Difference {
                    code: Code::KindMismatch,
                    at: None,
                    message: format!("it is {expected} in the world and {found} in the component"),
                    expected: Some(expected.to_owned()),
                    found: Some(found.to_owned()),
                    fix: REBUILD.to_owned(),
                };
                self.comparison.add(place, difference);
            }
        }
    }

    fn interface_functions(&mut self, place: &str, want: InterfaceId, have: InterfaceId) {
        let (wants, haves) = (self.comparison.want, self.comparison.have);
        let (Some(want), Some(have)) = (wants.interfaces.get(want), haves.interfaces.get(have)) else { return };
        let import = self.comparison.direction == "import";
        // Whoever uses the interface says what must be there; more than that does no harm.
        let (used, offered) = if import { (have, want) } else { (want, have) };
        for (name, function) in &used.functions {
            if self.comparison.is_full() {
                return;
            }
            let place = format!("{place}#{name}");
            match (want.functions.get(name), have.functions.get(name)) {
                (Some(want), Some(have)) => self.comparison.functions(&place, want, have),
                _ => {
                    let near = nearest(name, offered.functions.keys().map(String::as_str));
                    self.missing_function(&place, function, near, if import { want.span } else { function.span });
                }
            }
        }
    }

    fn missing_function(&mut self, place: &str, function: &Function, near: Option<&str>, at: Span) {
        let name = &function.name;
        let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let difference = if self.comparison.direction == "import" {
            Difference {
                code: Code::ExtraFunction,
                at: Some(at),
                message: format!("the component calls `{name}`, and the world's interface has no such function{meant}"),
                expected: None,
                found: Some(show::function(self.comparison.have, function)),
                fix: REBUILD.to_owned(),
            }
        } else {
            Difference {
                code: Code::MissingFunction,
                at: Some(at),
                message: format!("the component exports the interface without the function `{name}`{meant}"),
                expected: Some(show::function(self.comparison.want, function)),
                found: None,
                fix: format!("add `{name}` to what the guest exports"),
            }
        };
        self.comparison.add(place, difference);
    }

    fn interface_types(&mut self, place: &str, want: InterfaceId, have: InterfaceId) {
        let (wants, haves) = (self.comparison.want, self.comparison.have);
        let (Some(want), Some(have)) = (wants.interfaces.get(want), haves.interfaces.get(have)) else { return };
        let import = self.comparison.direction == "import";
        let (used, side) = if import { (have, haves) } else { (want, wants) };
        for (name, id) in &used.types {
            if self.comparison.is_full() {
                return;
            }
            let place = format!("{place}#{name}");
            match (want.types.get(name), have.types.get(name)) {
                (Some(want_id), Some(have_id)) => self.named_types(&place, want.span, *want_id, *have_id),
                _ => self.missing_type(&place, name, is_resource(side, *id), want.span),
            }
        }
    }

    /// Two types of the same name. What no function reaches can't be passed, so the engine doesn't look at it; but it
    /// looks for resources.
    fn named_types(&mut self, place: &str, at: Span, want: TypeId, have: TypeId) {
        let (wants, haves) = (self.comparison.want, self.comparison.have);
        let used_is_resource =
            if self.comparison.direction == "import" { is_resource(haves, have) } else { is_resource(wants, want) };
        let same = is_resource(wants, want) == is_resource(haves, have);
        let severity = self.comparison.severity;
        if same || !used_is_resource {
            self.comparison.severity = Severity::Warning;
        }
        self.comparison.types(place, Some(at), &wit_parser::Type::Id(want), &wit_parser::Type::Id(have));
        self.comparison.severity = severity;
    }

    fn missing_type(&mut self, place: &str, name: &str, resource: bool, at: Span) {
        let side = if self.comparison.direction == "import" { "the world's interface" } else { "the component" };
        let (code, word, fix) = if resource {
            (Code::MissingResource, "resource", REBUILD)
        } else {
            (Code::MissingType, "type", "give the type the name that it has in the world's WIT; its structure is right")
        };
        let severity = self.comparison.severity;
        if !resource {
            self.comparison.severity = Severity::Warning;
        }
        let difference = Difference {
            code,
            at: Some(at),
            message: format!("{side} has no {word} `{name}`"),
            expected: None,
            found: None,
            fix: fix.to_owned(),
        };
        self.comparison.add(place, difference);
        self.comparison.severity = severity;
    }
}

fn is_resource(resolve: &Resolve, id: TypeId) -> bool {
    match dealias(resolve, &wit_parser::Type::Id(id)) {
        wit_parser::Type::Id(id) => {
            matches!(resolve.types.get(id).map(|def| &def.kind), Some(TypeDefKind::Resource))
        }
        _ => false,
    }
}

/// What an import or export is called.
pub(super) fn name(resolve: &Resolve, key: &WorldKey) -> String {
    match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(id) => {
            let named = resolve.interfaces.get(*id).is_some_and(|interface| interface.package.is_some());
            if named { resolve.id_of(*id).unwrap_or_default() } else { String::new() }
        }
    }
}

fn kind(item: &WorldItem) -> &'static str {
    match item {
        WorldItem::Interface { .. } => "an interface",
        WorldItem::Function(_) => "a function",
        WorldItem::Type { .. } => "a type",
    }
}
