//! Generated values as data, before they are anybody's values: what is generated, made smaller and written to a file is
//! the same thing, and its text is what runs.

use std::fmt;

use super::wave::{case_name, float, float32, quoted};

/// A value of some type, told apart no further than its text needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    Bool(bool),
    /// Any integer type; all of them fit.
    Integer(i128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Record(Vec<(String, Self)>),
    Flags(Vec<String>),
    /// A case of an enum, a variant, an option or a result, with what it holds.
    Case(String, Option<Box<Self>>),
    /// `none`, `some`, `ok` and `err` of the types that have them, which need no mark.
    Known(&'static str, Option<Box<Self>>),
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |f: &mut fmt::Formatter<'_>, items: &[Self]| {
            items.iter().enumerate().try_for_each(|(n, item)| write!(f, "{}{item}", if n == 0 { "" } else { ", " }))
        };
        let case = |f: &mut fmt::Formatter<'_>, name: &str, payload: &Option<Box<Self>>| match payload {
            Some(payload) => write!(f, "{name}({payload})"),
            None => f.write_str(name),
        };
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::F32(value) => f.write_str(&float32(*value)),
            Self::F64(value) => f.write_str(&float(*value)),
            Self::Char(value) => quoted(value.encode_utf8(&mut [0; 4]), '\'', f),
            Self::Text(value) => quoted(value, '"', f),
            Self::List(items) => {
                f.write_str("[")?;
                several(f, items)?;
                f.write_str("]")
            }
            Self::Tuple(items) => {
                f.write_str("(")?;
                several(f, items)?;
                f.write_str(")")
            }
            Self::Record(fields) if fields.is_empty() => f.write_str("{:}"),
            Self::Record(fields) => {
                for (n, (name, field)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {field}", if n == 0 { "{" } else { ", " })?;
                }
                f.write_str("}")
            }
            Self::Flags(names) => write!(f, "{{{}}}", names.join(", ")),
            Self::Case(name, payload) => case(f, &case_name(name), payload),
            Self::Known(name, payload) => case(f, name, payload),
        }
    }
}
