//! The guest of the mirror's world in each language: `echo` gives back what it got, and `bounce` what the outside gives.

use anyhow::{Context as _, Result, bail};

use super::world::{Mirror, Shape, Ty};
use crate::guests::experiment::Experiment;

/// The files of the guest in one language.
pub(super) fn sources(experiment: &Experiment, mirror: &Mirror, language: &str) -> Result<Vec<(String, String)>> {
    let file = |path: &str, text: String| (path.to_owned(), text);
    Ok(match language {
        "rust" => vec![
            file("src/lib.rs", rust(mirror, &experiment.wit().display().to_string())),
            file("Cargo.toml", experiment.cargo_manifest("mirror-rust")?),
        ],
        "c" => vec![file("mirror.c", c(mirror, &experiment.c_header("sandbox-pure")?)?)],
        "zig" => vec![file("main.zig", zig(mirror, &experiment.c_header("sandbox-pure")?)?)],
        "go" => {
            experiment.go_stubs("sandbox-pure")?.into_iter().map(|(path, text)| (path, go(mirror, &text))).collect()
        }
        "js" | "js-quickjs" => vec![file("mirror.js", script(mirror))],
        "ts" => vec![
            file("mirror.ts", typed(&script(mirror))),
            file("tsconfig.json", std::fs::read_to_string(experiment.sources("ts", "redact").join("tsconfig.json"))?),
        ],
        "python" => vec![file("app.py", python(mirror))],
        other => bail!("there is no template for `{other}`"),
    })
}

fn camel(name: &str, first: bool) -> String {
    let mut text = String::new();
    for (n, part) in name.split('-').enumerate() {
        let mut chars = part.chars();
        if n == 0 && !first {
            text.push_str(part);
        } else if let Some(c) = chars.next() {
            text.extend(c.to_uppercase());
            text.push_str(chars.as_str());
        }
    }
    text
}

fn snake(name: &str) -> String {
    name.replace('-', "_")
}

fn rust(mirror: &Mirror, wit: &str) -> String {
    let mut text = format!(
        "#![allow(warnings)]\nwit_bindgen::generate!({{ path: {wit:?}, world: \"sandbox-pure\" }});\n\
         use demo::mirror::{{outside, types::*}};\nstruct Guest;\n\
         impl exports::demo::mirror::mirror::Guest for Guest {{\n"
    );
    for (name, ty) in &mirror.echoes {
        let (function, shown) = (snake(name), rust_type(ty));
        text += &format!("    fn echo_{function}(value: {shown}) -> {shown} {{ value }}\n");
        let lent = rust_lent(mirror, ty, "value", false);
        text +=
            &format!("    fn bounce_{function}(value: {shown}) -> {shown} {{ outside::give_{function}({lent}) }}\n");
    }
    text + "}\nexport!(Guest);\n"
}

fn rust_type(ty: &Ty) -> String {
    let part = |ty: &Option<Box<Ty>>| ty.as_ref().map_or("()".to_owned(), |ty| rust_type(ty));
    match ty {
        Ty::Plain("string") => "String".to_owned(),
        Ty::Plain(name) => match name.strip_prefix('s') {
            Some(bits) => format!("i{bits}"),
            None => (*name).to_owned(),
        },
        Ty::Named(name) => camel(name, true),
        Ty::List(ty) => format!("Vec<{}>", rust_type(ty)),
        Ty::Option(ty) => format!("Option<{}>", rust_type(ty)),
        Ty::Result(ok, err) => format!("Result<{}, {}>", part(ok), part(err)),
        Ty::Tuple(types) => format!("({},)", types.iter().map(rust_type).collect::<Vec<_>>().join(", ")),
    }
}

/// A value as imports take it: by reference what is on the heap.
fn rust_lent(mirror: &Mirror, ty: &Ty, value: &str, is_reference: bool) -> String {
    let copied = if is_reference { format!("*{value}") } else { value.to_owned() };
    if !on_heap(mirror, ty) {
        return copied;
    }
    let closure = |ty: &Option<Box<Ty>>| match ty {
        Some(ty) => format!("|v| {}", rust_lent(mirror, ty, "v", true)),
        None => "|_| ()".to_owned(),
    };
    match ty {
        Ty::Plain(_) => format!("{value}.as_str()"),
        Ty::List(_) => format!("{value}.as_slice()"),
        Ty::Option(ty) => format!("{value}.as_ref().map(|v| {})", rust_lent(mirror, ty, "v", true)),
        Ty::Result(ok, err) => {
            // A type that stands for an error somewhere is lent where anything is, even one that could be copied.
            let lent = err.as_ref().is_some_and(|err| matches!(**err, Ty::Named(_)));
            let err = if lent { "|v| v".to_owned() } else { closure(err) };
            format!("{value}.as_ref().map({}).map_err({err})", closure(ok))
        }
        Ty::Tuple(types) => {
            let parts = types.iter().enumerate().map(|(n, ty)| rust_lent(mirror, ty, &format!("{value}.{n}"), false));
            format!("({},)", parts.collect::<Vec<_>>().join(", "))
        }
        Ty::Named(_) if is_reference => value.to_owned(),
        Ty::Named(_) => format!("&{value}"),
    }
}

