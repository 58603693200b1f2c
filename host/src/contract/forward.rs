//! A guest that passes calls on to the host's functions: with it, what a case answers for an import can be held against
//! what the host answers itself.
//!
//! For each function there is an export `fN` of the same type. Both sides of it have the same flat form in WebAssembly,
//! but for where a result in memory stands, so the body is a call. Handles can't be passed on: a resource that is
//! exported is another one.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{
    Function, Param, Resolve, Result_, Tuple, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, World, WorldId, WorldItem,
    WorldKey,
};

use super::target::Target;
use super::version;

/// A function of the host: its interface without a version, and its name.
pub(crate) type Path = (String, String);

/// A guest with an export for each of these functions, and under which names.
///
/// # Errors
/// The host has no such function, or it can't be passed on; in words.
pub(crate) fn forwarder(paths: impl Iterator<Item = Path>) -> Result<(Vec<u8>, BTreeMap<Path, String>), String> {
    let mut target = Target::built_in("imports").ok_or("the contract can't be read")?;
    let resolve = &mut target.resolve;
    let mut world = resolve.worlds.get(target.world).ok_or("the contract has no world")?.clone();
    world.name = "forward".to_owned();
    let offered = world.imports.clone();
    let world = resolve.worlds.alloc(world);
    let mut types = Types { resolve, world, named: HashMap::new() };
    let (mut module, mut names) = (String::from(MEMORY), BTreeMap::new());
    let mut imports = String::new();
    for (n, path) in paths.enumerate() {
        let (interface, function) = find(types.resolve, &offered, &path)?;
        let name = format!("f{n}");
        body(types.resolve, &interface, &function, &name, (&mut imports, &mut module));
        let params = function.params.iter().map(|param| Param { ty: types.own(param.ty), ..param.clone() }).collect();
        let result = function.result.map(|ty| types.own(ty));
        let export = WorldItem::Function(Function { name: name.clone(), params, result, ..function });
        types.world().ok_or("the contract has no world")?.exports.insert(WorldKey::Name(name.clone()), export);
        names.insert(path, name);
    }
    let Types { resolve, world, .. } = types;
    let text = format!("(module\n{imports}{module})");
    let wrong = |error: &dyn std::fmt::Display| format!("the guest that passes calls on can't be made: {error}");
    let mut module = wat::parse_str(&text).map_err(|error| wrong(&error))?;
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).map_err(|error| wrong(&error))?;
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(|error| wrong(&error));
    let component = encoder?.encode().map_err(|error| wrong(&format!("{error:#}")))?;
    Ok((component, names))
}

/// Memory that is never given back: the guest lives for one call.
const MEMORY: &str = "(memory (export \"memory\") 1)
(global $next (mut i32) (i32.const 16))
(func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
  (global.set $next (i32.add (local.get $at) (local.get 3)))
  (block $fits
    (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
    (br_if $fits (i32.ne (i32.const -1) (memory.grow
      (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16))))))
    (unreachable))
  (local.get $at))
";

/// Bytes for a result in memory: more than any function's of the contract has, which a test looks at.
const RESULT: u32 = 1024;

/// The world's own names for types of the interfaces that it imports: what a world exports may use no others.
struct Types<'r> {
    resolve: &'r mut Resolve,
    world: WorldId,
    named: HashMap<TypeId, TypeId>,
}

impl Types<'_> {
    fn world(&mut self) -> Option<&mut World> {
        self.resolve.worlds.get_mut(self.world)
    }

    /// The same type, in the world's own names.
    fn own(&mut self, ty: Type) -> Type {
        let Type::Id(id) = ty else { return ty };
        if let Some(own) = self.named.get(&id) {
            return Type::Id(*own);
        }
        let Some(definition) = self.resolve.types.get(id).cloned() else { return ty };
        let own = if definition.name.is_some() {
            let name = format!("t{}", self.named.len());
            let owner = TypeOwner::World(self.world);
            let kind = TypeDefKind::Type(ty);
            let own = self.resolve.types.alloc(TypeDef { name: Some(name.clone()), kind, owner, ..definition });
            if let Some(world) = self.world() {
                let item = WorldItem::Type { id: own, span: Default::default() };
                world.imports.insert(WorldKey::Name(name), item);
            }
            own
        } else {
            let kind = match definition.kind.clone() {
                TypeDefKind::List(ty) => TypeDefKind::List(self.own(ty)),
                TypeDefKind::Option(ty) => TypeDefKind::Option(self.own(ty)),
                TypeDefKind::Tuple(tuple) => {
                    TypeDefKind::Tuple(Tuple { types: tuple.types.into_iter().map(|ty| self.own(ty)).collect() })
                }
                TypeDefKind::Result(result) => TypeDefKind::Result(Result_ {
                    ok: result.ok.map(|ty| self.own(ty)),
                    err: result.err.map(|ty| self.own(ty)),
                }),
                other => other,
            };
            self.resolve.types.alloc(TypeDef { kind, ..definition })
        };
        self.named.insert(id, own);
        Type::Id(own)
    }
}

