//! Calling any exported function by name: the text of a call to a function of the component and its typed arguments.
//!
//! Threat model: the text is the caller's and may be hostile too: its nesting is bounded before it is parsed, and
//! every value is checked against the component's own types before the guest starts. Resources are refused, since a
//! handle has no text form and nothing could be done with one after the call.

use std::fmt::Write as _;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::DisplayType;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Type, Val};

use crate::outcome::{Refusal, Stop};
use crate::text::{Bounded, escape};

/// Brackets that a call's text may nest.
const MAX_DEPTH: usize = 64;

/// Parts of a type that are gone through, counted as often as they are used.
const MAX_TYPES: u32 = 100_000;

/// Bytes of a signature that are shown.
const MAX_SIGNATURE: usize = 2000;

/// A call that fits the component: which function, and its arguments.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    pub(crate) interface: Option<String>,
    pub(crate) name: String,
    pub(crate) args: Vec<Val>,
    pub(crate) results: usize,
}

/// A function that a component exports or imports.
pub(crate) struct Function {
    pub(crate) interface: Option<String>,
    pub(crate) name: String,
    pub(crate) ty: ComponentFunc,
}

impl FunctionCall {
    /// Reads `[ns:pkg/]iface#func(args)` or `func(args)` with arguments in WAVE, and checks it against a component.
    ///
    /// # Errors
    /// `refused.call`, with the signature that was expected or the functions that there are.
    pub(crate) fn read(text: &str, component: &Component, engine: &Engine) -> Result<Self, Stop> {
        let (path, args) = text.split_at(text.find('(').unwrap_or(text.len()));
        let args = if args.is_empty() { "()" } else { args };
        bounded(args)?;
        let function = find(path.trim(), functions(component, engine))?;
        let refuse = |message: String| {
            let signature = function.signature();
            Stop::refused(Refusal::Call, message, format!("the signature is `{signature}`, with arguments in WAVE"))
        };
        for (name, ty) in function.ty.params() {
            if let Some(what) = unsupported(&ty) {
                return Err(refuse(format!("the parameter `{name}` has {what}")));
            }
        }
        for ty in function.ty.results() {
            if let Some(what) = unsupported(&ty) {
                return Err(refuse(format!("the result has {what}")));
            }
        }
        let source = format!("f{args}");
        let call = UntypedFuncCall::parse(&source)
            .map_err(|error| refuse(format!("the arguments don't parse: {}", at(&error.to_string()))))?;
        let types: Vec<Type> = function.ty.params().map(|(_, ty)| ty).collect();
        let values = call
            .to_wasm_params::<Val>(types.iter())
            .map_err(|error| refuse(format!("the arguments don't fit: {}", at(&error.to_string()))))?;
        unknown_fields(&call, &types).map_err(&refuse)?;
        Ok(Self {
            interface: function.interface,
            name: function.name,
            args: values,
            results: function.ty.results().len(),
        })
    }

    /// The function's full name, as receipts say it.
    pub(crate) fn path(&self) -> String {
        full_name(self.interface.as_deref(), &self.name)
    }
}

impl Function {
    pub(crate) fn path(&self) -> String {
        full_name(self.interface.as_deref(), &self.name)
    }

    /// Whether a value of one of its types has no text form, so that it can't be called or answered in text.
    pub(crate) fn has_text_form(&self) -> bool {
        let params = self.ty.params().map(|(_, ty)| ty);
        params.chain(self.ty.results()).all(|ty| unsupported(&ty).is_none())
    }

    /// The signature in WIT. A small component can have types whose text would fill all memory, so it is bounded.
    pub(crate) fn signature(&self) -> String {
        let params = self.ty.params().map(|(_, ty)| ty);
        if params.chain(self.ty.results()).any(|ty| unsupported(&ty).is_some()) {
            return format!("{}: func(…)", escape(&self.name));
        }
        let mut text = Bounded::new(MAX_SIGNATURE);
        // An error is the bound, and what came before it is what is wanted.
        let _ = self.write_signature(&mut text);
        escape(&text.text)
    }

