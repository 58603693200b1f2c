//! Patterns against types and values: is it a pattern of this type, the value that it is, and where a value differs.
//!
//! It knows values by the interface that all tools for their text form share, so that it needs no engine.

use std::ops::Range;

use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue};

use super::nearest;
use super::pattern::{Kind, Node, Rest, Wrong};
use super::wave::{MAX_SHOWN, escape_quoted, shown};
use crate::text::{Bounded, escape};

/// A place in a value where it isn't what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path to it, empty for the whole.
    pub path: String,
    /// The pattern's side.
    pub expected: String,
    /// The value's side.
    pub found: String,
}

/// Differences that are collected.
const MAX_DIFFERENCES: usize = 20;

type Made<V> = Result<V, Wrong>;

fn wrong<T>(span: &Range<usize>, message: impl Into<String>) -> Made<T> {
    Err(Wrong { span: span.clone(), message: message.into() })
}

impl Node {
    /// The value of this type that the text is; a pattern is none.
    ///
    /// # Errors
    /// The first place that isn't of the type, or is a pattern.
    pub fn value<V: WasmValue>(&self, ty: &V::Type) -> Made<V> {
        let failed = |error: wasm_wave::wasm::WasmValueError| Wrong {
            span: self.span.clone(),
            message: escape(&error.to_string()),
        };
        self.of_type(ty)?;
        Ok(match (ty.kind(), &self.kind) {
            (_, Kind::Any | Kind::Regex(_) | Kind::About { .. } | Kind::List(_, Rest::Anything))
            | (_, Kind::Record(_, Rest::Anything)) => {
                return wrong(&self.span, "a value is needed here, and this is a pattern");
            }
            (WasmTypeKind::Bool, Kind::Name(name)) => V::make_bool(name == "true"),
            (WasmTypeKind::S8, Kind::Number(text)) => V::make_s8(self.number(text)?),
            (WasmTypeKind::S16, Kind::Number(text)) => V::make_s16(self.number(text)?),
            (WasmTypeKind::S32, Kind::Number(text)) => V::make_s32(self.number(text)?),
            (WasmTypeKind::S64, Kind::Number(text)) => V::make_s64(self.number(text)?),
            (WasmTypeKind::U8, Kind::Number(text)) => V::make_u8(self.number(text)?),
            (WasmTypeKind::U16, Kind::Number(text)) => V::make_u16(self.number(text)?),
            (WasmTypeKind::U32, Kind::Number(text)) => V::make_u32(self.number(text)?),
            (WasmTypeKind::U64, Kind::Number(text)) => V::make_u64(self.number(text)?),
            (WasmTypeKind::F32, Kind::Number(text) | Kind::Name(text)) => V::make_f32(self.number(text)?),
            (WasmTypeKind::F64, Kind::Number(text) | Kind::Name(text)) => V::make_f64(self.number(text)?),
            (WasmTypeKind::Char, Kind::Char(c)) => V::make_char(*c),
            (WasmTypeKind::String, Kind::Text(text)) => V::make_string(text.into()),
            (WasmTypeKind::List, Kind::List(nodes, _)) => {
                let Some(item) = ty.list_element_type() else { return wrong(&self.span, "this list has no type") };
                let items = nodes.iter().map(|node| node.value(&item)).collect::<Made<Vec<V>>>()?;
                V::make_list(ty, items).map_err(failed)?
            }
            (WasmTypeKind::Tuple, Kind::Tuple(nodes)) => {
                let types: Vec<V::Type> = ty.tuple_element_types().collect();
                let items = nodes.iter().zip(&types).map(|(node, ty)| node.value(ty)).collect::<Made<Vec<V>>>()?;
                V::make_tuple(ty, items).map_err(failed)?
            }
            (WasmTypeKind::Record, Kind::Record(given, _)) => {
                let types: Vec<_> = ty.record_fields().collect();
                let mut fields = Vec::new();
                for (name, field) in &types {
                    let value = match given.iter().find(|(given, ..)| given == name) {
                        Some((_, _, node)) => node.value(field)?,
                        None => V::make_option(field, None).map_err(failed)?,
                    };
                    fields.push((name.as_ref(), value));
                }
                V::make_record(ty, fields).map_err(failed)?
            }
            (WasmTypeKind::Flags, Kind::Flags(names)) => {
                V::make_flags(ty, names.iter().map(|(name, _)| name.as_str())).map_err(failed)?
            }
            (WasmTypeKind::Enum, Kind::Name(name)) => V::make_enum(ty, name).map_err(failed)?,
            (WasmTypeKind::Variant, Kind::Name(name)) => V::make_variant(ty, name, None).map_err(failed)?,
            (WasmTypeKind::Variant, Kind::Case(name, node)) => {
                let payload = ty.variant_cases().find(|(case, _)| case == name).and_then(|(_, payload)| payload);
                let payload = payload.map(|payload| node.value(&payload)).transpose()?;
                V::make_variant(ty, name, payload).map_err(failed)?
            }
            (WasmTypeKind::Option, Kind::Name(name)) if name == "none" => V::make_option(ty, None).map_err(failed)?,
            (WasmTypeKind::Option, kind) => {
                let Some(some) = ty.option_some_type() else { return wrong(&self.span, "this option has no type") };
                let node = match kind {
                    Kind::Case(name, node) if name == "some" => node,
                    _ => self,
                };
                let value = node.value(&some)?;
                V::make_option(ty, Some(value)).map_err(failed)?
            }
            (WasmTypeKind::Result, kind) => {
                let (ok, err) = ty.result_types().unwrap_or((None, None));
                let made = match kind {
                    Kind::Name(name) if name == "err" => Err(None),
                    Kind::Name(_) => Ok(None),
                    Kind::Case(name, node) if name == "err" => Err(err.map(|ty| node.value(&ty)).transpose()?),
                    Kind::Case(_, node) => Ok(ok.map(|ty| node.value(&ty)).transpose()?),
                    _ => return wrong(&self.span, "expected `ok` or `err`"),
                };
                V::make_result(ty, made).map_err(failed)?
            }
            _ => return wrong(&self.span, "this type has no text form"),
        })
    }

