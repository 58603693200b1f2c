//! Values as text (WAVE), written no further than a bound: a guest chooses how large a value is, and its text takes a
//! multiple of that. A handle has no text form and is written as `<handle>`.

use std::fmt::{self, Write};

use wasm_wave::wasm::{WasmTypeKind, WasmValue};

use crate::text::{Bounded, escape_lines};

/// Bytes of a value that are shown in a difference.
pub(super) const MAX_SHOWN: usize = 300;

/// Bytes of a value's text that are kept to be written into a file.
const MAX_KEPT: usize = 1 << 20;

/// A value as text, cut where it gets long.
pub fn shown<V: WasmValue>(value: &V) -> String {
    let mut text = Bounded::new(MAX_SHOWN);
    // An error is the bound, and what came before it is what is wanted.
    let _ = write(&mut text, value);
    escape_quoted(&text.text)
}

/// A value in WAVE, whole; none where it is longer than what is kept, or has a handle in it.
pub(crate) fn whole<V: WasmValue>(value: &V) -> Option<String> {
    let mut text = Bounded::new(MAX_KEPT);
    write(&mut text, value).ok()?;
    Some(text.text).filter(|text| !text.contains(HANDLE))
}

/// The text form escapes line ends by itself; what is left is what could drive a terminal.
pub(crate) fn escape_quoted(text: &str) -> String {
    escape_lines(text).replace('\n', "\\n")
}

/// The name of a case as it is read back: some mean something else without the mark.
pub(super) fn case_name(name: &str) -> String {
    let keyword = matches!(name, "true" | "false" | "none" | "some" | "ok" | "err" | "nan" | "inf");
    format!("{}{name}", if keyword { "%" } else { "" })
}