    fn write_signature(&self, text: &mut Bounded) -> std::fmt::Result {
        write!(text, "{}: func(", self.name)?;
        for (n, (name, ty)) in self.ty.params().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(text, "{comma}{name}: {}", DisplayType(&ty))?;
        }
        write!(text, ")")?;
        self.ty.results().try_for_each(|ty| write!(text, " -> {}", DisplayType(&ty)))
    }

    /// Whether a path means this function: the whole name, the interface without its version or package, or the bare
    /// function name.
    pub(crate) fn is_meant(&self, path: &str) -> bool {
        let Some((wanted, name)) = path.rsplit_once('#') else { return path == self.name };
        let Some(interface) = &self.interface else { return false };
        let unversioned = interface.split_once('@').map_or(interface.as_str(), |(name, _)| name);
        let short = unversioned.rsplit_once('/').map_or(unversioned, |(_, short)| short);
        name == self.name && [interface.as_str(), unversioned, short].contains(&wanted)
    }
}

/// A function's name with its interface's before it, where it has one.
fn full_name(interface: Option<&str>, name: &str) -> String {
    interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"))
}

/// The functions that a component exports.
pub(crate) fn functions(component: &Component, engine: &Engine) -> Vec<Function> {
    let ty = component.component_type();
    collect(ty.exports(engine).map(|(name, item)| (name, item.ty)), engine)
}

/// The functions that a component imports.
pub(crate) fn imported(component: &Component, engine: &Engine) -> Vec<Function> {
    let ty = component.component_type();
    collect(ty.imports(engine).map(|(name, item)| (name, item.ty)), engine)
}

fn collect<'n>(items: impl Iterator<Item = (&'n str, ComponentItem)>, engine: &Engine) -> Vec<Function> {
    let mut functions = Vec::new();
    for (export, item) in items {
        match item {
            ComponentItem::ComponentFunc(ty) => {
                functions.push(Function { interface: None, name: export.to_owned(), ty });
            }
            ComponentItem::ComponentInstance(instance) => {
                for (name, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(ty) = item.ty {
                        functions.push(Function { interface: Some(export.to_owned()), name: name.to_owned(), ty });
                    }
                }
            }
            _ => {}
        }
    }
    functions
}

pub(crate) fn find(path: &str, functions: Vec<Function>) -> Result<Function, Stop> {
    let names = |functions: &[Function]| {
        let shown: Vec<String> = functions.iter().take(20).map(|f| format!("`{}`", escape(&f.path()))).collect();
        let more = functions.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    if functions.is_empty() {
        let message = "the component exports no function that can be called by name";
        return Err(Stop::refused(Refusal::Call, message, "`host inspect` shows what it exports"));
    }
    let all = names(&functions);
    let mut meant: Vec<Function> = functions.into_iter().filter(|function| function.is_meant(path)).collect();
    match meant.len() {
        0 => Err(Stop::refused(
            Refusal::Call,
            format!("the component exports no function `{}`", escape(path)),
            format!("it exports {all}"),
        )),
        1 => Ok(meant.remove(0)),
        _ => Err(Stop::refused(
            Refusal::Call,
            format!("`{path}` is the name of {} functions", meant.len()),
            format!("say which: {}", names(&meant)),
        )),
    }
}

/// Refuses a text whose brackets nest too deeply: the parser is recursive.
fn bounded(text: &str) -> Result<(), Stop> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for c in text.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("the arguments nest deeper than {MAX_DEPTH} levels");
            return Err(Stop::refused(Refusal::Call, message, "no WIT type needs that many"));
        }
    }
    Ok(())
}

/// The parser's positions count from the `f` that stands in for the function's name.
fn at(message: &str) -> String {
    escape(message.lines().next().unwrap_or_default())
}

/// Whether values of a type have a text form.
pub(crate) fn has_text_form(ty: &Type) -> bool {
    unsupported(ty).is_none()
}

/// What of a type keeps it from being called by name.
fn unsupported(ty: &Type) -> Option<&'static str> {
    look(ty, &mut { MAX_TYPES })
}

