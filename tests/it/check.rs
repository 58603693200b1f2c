//! `host check`: reports on components that are wrong in known ways, and agreement with two oracles about components that
//! are made at random: the validator's rule of subtypes, and the linker with the host's real functions.

use std::path::Path;

use host::contract::{self, Severity, Target};
use host::policy::Policy;
use host::{Host, World};
use serde::Deserialize;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{Handle, ManglingAndAbi, Resolve, Type, TypeDefKind, WorldId, WorldItem};

use crate::support::root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrongs {
    base: String,
    wrong: Vec<Wrong>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    name: String,
    edits: Vec<(String, String)>,
    /// How many faults there are, where it is more than one.
    #[serde(default)]
    faults: usize,
}

/// A component of a world that does nothing: every function of it traps.
fn component(resolve: &Resolve, world: WorldId) -> Option<Vec<u8>> {
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).ok()?;
    ComponentEncoder::default().validate(true).module(&module).ok()?.encode().ok()
}

fn parsed(text: &str, world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("shop.wit", text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    (resolve, world)
}

#[test]
fn wrong_components_get_reports_that_say_what_to_change() {
    let folder = root().join("tests/contract");
    let wrongs: Wrongs = toml::from_str(&std::fs::read_to_string(folder.join("wrong.toml")).unwrap()).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let base = temporary.path().join("shop.wit");
    std::fs::write(&base, &wrongs.base).unwrap();
    let mut wrong = Vec::new();
    let (mut several, mut codes) = (0, std::collections::BTreeSet::new());
    for case in &wrongs.wrong {
        let mut text = wrongs.base.clone();
        for (from, to) in &case.edits {
            assert!(text.contains(from), "{}: there is no `{from}` in the base", case.name);
            text = text.replacen(from, to, 1);
        }
        let (resolve, world) = parsed(&text, "shop");
        let bytes = component(&resolve, world).unwrap_or_else(|| panic!("{} can't be built", case.name));
        let (target, target_world) = parsed(&wrongs.base, "shop");
        let report = contract::check(&bytes, &Target::new("shop", target, target_world), None);
        assert!(!report.fits, "{}", case.name);
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
        codes.extend(errors.clone().map(|finding| finding.code));
        if case.faults > 1 {
            several += 1;
            assert_eq!(errors.count(), case.faults, "{}: {:#?}", case.name, report.findings);
        }
        let file = temporary.path().join("shop.wasm");
        std::fs::write(&file, bytes).unwrap();
        let seen = run(&base, &file, temporary.path());
        let golden = folder.join("wrong").join(format!("{}.txt", case.name));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &seen).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != seen {
            wrong.push(format!("--- {}\n{seen}", case.name));
        }
    }
    assert!(wrongs.wrong.len() >= 20 && several >= 5, "{} {several}", wrongs.wrong.len());
    assert!(codes.len() >= 13, "{codes:?}");
    assert!(wrong.is_empty(), "run with `BLESS=1` to accept:\n{}", wrong.join("\n"));
}