/// A number as it is read back, in few characters.
pub(super) fn float(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "nan".to_owned(),
        size if size.is_infinite() || size == 0.0 || (1e-7..1e21).contains(&size) => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

/// As [`float`], with the digits that the shorter type needs.
pub(super) fn float32(value: f32) -> String {
    match value.abs() {
        _ if value.is_nan() => "nan".to_owned(),
        size if size.is_infinite() || size == 0.0 || (1e-7..1e21).contains(&size) => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

/// A text in quotation marks.
pub(super) fn quoted(text: &str, quote: char, out: &mut impl Write) -> fmt::Result {
    out.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\\' => out.write_str("\\\\")?,
            c if c == quote => write!(out, "\\{c}")?,
            // What can't be seen must be seen here.
            c if c.is_control() || escape_lines(c.encode_utf8(&mut [0; 4])).starts_with('\\') => {
                write!(out, "\\u{{{:x}}}", u32::from(c))?;
            }
            c => out.write_char(c)?,
        }
    }
    out.write_char(quote)
}

const HANDLE: &str = "<handle>";

fn write<V: WasmValue>(out: &mut Bounded, value: &V) -> fmt::Result {
    use WasmTypeKind as Ty;
    match value.kind() {
        Ty::Bool => write!(out, "{}", value.unwrap_bool()),
        Ty::S8 => write!(out, "{}", value.unwrap_s8()),
        Ty::S16 => write!(out, "{}", value.unwrap_s16()),
        Ty::S32 => write!(out, "{}", value.unwrap_s32()),
        Ty::S64 => write!(out, "{}", value.unwrap_s64()),
        Ty::U8 => write!(out, "{}", value.unwrap_u8()),
        Ty::U16 => write!(out, "{}", value.unwrap_u16()),
        Ty::U32 => write!(out, "{}", value.unwrap_u32()),
        Ty::U64 => write!(out, "{}", value.unwrap_u64()),
        Ty::F32 => out.write_str(&float32(value.unwrap_f32())),
        Ty::F64 => out.write_str(&float(value.unwrap_f64())),
        Ty::Char => quoted(value.unwrap_char().encode_utf8(&mut [0; 4]), '\'', out),
        Ty::String => quoted(&value.unwrap_string(), '"', out),
        Ty::List | Ty::FixedLengthList => several(out, '[', value.unwrap_list(), ']'),
        Ty::Tuple => several(out, '(', value.unwrap_tuple(), ')'),
        Ty::Record => {
            let mut separator = "{";
            for (name, field) in value.unwrap_record() {
                // As in the text form itself, a field that is none is left out.
                if field.kind() == Ty::Option && field.unwrap_option().is_none() {
                    continue;
                }
                write!(out, "{separator}{name}: ")?;
                write(out, field.as_ref())?;
                separator = ", ";
            }
            out.write_str(if separator == "{" { "{:}" } else { "}" })
        }
        Ty::Flags => {
            let names: Vec<_> = value.unwrap_flags().collect();
            write!(out, "{{{}}}", names.join(", "))
        }
        Ty::Enum => out.write_str(&case_name(&value.unwrap_enum())),
        Ty::Variant => {
            let (name, payload) = value.unwrap_variant();
            case(out, &case_name(&name), payload)
        }
        Ty::Option => match value.unwrap_option() {
            Some(inner) => case(out, "some", Some(inner)),
            None => out.write_str("none"),
        },
        Ty::Result => match value.unwrap_result() {
            Ok(payload) => case(out, "ok", payload),
            Err(payload) => case(out, "err", payload),
        },
        _ => out.write_str(HANDLE),
    }
}

fn case<V: WasmValue>(out: &mut Bounded, name: &str, payload: Option<std::borrow::Cow<'_, V>>) -> fmt::Result {
    out.write_str(name)?;
    let Some(payload) = payload else { return Ok(()) };
    out.write_char('(')?;
    write(out, payload.as_ref())?;
    out.write_char(')')
}

fn several<'v, V: WasmValue + 'v>(
    out: &mut Bounded,
    open: char,
    items: impl Iterator<Item = std::borrow::Cow<'v, V>>,
    close: char,
) -> fmt::Result {
    out.write_char(open)?;
    for (n, item) in items.enumerate() {
        out.write_str(if n == 0 { "" } else { ", " })?;
        write(out, item.as_ref())?;
    }
    out.write_char(close)
}

#[cfg(test)]
mod tests {
    use wasm_wave::value::{Type, Value};

    use super::*;

    fn value(ty: &Type, text: &str) -> Value {
        wasm_wave::from_str(ty, text).unwrap()
    }

    #[test]
    fn a_text_is_what_the_value_was_read_from() {
        let record = Type::record([("a", Type::F64), ("b", Type::option(Type::option(Type::U8)))]).unwrap();
        for (ty, text) in [
            (&record, "{a: -0, b: some(none)}"),
            (&record, "{a: 1e300}"),
            (&record, "{a: nan, b: some(some(7))}"),
            (&Type::list(Type::STRING), r#"["", "a\n\"\\\u{0}\u{feff}", "é"]"#),
            (&Type::CHAR, r"'\''"),
            (&Type::result(None, Some(Type::STRING)), r#"err("x")"#),
            (&Type::enum_ty(["none", "b"]).unwrap(), "%none"),
            (&Type::flags(["a", "b"]).unwrap(), "{a, b}"),
            (&Type::F32, "0.1"),
            (&Type::F64, "5e-324"),
        ] {
            assert_eq!(whole(&value(ty, text)).as_deref(), Some(text));
            assert_eq!(shown(&value(ty, text)), escape_quoted(text));
        }
    }

    #[test]
    fn a_long_value_is_cut_where_it_is_shown_and_not_kept() {
        let long = value(&Type::STRING, &format!("\"{}\"", "x".repeat(2 << 20)));
        assert_eq!((shown(&long).chars().count(), whole(&long)), (MAX_SHOWN + 1, None));
        let fits = value(&Type::STRING, &format!("\"{}\"", "x".repeat(MAX_KEPT - 2)));
        assert!(whole(&fits).is_some());
        let over = value(&Type::STRING, &format!("\"{}\"", "x".repeat(MAX_KEPT - 1)));
        assert!(whole(&over).is_none());
    }
}
