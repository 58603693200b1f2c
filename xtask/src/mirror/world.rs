//! The types that are mirrored: every kind that WIT has, and what the contract's own functions reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use wit_parser::{Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldItem};

/// A type without a name, or the name of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    Plain(&'static str),
    List(Box<Ty>),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    Tuple(Vec<Ty>),
    Named(String),
}

/// What a type with a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Record(Vec<(String, Ty)>),
    Variant(Vec<(String, Option<Ty>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
}

/// The whole world: its types by name, and a function for each type that is mirrored.
pub(super) struct Mirror {
    pub(super) types: BTreeMap<String, Shape>,
    /// The last part of the names of its three functions, and its type.
    pub(super) echoes: Vec<(String, Ty)>,
}

/// What is mirrored whatever the contract has.
const FIXED: &str = "\
package demo:fixed;
interface types {
  enum colour { red, green, blue }
  flags permissions { read, write, execute }
  flags many { f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19 }
  record point { x: s32, y: s32 }
  record person { name: string, age: option<u8>, home: point, tags: list<string>, colour: colour }
  record wide { a: u8, b: u16, c: u32, d: u64, e: s8, f: s16, g: s32, h: s64, i: f32, j: f64, k: char, l: string,
    m: bool, n: option<u32>, o: list<u8>, p: colour, q: point }
  variant shape { nothing, circle(f64), rectangle(tuple<f64, f64>), polygon(list<point>) }
  variant mixed { small(u8), big(u64), real(f32), letter(char), text(string), empty }
  echo-bool: func(v: bool); echo-u8: func(v: u8); echo-s8: func(v: s8); echo-u16: func(v: u16);
  echo-s16: func(v: s16); echo-u32: func(v: u32); echo-s32: func(v: s32); echo-u64: func(v: u64);
  echo-s64: func(v: s64); echo-f32: func(v: f32); echo-f64: func(v: f64); echo-char: func(v: char);
  echo-string: func(v: string); echo-bytes: func(v: list<u8>); echo-bools: func(v: list<bool>);
  echo-longs: func(v: list<u64>); echo-signed: func(v: list<s64>); echo-floats: func(v: list<f32>);
  echo-letters: func(v: list<char>); echo-strings: func(v: list<string>); echo-lists: func(v: list<list<u32>>);
  echo-option: func(v: option<u32>); echo-option-text: func(v: option<string>);
  echo-option-option: func(v: option<option<u32>>); echo-options: func(v: list<option<bool>>);
  echo-option-list: func(v: option<list<u8>>); echo-result: func(v: result<u32, string>);
  echo-result-ok: func(v: result<string>); echo-result-err: func(v: result<_, string>);
  echo-result-empty: func(v: result); echo-results: func(v: list<result<u32, string>>);
  echo-option-result: func(v: option<result<u8, option<string>>>); echo-tuple: func(v: tuple<u8, string, bool>);
  echo-nested-tuple: func(v: tuple<tuple<u64, f32>, option<s8>>);
  echo-colour: func(v: colour); echo-permissions: func(v: permissions); echo-many: func(v: many);
  echo-point: func(v: point); echo-person: func(v: person); echo-wide: func(v: wide); echo-shape: func(v: shape);
  echo-mixed: func(v: mixed);
}
";

impl Mirror {
    /// Reads the contract in `wit`, and puts together the world.
    pub(super) fn read(wit: &Path) -> Result<Self> {
        let mut mirror = Self { types: BTreeMap::new(), echoes: Vec::new() };
        let mut fixed = Resolve::default();
        fixed.push_str("fixed.wit", FIXED).context("failed to read the fixed types")?;
        let mut reader = Reader { resolve: &fixed, names: BTreeMap::new(), prefix: false, mirror: &mut mirror };
        for (name, function) in fixed.interfaces.iter().flat_map(|(_, interface)| &interface.functions) {
            let ty = function.params.first().and_then(|param| reader.ty(&param.ty));
            let ty = ty.with_context(|| format!("`{name}` can't be mirrored"))?;
            reader.echo(name.trim_start_matches("echo-"), ty);
        }
        let mut contract = Resolve::default();
        let (package, _) = contract.push_dir(wit).with_context(|| format!("failed to read `{}`", wit.display()))?;
        let mut reader = Reader { resolve: &contract, names: BTreeMap::new(), prefix: true, mirror: &mut mirror };
        let mut done = BTreeSet::new();
        for world in contract.packages.get(package).into_iter().flat_map(|package| package.worlds.values()) {
            let Some(world) = contract.worlds.get(*world) else { continue };
            for item in world.imports.values().chain(world.exports.values()) {
                let WorldItem::Interface { id, .. } = item else { continue };
                let Some(interface) = contract.interfaces.get(*id).filter(|_| done.insert(*id)) else { continue };
                for function in interface.functions.values() {
                    for ty in function.params.iter().map(|param| &param.ty).chain(&function.result) {
                        reader.reached(ty);
                    }
                }
            }
        }
        Ok(mirror)
    }

    /// The world in WIT. It is called `sandbox-pure`, since toolchains leave WASI out of a guest of that world.
    pub(super) fn wit(&self) -> String {
        let mut text = String::from("package demo:mirror;\n\ninterface types {\n");
        // Writing to a string can't fail.
        for (name, shape) in &self.types {
            let _ = match shape {
                Shape::Record(fields) => {
                    let fields = fields.iter().map(|(name, ty)| format!("%{name}: {}", ty.wit()));
                    writeln!(text, "  record %{name} {{ {} }}", fields.collect::<Vec<_>>().join(", "))
                }
                Shape::Variant(cases) => {
                    let cases = cases.iter().map(|(name, ty)| match ty {
                        Some(ty) => format!("%{name}({})", ty.wit()),
                        None => format!("%{name}"),
                    });
                    writeln!(text, "  variant %{name} {{ {} }}", cases.collect::<Vec<_>>().join(", "))
                }
                Shape::Enum(cases) => writeln!(text, "  enum %{name} {{ %{} }}", cases.join(", %")),
                Shape::Flags(flags) => writeln!(text, "  flags %{name} {{ %{} }}", flags.join(", %")),
            };
        }
        let names = self.types.keys().map(|name| format!("%{name}")).collect::<Vec<_>>().join(", ");
        for (interface, functions) in [("outside", &["give"][..]), ("mirror", &["echo", "bounce"])] {
            let _ = writeln!(text, "}}\n\ninterface {interface} {{\n  use types.{{{names}}};");
            for function in functions {
                for (name, ty) in &self.echoes {
                    let _ = writeln!(text, "  {function}-{name}: func(value: {ty}) -> {ty};", ty = ty.wit());
                }
            }
        }
        text + "}\n\nworld sandbox-pure {\n  import outside;\n  export mirror;\n}\n"
    }
}

impl Ty {
    pub(super) fn wit(&self) -> String {
        let part = |ty: &Option<Box<Self>>| ty.as_ref().map_or("_".to_owned(), |ty| ty.wit());
        match self {
            Self::Plain(name) => (*name).to_owned(),
            Self::Named(name) => format!("%{name}"),
            Self::List(ty) => format!("list<{}>", ty.wit()),
            Self::Option(ty) => format!("option<{}>", ty.wit()),
            Self::Result(None, None) => "result".to_owned(),
            Self::Result(Some(ok), None) => format!("result<{}>", ok.wit()),
            Self::Result(ok, err) => format!("result<{}, {}>", part(ok), part(err)),
            Self::Tuple(types) => format!("tuple<{}>", types.iter().map(Self::wit).collect::<Vec<_>>().join(", ")),
        }
    }
}

struct Reader<'a> {
    resolve: &'a Resolve,
    /// What types with a name are called here; none for one that has no values to pass, such as a resource.
    names: BTreeMap<TypeId, Option<String>>,
    /// Whether names need the package before them.
    prefix: bool,
    mirror: &'a mut Mirror,
}