fn find(
    resolve: &Resolve,
    imports: &wit_parser::IndexMap<WorldKey, WorldItem>,
    (interface, function): &Path,
) -> Result<(String, Function), String> {
    for (key, item) in imports {
        let WorldItem::Interface { id, .. } = item else { continue };
        let name = super::check::name(resolve, key);
        if version::split(&name).0 == interface
            && let Some(found) = resolve.interfaces.get(*id).and_then(|interface| interface.functions.get(function))
        {
            return Ok((name, found.clone()));
        }
    }
    Err(format!("the host has no function `{interface}#{function}`"))
}

fn body(
    resolve: &Resolve,
    interface: &str,
    function: &Function,
    name: &str,
    (imports, module): (&mut String, &mut String),
) {
    let import = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let export = resolve.wasm_signature(AbiVariant::GuestExport, function);
    let list = |word: &str, types: &[WasmType]| match types {
        [] => String::new(),
        types => format!(" ({word} {})", types.iter().map(flat).collect::<Vec<_>>().join(" ")),
    };
    // Writing to a string can't fail.
    let _ = writeln!(
        imports,
        "(import \"{interface}\" \"{}\" (func ${name}{}{}))",
        function.name,
        list("param", &import.params),
        list("result", &import.results)
    );
    let params = list("param", &export.params);
    let _ = write!(module, "(func (export \"{name}\"){params}{} (local $at i32)", list("result", &export.results));
    if import.retptr {
        let zero = "(i32.const 0)";
        let _ = write!(module, "\n  (local.set $at (call $realloc {zero} {zero} (i32.const 8) (i32.const {RESULT})))");
    }
    let args: String = (0..export.params.len()).map(|n| format!(" (local.get {n})")).collect();
    let at = if import.retptr { " (local.get $at)" } else { "" };
    let _ = write!(module, "\n  (call ${name}{args}{at})");
    let _ = writeln!(module, "{})", if import.retptr { " (local.get $at)" } else { "" });
}

fn flat(ty: &WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

#[cfg(test)]
mod tests {
    use wit_parser::SizeAlign;

    use super::*;

    fn path(interface: &str, name: &str) -> Path {
        (interface.to_owned(), name.to_owned())
    }

    #[test]
    fn a_function_of_every_form_is_passed_on() {
        let paths = [
            path("sandbox:host/config", "get"),
            path("sandbox:host/log", "log"),
            path("wasi:random/random", "get-random-bytes"),
            path("wasi:clocks/wall-clock", "now"),
        ];
        let (component, names) = forwarder(paths.clone().into_iter()).unwrap();
        assert_eq!(names.get(&paths[1]).map(String::as_str), Some("f1"));
        assert!(wit_component::decode(&component).is_ok());
        assert!(forwarder([path("sandbox:host/config", "gett")].into_iter()).unwrap_err().contains("no function"));
    }

    /// Otherwise a result would be written over what comes after it.
    #[test]
    fn every_result_fits() {
        let target = Target::built_in("imports").unwrap();
        let mut sizes = SizeAlign::default();
        sizes.fill(&target.resolve);
        for (_, interface) in target.resolve.interfaces.iter() {
            for (name, function) in &interface.functions {
                let size = function.result.map_or(0, |ty| sizes.size(&ty).size_wasm32());
                assert!(size <= RESULT as usize, "{name}: {size}");
            }
        }
    }
}