    fn number<T: std::str::FromStr>(&self, text: &str) -> Made<T> {
        text.parse().or_else(|_| wrong(&self.span, format!("`{}` is out of range", escape(text))))
    }

    /// Whether this could be of the type, pattern or not.
    ///
    /// # Errors
    /// The first place that couldn't.
    pub fn of_type<T: WasmType>(&self, ty: &T) -> Result<(), Wrong> {
        use WasmTypeKind as Ty;
        let kind = ty.kind();
        match (kind, &self.kind) {
            (_, Kind::Any) | (Ty::String, Kind::Regex(_) | Kind::Text(_)) | (Ty::Char, Kind::Char(_)) => Ok(()),
            (Ty::Bool, Kind::Name(name)) if matches!(name.as_str(), "true" | "false") => Ok(()),
            (Ty::F32 | Ty::F64, Kind::About { .. }) => Ok(()),
            (Ty::F32 | Ty::F64, Kind::Name(name)) if matches!(name.as_str(), "nan" | "inf") => Ok(()),
            (Ty::F32 | Ty::F64, Kind::Number(text)) if text.parse::<f64>().is_ok() => Ok(()),
            (Ty::S8, Kind::Number(text)) => self.number::<i8>(text).map(drop),
            (Ty::S16, Kind::Number(text)) => self.number::<i16>(text).map(drop),
            (Ty::S32, Kind::Number(text)) => self.number::<i32>(text).map(drop),
            (Ty::S64, Kind::Number(text)) => self.number::<i64>(text).map(drop),
            (Ty::U8, Kind::Number(text)) => self.number::<u8>(text).map(drop),
            (Ty::U16, Kind::Number(text)) => self.number::<u16>(text).map(drop),
            (Ty::U32, Kind::Number(text)) => self.number::<u32>(text).map(drop),
            (Ty::U64, Kind::Number(text)) => self.number::<u64>(text).map(drop),
            (Ty::List | Ty::FixedLengthList, Kind::List(nodes, _)) => {
                let Some(item) = ty.list_element_type() else { return Ok(()) };
                nodes.iter().try_for_each(|node| node.of_type(&item))
            }
            (Ty::Tuple, Kind::Tuple(nodes)) => {
                let types: Vec<T> = ty.tuple_element_types().collect();
                if types.len() != nodes.len() {
                    return wrong(
                        &self.span,
                        format!("the tuple has {} parts, and here are {}", types.len(), nodes.len()),
                    );
                }
                nodes.iter().zip(&types).try_for_each(|(node, ty)| node.of_type(ty))
            }
            (Ty::Record, Kind::Record(given, rest)) => self.fields(ty, given, *rest),
            (Ty::Flags, Kind::Flags(names)) => {
                let known: Vec<_> = ty.flags_names().collect();
                names.iter().try_for_each(|(name, span)| one_of("flag", name, span, known.iter().map(AsRef::as_ref)))
            }
            (Ty::Enum, Kind::Name(name)) => {
                let known: Vec<_> = ty.enum_cases().collect();
                one_of("case", name, &self.span, known.iter().map(AsRef::as_ref))
            }
            (Ty::Variant, Kind::Name(name) | Kind::Case(name, _)) => {
                let known: Vec<_> = ty.variant_cases().collect();
                one_of("case", name, &self.span, known.iter().map(|(name, _)| name.as_ref()))?;
                let payload = known.into_iter().find(|(case, _)| case == name).and_then(|(_, payload)| payload);
                self.payload(name, payload)
            }
            (Ty::Option, Kind::Name(name)) if name == "none" => Ok(()),
            (Ty::Option, kind) => match (kind, ty.option_some_type()) {
                (Kind::Case(name, node), Some(some)) if name == "some" => node.of_type(&some),
                // As in the text form itself, a value may stand for `some` of it.
                (_, Some(some)) => self.of_type(&some),
                (_, None) => Ok(()),
            },
            (Ty::Result, Kind::Name(name) | Kind::Case(name, _)) if matches!(name.as_str(), "ok" | "err") => {
                let (ok, err) = ty.result_types().unwrap_or((None, None));
                self.payload(name, if name == "ok" { ok } else { err })
            }
            (Ty::Result, _) => wrong(&self.span, "expected `ok` or `err`"),
            _ => wrong(&self.span, format!("expected a value of type `{kind}`")),
        }
    }