fn run(base: &Path, file: &Path, folder: &Path) -> String {
    let output = crate::support::host()
        .args(["check", "--world", &format!("{}:shop", base.display())])
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace(&format!("{}/", folder.display()), "")
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

const PRIMITIVES: &[&str] = &["bool", "u8", "u32", "s64", "f32", "f64", "char", "string"];

/// A type that may use names that were declared before.
fn random_type(dice: &mut Dice, names: &[String], depth: usize) -> String {
    if depth == 0 || dice.below(3) == 0 {
        return (*dice.pick(PRIMITIVES)).to_owned();
    }
    if !names.is_empty() && dice.below(2) == 0 {
        return dice.pick(names).clone();
    }
    let mut inner = || random_type(dice, names, depth - 1);
    let (a, b) = (inner(), inner());
    match dice.below(5) {
        0 => format!("option<{a}>"),
        1 => format!("list<{a}>"),
        2 => format!("result<{a}, {b}>"),
        3 => format!("tuple<{a}, {b}>"),
        _ => format!("result<_, {a}>"),
    }
}

/// An interface whose every type is passed by a function.
fn random_interface(dice: &mut Dice, name: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut text = format!("interface {name} {{\n");
    for n in 0..2 + dice.below(4) {
        let ty = format!("t{n}");
        let (a, b) = (random_type(dice, &names, 2), random_type(dice, &names, 2));
        text += &match dice.below(5) {
            0 => format!("  record {ty} {{ a: {a}, b: {b}, c: u8 }}\n"),
            1 => format!("  variant {ty} {{ a({a}), b, c({b}) }}\n"),
            2 => format!("  enum {ty} {{ a, b, c }}\n"),
            3 => format!("  flags {ty} {{ a, b, c }}\n"),
            _ => format!("  record {ty} {{ only: {a} }}\n"),
        };
        text += &format!("  f{n}: func(x: {ty}, y: {a}) -> {ty};\n");
        names.push(ty);
    }
    if dice.below(2) == 0 {
        text += "  resource r { constructor(n: u32); get: func() -> u32; }\n";
        text += "  keep: func(r: r);\n  lend: func(r: borrow<r>);\n";
    }
    text + "}\n"
}

fn random_world(dice: &mut Dice) -> String {
    let mut text = "package a:b@0.1.0;\n".to_owned();
    text += &random_interface(dice, "one");
    text += &random_interface(dice, "two");
    text += &random_interface(dice, "three");
    text + "world w { import one; import two; import plain: func(a: u32) -> string; export three; export run: func(); }"
}

/// Changes something. Not every change makes a difference, and not every result can be built.
fn mutate(dice: &mut Dice, resolve: &mut Resolve, world: WorldId) {
    match dice.below(8) {
        0..5 => {
            let ids: Vec<_> = resolve.types.iter().map(|(id, _)| id).collect();
            let id = *dice.pick(&ids);
            let renamed = format!("z{}", dice.below(9));
            let primitive = *dice.pick(&[Type::U16, Type::String, Type::F64, Type::Bool]);
            let which = dice.below(4);
            match &mut resolve.types[id].kind {
                TypeDefKind::Record(record) if record.fields.len() > 1 => match which {
                    0 => record.fields.swap(0, 1),
                    1 => record.fields[0].name = renamed,
                    2 => drop(record.fields.pop()),
                    _ => record.fields[1].ty = primitive,
                },
                TypeDefKind::Record(record) => record.fields[0].ty = primitive,
                TypeDefKind::Variant(variant) => match which {
                    0 => variant.cases.swap(0, 1),
                    1 => variant.cases[0].name = renamed,
                    2 if variant.cases.len() > 1 => drop(variant.cases.pop()),
                    _ => {
                        let case = &mut variant.cases[0];
                        case.ty = if case.ty.is_some() { None } else { Some(primitive) };
                    }
                },
                TypeDefKind::Enum(cases) => match which {
                    0 if cases.cases.len() > 1 => cases.cases.swap(0, 1),
                    1 => cases.cases[0].name = renamed,
                    _ if cases.cases.len() > 1 => drop(cases.cases.pop()),
                    _ => {}
                },
                TypeDefKind::Flags(flags) => match which {
                    0 if flags.flags.len() > 1 => flags.flags.swap(0, 1),
                    1 => flags.flags[0].name = renamed,
                    _ if flags.flags.len() > 1 => drop(flags.flags.pop()),
                    _ => {}
                },
                TypeDefKind::Option(ty) | TypeDefKind::List(ty) => *ty = primitive,
                TypeDefKind::Tuple(tuple) => tuple.types.push(primitive),
                TypeDefKind::Result(result) => std::mem::swap(&mut result.ok, &mut result.err),
                TypeDefKind::Handle(handle) => {
                    *handle = match *handle {
                        Handle::Own(id) => Handle::Borrow(id),
                        Handle::Borrow(id) => Handle::Own(id),
                    };
                }
                _ => {}
            }
        }
        5 | 6 => {
            let ids: Vec<_> = resolve.interfaces.iter().map(|(id, _)| id).collect();
            let id = *dice.pick(&ids);
            let interface = &mut resolve.interfaces[id];
            if interface.functions.is_empty() {
                return;
            }
            let at = dice.below(interface.functions.len());
            match dice.below(5) {
                0 => drop(interface.functions.shift_remove_index(at)),
                1 => {
                    let (_, mut function) = interface.functions.shift_remove_index(at).unwrap();
                    if matches!(function.kind, wit_parser::FunctionKind::Freestanding) {
                        function.name = "renamed".to_owned();
                    }
                    interface.functions.insert(function.name.clone(), function);
                }
                2 => {
                    if let Some(param) = interface.functions[at].params.last_mut() {
                        param.name = "other".to_owned();
                    }
                }
                3 => drop(interface.functions[at].params.pop()),
                _ => interface.functions[at].result = None,
            }
        }
        _ => {
            let world = &mut resolve.worlds[world];
            let at = dice.below(world.exports.len() + 1);
            match world.exports.get_index(at).map(|(key, item)| (key.clone(), item.clone())) {
                // Something exported is asked for instead, or is left out.
                Some((key, item)) if dice.below(2) == 0 => {
                    world.exports.shift_remove(&key);
                    if !matches!(item, WorldItem::Type { .. }) {
                        world.imports.insert(key, item);
                    }
                }
                Some((key, _)) => drop(world.exports.shift_remove(&key)),
                None => drop(world.imports.pop()),
            }
        }
    }
}

/// Our verdict without any finding is the validator's verdict.
#[test]
fn random_components_fit_where_the_validator_says_so() {
    let mut dice = Dice(7);
    let (mut pairs, mut fit) = (0, 0);
    while pairs < 600 {
        let text = random_world(&mut dice);
        let (target, target_world) = parsed(&text, "w");
        for _ in 0..4 {
            let (mut resolve, world) = parsed(&text, "w");
            for _ in 0..dice.below(3) {
                mutate(&mut dice, &mut resolve, world);
            }
            let Some(bytes) = component(&resolve, world) else { continue };
            let oracle = wit_component::targets(&target, target_world, &bytes);
            let report = contract::check(&bytes, &Target::new("w", target.clone(), target_world), None);
            assert_eq!(
                report.findings.is_empty(),
                oracle.is_ok(),
                "{:#?}\nthe validator: {oracle:?}\nthe world: {text}\nthe component: {}",
                report.findings,
                wit(&resolve, world),
            );
            pairs += 1;
            fit += usize::from(oracle.is_ok());
        }
    }
    // Neither verdict is the rule, so agreement means something.
    assert!((100..500).contains(&fit), "{fit} of {pairs} fit");
}

/// Our verdict is the linker's, which has the host's real functions and their types.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn random_guests_fit_where_the_host_loads_them() {
    let host: Host = Host::new().unwrap();
    let mut dice = Dice(11);
    let (mut pairs, mut fit) = (0, 0);
    while pairs < 60 {
        let name = if dice.below(4) == 0 { "sandbox" } else { "sandbox-pure" };
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
        let world = resolve.select_world(&[package], Some(name)).unwrap();
        match dice.below(6) {
            0 => resolve.packages[package].name.version.as_mut().unwrap().patch = 7,
            1 if name == "sandbox-pure" => resolve.packages[package].name.version.as_mut().unwrap().minor = 2,
            _ => {}
        }
        for _ in 0..dice.below(3) {
            mutate(&mut dice, &mut resolve, world);
        }
        let Some(bytes) = component(&resolve, world) else { continue };
        let loaded = host.load(bytes.clone(), &Policy::default()).await;
        let runs = loaded.as_ref().is_ok_and(|component| component.facts().world == World::Sandbox);
        let report = contract::check(&bytes, &Target::built_in("sandbox").unwrap(), None);
        let said = loaded.err().map(|stop| stop.message);
        assert_eq!(report.fits, runs, "{:#?}\nthe host: {said:?}\n{}", report.findings, wit(&resolve, world));
        pairs += 1;
        fit += usize::from(runs);
    }
    assert!((15..55).contains(&fit), "{fit} of {pairs} fit");
}