fn on_heap(mirror: &Mirror, ty: &Ty) -> bool {
    let part = |ty: &Option<Box<Ty>>| ty.as_ref().is_some_and(|ty| on_heap(mirror, ty));
    match ty {
        Ty::Plain(name) => *name == "string",
        Ty::List(_) => true,
        Ty::Option(ty) => on_heap(mirror, ty),
        Ty::Result(ok, err) => part(ok) || part(err),
        Ty::Tuple(types) => types.iter().any(|ty| on_heap(mirror, ty)),
        Ty::Named(name) => match mirror.types.get(name) {
            Some(Shape::Record(fields)) => fields.iter().any(|(_, ty)| on_heap(mirror, ty)),
            Some(Shape::Variant(cases)) => cases.iter().filter_map(|(_, ty)| ty.as_ref()).any(|ty| on_heap(mirror, ty)),
            _ => false,
        },
    }
}

/// A function's declaration in the C header: what it returns, and its parameters as type and name.
struct Declared {
    returns: String,
    params: Vec<(String, String)>,
}

fn declared(header: &str, name: &str) -> Result<Declared> {
    let wanted = format!(" {name}(");
    let line = header.lines().find(|line| line.contains(&wanted) && line.ends_with(");"));
    let line = line.with_context(|| format!("the header has no `{name}`"))?;
    let (returns, rest) = line.split_once(&wanted).context("a declaration has no name")?;
    let params = rest.trim_end_matches(");").split(", ").filter_map(|param| {
        let at = param.rfind([' ', '*'])? + 1;
        Some((param.get(..at)?.trim().to_owned(), param.get(at..)?.to_owned()))
    });
    Ok(Declared { returns: returns.to_owned(), params: params.collect() })
}

impl Declared {
    fn first(&self) -> &str {
        self.params.first().map_or("", |(_, name)| name)
    }

    fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(_, param)| param == name)
    }

    /// The parameters, handed on. A result that holds one of our types has a name in each interface, so where it is
    /// pointed at, the pointer is made one to the other interface's type by `cast`.
    fn names(&self, cast: &str) -> String {
        let name =
            |(ty, name): &(String, String)| if ty.ends_with('*') { cast.replace('_', name) } else { name.clone() };
        self.params.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

fn c(mirror: &Mirror, header: &str) -> Result<String> {
    let mut text = String::from("#include \"sandbox_pure.h\"\n");
    for (name, ty) in &mirror.echoes {
        for function in ["echo", "bounce"] {
            let full = format!("exports_demo_mirror_mirror_{function}_{}", snake(name));
            let of = declared(header, &full)?;
            let value = of.first();
            let body = if function == "bounce" {
                let back = if of.returns == "void" { "" } else { "return " };
                format!("{back}demo_mirror_outside_give_{}({});", snake(name), of.names("(void *)_"))
            } else {
                match ty {
                    Ty::Option(_) => {
                        format!("if ({value} == nullptr) return false; *ret = *{value}; return true;")
                    }
                    Ty::Result(..) => {
                        let err = if of.has("err") { format!("*err = {value}->val.err; ") } else { String::new() };
                        let ok = if of.has("ret") { format!("*ret = {value}->val.ok; ") } else { String::new() };
                        format!("if ({value}->is_err) {{ {err}return false; }} {ok}return true;")
                    }
                    _ if of.has("ret") => format!("*ret = *{value};"),
                    _ => format!("return {value};"),
                }
            };
            let params: Vec<_> = of.params.iter().map(|(ty, name)| format!("{ty} {name}")).collect();
            text += &format!("{} {full}({}) {{ {body} }}\n", of.returns, params.join(", "));
        }
    }
    Ok(text)
}

fn zig(mirror: &Mirror, header: &str) -> Result<String> {
    fn zig_type(ty: &str, is_optional: bool) -> String {
        if let Some(pointee) = ty.strip_suffix('*') {
            return format!("{}*{}", if is_optional { "?" } else { "" }, zig_type(pointee.trim(), false));
        }
        match ty {
            "bool" | "void" => ty.to_owned(),
            "float" => "f32".to_owned(),
            "double" => "f64".to_owned(),
            _ => match ty.strip_suffix("_t").and_then(|ty| ty.split_once("int")) {
                Some(("u", bits)) if bits.parse::<u8>().is_ok() => format!("u{bits}"),
                Some(("", bits)) if bits.parse::<u8>().is_ok() => format!("i{bits}"),
                _ => format!("bindings.{ty}"),
            },
        }
    }
    let mut text = String::from("const bindings = @import(\"bindings\");\n");
    for (name, ty) in &mirror.echoes {
        for function in ["echo", "bounce"] {
            let full = format!("exports_demo_mirror_mirror_{function}_{}", snake(name));
            let of = declared(header, &full)?;
            let value = of.first();
            let body = if function == "bounce" {
                format!("return bindings.demo_mirror_outside_give_{}({});", snake(name), of.names("@ptrCast(_)"))
            } else {
                match ty {
                    Ty::Option(_) => format!("ret.* = ({value} orelse return false).*; return true;"),
                    Ty::Result(..) => {
                        let err = if of.has("err") { format!("err.* = {value}.val.err; ") } else { String::new() };
                        let ok = if of.has("ret") { format!("ret.* = {value}.val.ok; ") } else { String::new() };
                        format!("if ({value}.is_err) {{ {err}return false; }} {ok}return true;")
                    }
                    _ if of.has("ret") => format!("ret.* = {value}.*;"),
                    _ => format!("return {value};"),
                }
            };
            let params =
                of.params.iter().map(|(ty, name)| format!("{name}: {}", zig_type(ty, name.starts_with("maybe"))));
            let params = params.collect::<Vec<_>>().join(", ");
            text += &format!("export fn {full}({params}) {} {{ {body} }}\n", zig_type(&of.returns, false));
        }
    }
    Ok(text)
}

/// The generator's stubs with bodies.
fn go(mirror: &Mirror, stubs: &str) -> String {
    let mut text = String::new();
    // A function that returns a tuple returns its parts.
    let parts = |function: &str| {
        let is = |(name, _): &&(String, Ty)| camel(&format!("echo-{name}"), true) == function;
        match mirror.echoes.iter().find(is) {
            Some((_, Ty::Tuple(types))) => {
                (0..types.len()).map(|n| format!("_value.F{n}")).collect::<Vec<_>>().join(", ")
            }
            _ => "_value".to_owned(),
        }
    };
    let mut function = "";
    for line in stubs.lines() {
        if let Some(rest) = line.strip_prefix("func ") {
            function = rest.split('(').next().unwrap_or_default();
        }
        if line.trim_start().starts_with("panic(") {
            text += &match function.strip_prefix("Bounce") {
                Some(name) => format!("\treturn demo_mirror_outside.Give{name}(_value)\n"),
                None => format!("\treturn {}\n", parts(function)),
            };
        } else {
            text += line;
            text.push('\n');
        }
    }
    if text.contains("demo_mirror_outside.") && !text.contains("\"wit_component/demo_mirror_outside\"") {
        text = text.replacen("import (", "import (\n\t\"wit_component/demo_mirror_outside\"", 1);
    }
    text
}

fn script(mirror: &Mirror) -> String {
    let names: Vec<_> = mirror.echoes.iter().map(|(name, _)| camel(&format!("give-{name}"), false)).collect();
    let mut text =
        format!("import {{ {} }} from \"demo:mirror/outside\";\n\nexport const mirror = {{\n", names.join(", "));
    for ((name, ty), give) in mirror.echoes.iter().zip(&names) {
        let (echo, bounce) = (camel(&format!("echo-{name}"), false), camel(&format!("bounce-{name}"), false));
        if matches!(ty, Ty::Result(..)) {
            // What is an error in WIT is thrown, and comes from outside with the value in it.
            text += &format!("  {echo}(value) {{ if (value.tag === \"err\") throw value.val; return value.val; }},\n");
            text += &format!(
                "  {bounce}(value) {{ try {{ return {give}(value); }} catch (error) {{ throw error !== null && typeof \
                 error === \"object\" && \"payload\" in error ? error.payload : error; }} }},\n"
            );
        } else {
            text += &format!("  {echo}(value) {{ return value; }},\n  {bounce}(value) {{ return {give}(value); }},\n");
        }
    }
    text + "};\n"
}

/// The same in TypeScript, where the interface says what the types are.
fn typed(script: &str) -> String {
    script.replace("\n};\n", "\n} satisfies typeof import(\"demo:mirror/mirror\");\n")
}

fn python(mirror: &Mirror) -> String {
    let mut text = String::from(
        "from componentize_py_types import Err\nfrom wit_world import exports\nfrom wit_world.imports import outside\n\n\n\
         class Mirror(exports.Mirror):\n",
    );
    for (name, ty) in &mirror.echoes {
        let name = snake(name);
        let echo = if matches!(ty, Ty::Result(..)) {
            "        if isinstance(value, Err):\n            raise value\n        return value.value\n"
        } else {
            "        return value\n"
        };
        text += &format!("    def echo_{name}(self, value):\n{echo}\n");
        text += &format!("    def bounce_{name}(self, value):\n        return outside.give_{name}(value)\n\n");
    }
    text
}