    fn payload<T: WasmType>(&self, name: &str, ty: Option<T>) -> Result<(), Wrong> {
        match (&self.kind, ty) {
            (Kind::Case(_, node), Some(ty)) => node.of_type(&ty),
            (Kind::Case(_, node), None) => wrong(&node.span, format!("`{name}` holds no value")),
            (_, Some(_)) => wrong(&self.span, format!("`{name}` holds a value: write `{name}(…)`")),
            (_, None) => Ok(()),
        }
    }

    fn fields<T: WasmType>(&self, ty: &T, given: &[(String, Range<usize>, Self)], rest: Rest) -> Result<(), Wrong> {
        let types: Vec<_> = ty.record_fields().collect();
        for (name, span, node) in given {
            one_of("field", name, span, types.iter().map(|(name, _)| name.as_ref()))?;
            if let Some((_, ty)) = types.iter().find(|(field, _)| field == name) {
                node.of_type(ty)?;
            }
        }
        let missing = types
            .iter()
            .find(|(name, ty)| ty.kind() != WasmTypeKind::Option && !given.iter().any(|(given, ..)| given == name));
        match missing {
            Some((name, _)) if rest == Rest::Nothing => wrong(&self.span, format!("the field `{name}` is missing")),
            _ => Ok(()),
        }
    }

    /// Where a value isn't what this says; the value is of a type that was checked.
    pub fn differences<V: WasmValue>(&self, value: &V) -> Vec<Difference> {
        let mut found = Vec::new();
        self.differ("", value, &mut found);
        found
    }