/// Goes through a type. Types share their parts, so a small component can have one that takes for ever to go through;
/// `left` bounds that.
fn look(ty: &Type, left: &mut u32) -> Option<&'static str> {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return Some("a type with too many parts");
    }
    match ty {
        Type::Own(_) | Type::Borrow(_) => Some("a resource, which has no text form"),
        Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
            Some("a future, stream or error context, which has no text form")
        }
        Type::Map(_) => Some("a map, which has no text form"),
        Type::List(list) => look(&list.ty(), left),
        Type::FixedLengthList(list) => look(&list.ty(), left),
        Type::Record(record) => record.fields().find_map(|field| look(&field.ty, left)),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| look(&ty, left)),
        Type::Variant(variant) => variant.cases().find_map(|case| case.ty.as_ref().and_then(|ty| look(ty, left))),
        Type::Option(option) => look(&option.ty(), left),
        Type::Result(result) => [result.ok(), result.err()].iter().flatten().find_map(|ty| look(ty, left)),
        _ => None,
    }
}

/// Finds a record field that the type doesn't have. The parser drops those without a word, and a misspelt optional
/// field must not become its default.
fn unknown_fields(call: &UntypedFuncCall<'_>, types: &[Type]) -> Result<(), String> {
    let Some(params) = call.params_node() else { return Ok(()) };
    let source = call.source();
    let nodes = params.as_tuple().map_err(|error| error.to_string())?;
    for (node, ty) in nodes.zip(types) {
        check_fields(node, ty, source)?;
    }
    Ok(())
}

fn check_fields(node: &wasm_wave::ast::Node, ty: &Type, source: &str) -> Result<(), String> {
    match ty {
        Type::Record(record) => {
            // `{:}` is a record without fields, which the parser reads as such.
            let Ok(fields) = node.as_record(source) else { return Ok(()) };
            for (name, value) in fields {
                match record.fields().find(|field| field.name == name) {
                    Some(field) => check_fields(value, &field.ty, source)?,
                    None => return Err(format!("`{}` is no field of this record", escape(name))),
                }
            }
            Ok(())
        }
        Type::List(list) => check_items(node, &list.ty(), source),
        Type::FixedLengthList(list) => check_items(node, &list.ty(), source),
        Type::Tuple(tuple) => match node.as_tuple() {
            Ok(nodes) => nodes.zip(tuple.types()).try_for_each(|(node, ty)| check_fields(node, &ty, source)),
            Err(_) => Ok(()),
        },
        Type::Option(option) => match node.as_option() {
            Ok(Some(inner)) => check_fields(inner, &option.ty(), source),
            Ok(None) => Ok(()),
            // A value in place of `some(value)` is taken as one.
            Err(_) => check_fields(node, &option.ty(), source),
        },
        Type::Result(result) => match (node.as_result(), result.ok(), result.err()) {
            (Ok(Ok(Some(inner))), Some(ty), _) | (Ok(Err(Some(inner))), _, Some(ty)) => {
                check_fields(inner, &ty, source)
            }
            (Err(_), Some(ty), _) => check_fields(node, &ty, source),
            _ => Ok(()),
        },
        Type::Variant(variant) => match node.as_variant(source) {
            Ok((name, Some(inner))) => match variant.cases().find(|case| case.name == name).and_then(|case| case.ty) {
                Some(ty) => check_fields(inner, &ty, source),
                None => Ok(()),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_items(node: &wasm_wave::ast::Node, ty: &Type, source: &str) -> Result<(), String> {
    match node.as_list() {
        Ok(mut items) => items.try_for_each(|item| check_fields(item, ty, source)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        assert!(bounded(&format!("({}{})", "[".repeat(63), "]".repeat(63))).is_ok());
        assert!(bounded(&format!("({}{})", "[".repeat(64), "]".repeat(64))).is_err());
        assert!(bounded(&"(".repeat(1_000_000)).is_err());
        assert!(bounded(&format!("(\"{}\")", "(".repeat(1000))).is_ok());
        assert!(bounded(r#"("\"((((")"#).is_ok());
    }
}
