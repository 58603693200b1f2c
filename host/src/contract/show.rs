//! Types and functions as WIT text, cut where they get long: a small component can have types without end.

use std::fmt::{self, Write as _};

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind};

use crate::text::{Bounded, escape};

/// Bytes of a type or a signature that are shown.
const MAX: usize = 400;

/// A type in WIT. With `open` the type itself is written out where it has a name; the types in it go by their names.
pub(super) fn ty(resolve: &Resolve, ty: &Type, open: bool) -> String {
    let mut text = Bounded::new(MAX);
    // An error is the bound, and what came before it is what is wanted.
    let _ = write_type(&mut text, resolve, ty, open);
    escape(&text.text)
}

/// A function's signature in WIT.
pub(super) fn function(resolve: &Resolve, function: &Function) -> String {
    let mut text = Bounded::new(MAX);
    let _ = write_function(&mut text, resolve, function);
    escape(&text.text)
}

/// Names in backticks, one after another.
pub(super) fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut text = Bounded::new(MAX);
    for (n, name) in names.into_iter().enumerate() {
        if write!(text, "{}`{name}`", if n == 0 { "" } else { ", " }).is_err() {
            break;
        }
    }
    escape(&text.text)
}

fn write_function(text: &mut Bounded, resolve: &Resolve, function: &Function) -> fmt::Result {
    let word = if function.kind.is_async() { "async func" } else { "func" };
    write!(text, "{}: {word}(", function.item_name())?;
    // A method's first parameter is the resource, which its place says.
    let implied = usize::from(function.name.starts_with("[method]"));
    for (n, param) in function.params.iter().skip(implied).enumerate() {
        write!(text, "{}{}: ", if n == 0 { "" } else { ", " }, param.name)?;
        write_type(text, resolve, &param.ty, false)?;
    }
    text.write_str(")")?;
    match &function.result {
        Some(result) => {
            text.write_str(" -> ")?;
            write_type(text, resolve, result, false)
        }
        None => Ok(()),
    }
}

fn write_type(text: &mut Bounded, resolve: &Resolve, ty: &Type, open: bool) -> fmt::Result {
    let id = match ty {
        Type::Bool => return text.write_str("bool"),
        Type::U8 => return text.write_str("u8"),
        Type::U16 => return text.write_str("u16"),
        Type::U32 => return text.write_str("u32"),
        Type::U64 => return text.write_str("u64"),
        Type::S8 => return text.write_str("s8"),
        Type::S16 => return text.write_str("s16"),
        Type::S32 => return text.write_str("s32"),
        Type::S64 => return text.write_str("s64"),
        Type::F32 => return text.write_str("f32"),
        Type::F64 => return text.write_str("f64"),
        Type::Char => return text.write_str("char"),
        Type::String => return text.write_str("string"),
        Type::ErrorContext => return text.write_str("error-context"),
        Type::Id(id) => *id,
    };
    let Some(def) = resolve.types.get(id) else { return text.write_str("?") };
    if let (Some(name), false) = (&def.name, open) {
        return text.write_str(name);
    }
    let one = |text: &mut Bounded, ty: &Type| write_type(text, resolve, ty, false);
    let name = |id| resolve.types.get(id).and_then(|def| def.name.as_deref()).unwrap_or("?");
    match &def.kind {
        TypeDefKind::Type(ty) => write_type(text, resolve, ty, open),
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| (field.name.as_str(), Some(&field.ty)));
            braces(text, resolve, "record", ": ", "", fields)
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| (case.name.as_str(), case.ty.as_ref()));
            braces(text, resolve, "variant", "(", ")", cases)
        }
        TypeDefKind::Enum(cases) => {
            braces(text, resolve, "enum", "", "", cases.cases.iter().map(|case| (case.name.as_str(), None)))
        }
        TypeDefKind::Flags(flags) => {
            braces(text, resolve, "flags", "", "", flags.flags.iter().map(|flag| (flag.name.as_str(), None)))
        }
        TypeDefKind::Resource => text.write_str("resource"),
        TypeDefKind::Handle(Handle::Own(id)) => write!(text, "own<{}>", name(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => write!(text, "borrow<{}>", name(*id)),
        TypeDefKind::Tuple(tuple) => {
            text.write_str("tuple<")?;
            for (n, ty) in tuple.types.iter().enumerate() {
                text.write_str(if n == 0 { "" } else { ", " })?;
                one(text, ty)?;
            }
            text.write_str(">")
        }
        TypeDefKind::Option(ty) => angled(text, resolve, "option", ty),
        TypeDefKind::List(ty) => angled(text, resolve, "list", ty),
        TypeDefKind::FixedLengthList(ty, length) => {
            text.write_str("list<")?;
            one(text, ty)?;
            write!(text, ", {length}>")
        }
        TypeDefKind::Map(key, value) => {
            text.write_str("map<")?;
            one(text, key)?;
            text.write_str(", ")?;
            one(text, value)?;
            text.write_str(">")
        }
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => text.write_str("result"),
            (Some(ok), None) => angled(text, resolve, "result", ok),
            (ok, Some(err)) => {
                text.write_str("result<")?;
                match ok {
                    Some(ok) => one(text, ok)?,
                    None => text.write_str("_")?,
                }
                text.write_str(", ")?;
                one(text, err)?;
                text.write_str(">")
            }
        },
        TypeDefKind::Future(Some(ty)) => angled(text, resolve, "future", ty),
        TypeDefKind::Future(None) => text.write_str("future"),
        TypeDefKind::Stream(Some(ty)) => angled(text, resolve, "stream", ty),
        TypeDefKind::Stream(None) => text.write_str("stream"),
        TypeDefKind::Unknown => text.write_str("?"),
    }
}

fn angled(text: &mut Bounded, resolve: &Resolve, word: &str, ty: &Type) -> fmt::Result {
    write!(text, "{word}<")?;
    write_type(text, resolve, ty, false)?;
    text.write_str(">")
}

fn braces<'a>(
    text: &mut Bounded,
    resolve: &Resolve,
    word: &str,
    before: &str,
    after: &str,
    parts: impl Iterator<Item = (&'a str, Option<&'a Type>)>,
) -> fmt::Result {
    write!(text, "{word} {{ ")?;
    for (n, (name, ty)) in parts.enumerate() {
        write!(text, "{}{name}", if n == 0 { "" } else { ", " })?;
        if let Some(ty) = ty {
            text.write_str(before)?;
            write_type(text, resolve, ty, false)?;
            text.write_str(after)?;
        }
    }
    text.write_str(" }")
}