    fn differ<V: WasmValue>(&self, path: &str, value: &V, found: &mut Vec<Difference>) {
        use WasmTypeKind as Ty;
        if found.len() >= MAX_DIFFERENCES {
            return;
        }
        let same = match (value.kind(), &self.kind) {
            (_, Kind::Any) => true,
            (Ty::String, Kind::Regex(regex)) => regex.is_match(value.unwrap_string().as_ref()),
            (Ty::String, Kind::Text(text)) => value.unwrap_string() == text.as_str(),
            (Ty::Char, Kind::Char(c)) => value.unwrap_char() == *c,
            (Ty::Bool, Kind::Name(name)) => value.unwrap_bool() == (name == "true"),
            (Ty::F32, Kind::About { value: expected, within }) => {
                (f64::from(value.unwrap_f32()) - expected).abs() <= within.max(f64::from(f32::EPSILON) * expected.abs())
            }
            (Ty::F64, Kind::About { value: expected, within }) => (value.unwrap_f64() - expected).abs() <= *within,
            // Not a number is itself here, and minus zero is not zero: a test asks what came, and not what is equal.
            (Ty::F32, Kind::Number(text) | Kind::Name(text)) => text.parse::<f32>().is_ok_and(|expected| {
                let value = value.unwrap_f32();
                value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan())
            }),
            (Ty::F64, Kind::Number(text) | Kind::Name(text)) => text.parse::<f64>().is_ok_and(|expected| {
                let value = value.unwrap_f64();
                value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan())
            }),
            (Ty::S8, Kind::Number(text)) => text.parse() == Ok(value.unwrap_s8()),
            (Ty::S16, Kind::Number(text)) => text.parse() == Ok(value.unwrap_s16()),
            (Ty::S32, Kind::Number(text)) => text.parse() == Ok(value.unwrap_s32()),
            (Ty::S64, Kind::Number(text)) => text.parse() == Ok(value.unwrap_s64()),
            (Ty::U8, Kind::Number(text)) => text.parse() == Ok(value.unwrap_u8()),
            (Ty::U16, Kind::Number(text)) => text.parse() == Ok(value.unwrap_u16()),
            (Ty::U32, Kind::Number(text)) => text.parse() == Ok(value.unwrap_u32()),
            (Ty::U64, Kind::Number(text)) => text.parse() == Ok(value.unwrap_u64()),
            (Ty::List | Ty::FixedLengthList, Kind::List(nodes, rest)) => {
                // One after the other: a guest may return millions.
                let (mut expected, mut count) = (nodes.iter(), 0_usize);
                for item in value.unwrap_list() {
                    if let Some(node) = expected.next() {
                        node.differ(&format!("{path}[{count}]"), item.as_ref(), found);
                    }
                    count += 1;
                }
                let fits = count == nodes.len() || (*rest == Rest::Anything && count > nodes.len());
                if !fits {
                    let more = if *rest == Rest::Anything { " or more" } else { "" };
                    found.push(Difference {
                        path: path.to_owned(),
                        expected: format!("{} items{more}", nodes.len()),
                        found: format!("{count} items: {}", shown(value)),
                    });
                }
                true
            }
            (Ty::Tuple, Kind::Tuple(nodes)) => {
                for (n, (node, item)) in nodes.iter().zip(value.unwrap_tuple()).enumerate() {
                    node.differ(&format!("{path}.{n}"), item.as_ref(), found);
                }
                true
            }
            (Ty::Record, Kind::Record(given, rest)) => {
                for (name, field) in value.unwrap_record() {
                    let path = format!("{path}.{name}");
                    match given.iter().find(|(given, ..)| *given == name) {
                        Some((_, _, node)) => node.differ(&path, field.as_ref(), found),
                        // A field that is left out is `none`, as in a value.
                        None if *rest == Rest::Nothing && field.unwrap_option().is_some() => {
                            found.push(Difference { path, expected: "none".to_owned(), found: shown(field.as_ref()) });
                        }
                        None => {}
                    }
                }
                true
            }
            (Ty::Flags, Kind::Flags(names)) => {
                let mut set: Vec<String> = value.unwrap_flags().map(std::borrow::Cow::into_owned).collect();
                let mut names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
                set.sort_unstable();
                names.sort_unstable();
                names.dedup();
                set == names
            }
            (Ty::Enum, Kind::Name(name)) => value.unwrap_enum() == name.as_str(),
            (Ty::Variant, Kind::Name(name)) => value.unwrap_variant().0 == name.as_str(),
            (Ty::Variant, Kind::Case(name, node)) => match value.unwrap_variant() {
                (case, Some(payload)) if case == name.as_str() => {
                    node.differ(&format!("{path}.{name}"), payload.as_ref(), found);
                    true
                }
                _ => false,
            },
            (Ty::Option, kind) => match (kind, value.unwrap_option()) {
                (Kind::Name(name), inner) if name == "none" => inner.is_none(),
                (_, None) => false,
                (Kind::Case(name, node), Some(inner)) if name == "some" => {
                    node.differ(&format!("{path}.some"), inner.as_ref(), found);
                    true
                }
                (_, Some(inner)) => {
                    self.differ(path, inner.as_ref(), found);
                    true
                }
            },
            (Ty::Result, Kind::Name(name)) => match value.unwrap_result() {
                Ok(payload) => name == "ok" && payload.is_none(),
                Err(payload) => name == "err" && payload.is_none(),
            },
            (Ty::Result, Kind::Case(name, node)) => match (name.as_str(), value.unwrap_result()) {
                ("ok", Ok(Some(payload))) | ("err", Err(Some(payload))) => {
                    node.differ(&format!("{path}.{name}"), payload.as_ref(), found);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !same {
            found.push(Difference { path: path.to_owned(), expected: self.shown(), found: shown(value) });
        }
    }

    /// The pattern as text, for a difference.
    fn shown(&self) -> String {
        let mut text = Bounded::new(MAX_SHOWN);
        // An error is the bound, and what came before it is what is wanted.
        let _ = self.write(&mut text);
        escape_quoted(&text.text)
    }

    fn write(&self, text: &mut Bounded) -> std::fmt::Result {
        use std::fmt::Write as _;
        let each = |text: &mut Bounded, open: &str, nodes: &[Self], rest: Rest, close: &str| {
            text.write_str(open)?;
            for (n, node) in nodes.iter().enumerate() {
                text.write_str(if n == 0 { "" } else { ", " })?;
                node.write(text)?;
            }
            if rest == Rest::Anything {
                text.write_str(if nodes.is_empty() { ".." } else { ", .." })?;
            }
            text.write_str(close)
        };
        match &self.kind {
            Kind::Any => text.write_str("_"),
            Kind::Handle(name) => write!(text, "${name}"),
            Kind::Regex(_) => text.write_str("a match of the regular expression"),
            Kind::About { value, within } => write!(text, "~{value}+-{within}"),
            Kind::Number(number) => text.write_str(number),
            Kind::Text(string) => write!(text, "{string:?}"),
            Kind::Char(c) => write!(text, "{c:?}"),
            Kind::Name(name) => text.write_str(name),
            Kind::Case(name, node) => {
                write!(text, "{name}(")?;
                node.write(text)?;
                text.write_str(")")
            }
            Kind::List(nodes, rest) => each(text, "[", nodes, *rest, "]"),
            Kind::Tuple(nodes) => each(text, "(", nodes, Rest::Nothing, ")"),
            Kind::Record(fields, rest) => {
                text.write_str("{")?;
                for (n, (name, _, node)) in fields.iter().enumerate() {
                    write!(text, "{}{name}: ", if n == 0 { "" } else { ", " })?;
                    node.write(text)?;
                }
                text.write_str(if *rest == Rest::Anything { ", ..}" } else { "}" })
            }
            Kind::Flags(names) => {
                write!(text, "{{{}}}", names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn one_of<'n>(
    word: &str,
    name: &str,
    span: &Range<usize>,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Result<(), Wrong> {
    if known.clone().any(|other| other == name) {
        return Ok(());
    }
    let meant = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    wrong(span, format!("there is no {word} `{name}`: {meant}"))
}