impl Reader<'_> {
    fn echo(&mut self, name: &str, ty: Ty) {
        if !self.mirror.echoes.iter().any(|(_, known)| *known == ty) {
            self.mirror.echoes.push((name.to_owned(), ty));
        }
    }

    /// Mirrors a type that a function passes, and all types with a name in it.
    fn reached(&mut self, ty: &Type) {
        let before: BTreeSet<String> = self.mirror.types.keys().cloned().collect();
        let whole = self.ty(ty);
        let new: Vec<String> = self.mirror.types.keys().filter(|name| !before.contains(*name)).cloned().collect();
        for name in new {
            self.echo(&name.clone(), Ty::Named(name));
        }
        if let Some(whole) = whole.filter(|whole| !matches!(whole, Ty::Named(_))) {
            let name = format!("passed-{}", self.mirror.echoes.len());
            self.echo(&name, whole);
        }
    }

    /// The type; none where it has a resource, a stream or the like in it, which nobody can write down.
    fn ty(&mut self, ty: &Type) -> Option<Ty> {
        let plain = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => return None,
            Type::Id(id) => return self.defined(*id),
        };
        Some(Ty::Plain(plain))
    }

    fn defined(&mut self, id: TypeId) -> Option<Ty> {
        if let Some(name) = self.names.get(&id) {
            return name.clone().map(Ty::Named);
        }
        let def = self.resolve.types.get(id)?;
        let shape = match &def.kind {
            TypeDefKind::Type(ty) => return self.ty(ty),
            TypeDefKind::List(ty) => return self.boxed(ty).map(Ty::List),
            TypeDefKind::Option(ty) => return self.boxed(ty).map(Ty::Option),
            TypeDefKind::Tuple(tuple) => {
                return tuple.types.iter().map(|ty| self.ty(ty)).collect::<Option<_>>().map(Ty::Tuple);
            }
            TypeDefKind::Result(result) => {
                let mut part = |ty: &Option<Type>| match ty {
                    Some(ty) => self.boxed(ty).map(Some),
                    None => Some(None),
                };
                return Some(Ty::Result(part(&result.ok)?, part(&result.err)?));
            }
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| Some((field.name.clone(), self.ty(&field.ty)?)));
                fields.collect::<Option<_>>().map(Shape::Record)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| {
                    let ty = match &case.ty {
                        Some(ty) => Some(self.ty(ty)?),
                        None => None,
                    };
                    Some((case.name.clone(), ty))
                });
                cases.collect::<Option<_>>().map(Shape::Variant)
            }
            TypeDefKind::Enum(cases) => Some(Shape::Enum(cases.cases.iter().map(|case| case.name.clone()).collect())),
            TypeDefKind::Flags(flags) => Some(Shape::Flags(flags.flags.iter().map(|flag| flag.name.clone()).collect())),
            _ => None,
        };
        let name = shape.and_then(|shape| {
            let name = self.name(id)?;
            self.mirror.types.insert(name.clone(), shape);
            Some(name)
        });
        self.names.insert(id, name.clone());
        name.map(Ty::Named)
    }

    fn boxed(&mut self, ty: &Type) -> Option<Box<Ty>> {
        self.ty(ty).map(Box::new)
    }

    /// A name that no other type here has.
    fn name(&self, id: TypeId) -> Option<String> {
        let def = self.resolve.types.get(id)?;
        let name = def.name.as_ref()?.to_lowercase();
        let TypeOwner::Interface(interface) = def.owner else { return Some(name) };
        let interface = self.resolve.interfaces.get(interface)?;
        let package = interface.package.and_then(|package| self.resolve.packages.get(package))?;
        if !self.prefix {
            return Some(name);
        }
        let first = format!("{}-{name}", package.name.name);
        let taken = self.mirror.types.contains_key(&first);
        Some(if taken { format!("{}-{}-{name}", package.name.name, interface.name.as_deref()?) } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_has_every_kind_and_what_the_contract_reaches() {
        let mirror = Mirror::read(&crate::repo::root().unwrap().join("wit")).unwrap();
        let mut resolve = Resolve::default();
        let wit = mirror.wit();
        resolve.push_str("mirror.wit", &wit).unwrap_or_else(|error| panic!("{error:#}\n{wit}"));
        for name in ["host-allowance", "host-level", "host-input", "host-output", "host-failure", "http-error-code"] {
            assert!(mirror.types.contains_key(name), "{name}");
            assert!(mirror.echoes.iter().any(|(_, ty)| *ty == Ty::Named(name.to_owned())), "{name}");
        }
        let names: BTreeSet<_> = mirror.echoes.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), mirror.echoes.len());
        assert!(mirror.echoes.len() > 60, "{}", mirror.echoes.len());
    }
}