fn wit(resolve: &Resolve, world: WorldId) -> String {
    let mut printer = wit_component::WitPrinter::default();
    let package = resolve.worlds[world].package.unwrap();
    printer.print(resolve, package, &[]).unwrap();
    printer.output.to_string()
}

/// A component in binary that imports so many functions, and after them a type's worth of nothing.
fn many_imports(count: usize) -> Vec<u8> {
    let number = |mut n: usize| {
        let mut bytes = Vec::new();
        while n > 127 {
            bytes.push((n & 127) as u8 | 128);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    };
    let mut imports = number(count);
    for n in 0..count {
        let name = format!("f{n}");
        imports.extend([&[0][..], &number(name.len()), name.as_bytes(), &[1, 0]].concat());
    }
    let functions = [1, 0x40, 0, 1, 0];
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for (section, contents) in [(7, &functions[..]), (10, &imports)] {
        bytes.extend([&[section][..], &number(contents.len()), contents].concat());
    }
    bytes
}

/// That a hundred thousand imports are checked at all within the test's patience is what shows that the time is linear.
#[test]
fn findings_are_cut_at_five_hundred_and_the_report_says_so() {
    let target = Target::built_in("sandbox").unwrap();
    for (imports, truncated) in [(499, false), (500, true), (100_000, true)] {
        // One finding is the export that is missing.
        let report = contract::check(&many_imports(imports), &target, None);
        let found = report.findings.len();
        assert_eq!((report.fits, found, report.truncated), (false, 500, truncated), "{imports}");
        assert_eq!(serde_json::to_value(&report).unwrap()["truncated"], truncated);
    }
}

/// Warnings have room of their own, so that a component which doesn't fit can't hide it behind them.
#[test]
fn no_number_of_warnings_hides_an_error() {
    let many = |names: &dyn Fn(usize) -> String| (0..600).map(names).collect::<String>();
    let types = many(&|n| format!("type t{n} = u8; "));
    let text = format!("package demo:shop; world shop {{ {types} import wrong: func(); }} world other {{ }}");
    let (resolve, world) = parsed(&text, "shop");
    let (target, other) = parsed(&text, "other");
    let bytes = component(&resolve, world).unwrap();
    let report = contract::check(&bytes, &Target::new("other", target, other), None);
    assert!(!report.fits && report.findings[0].place == "import wrong", "{:?}", report.findings.first());
}
