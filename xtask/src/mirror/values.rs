//! Values at the edges of every type, in WAVE, as cases for `host test`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::world::{Mirror, Shape, Ty};

/// How many values of one type are tried where they are put together from parts.
const MOST: usize = 12;

/// A file of cases: each value through `echo`, and through `bounce` with the same value from outside. And the values by
/// the names of the cases.
pub(super) fn cases(mirror: &Mirror) -> (String, BTreeMap<String, String>) {
    let mut values_by_name = BTreeMap::new();
    let mut text = String::from("[defaults]\nlimits = { memory = \"512MiB\", cpu = \"1m\", wall = \"10m\" }\n");
    for (name, ty) in &mirror.echoes {
        for value in values(mirror, ty, 0) {
            let shown: String = value.chars().take(60).collect();
            let quoted = toml::Value::String(value.clone());
            for function in ["echo", "bounce"] {
                let call = toml::Value::String(format!("{function}-{name}({value})"));
                // Values that are long begin alike.
                let number = text.matches("[[case]]").count();
                let unique = if shown == value { String::new() } else { format!("… ({number})") };
                let name_of_case = format!("{function}-{name}({shown}){unique}");
                let title = toml::Value::String(name_of_case.clone());
                values_by_name.insert(name_of_case, value.clone());
                // Writing to a string can't fail.
                let _ = writeln!(text, "\n[[case]]\nname = {title}\ncall = {call}\nreturns = {quoted}");
                if function == "bounce" {
                    let call = toml::Value::String(format!("demo:mirror/outside#give-{name}({value})"));
                    let _ = writeln!(text, "\n[[case.import]]\ncall = {call}\nanswer = {quoted}");
                }
            }
        }
    }
    (text, values_by_name)
}

fn values(mirror: &Mirror, ty: &Ty, depth: usize) -> Vec<String> {
    let mut values = match ty {
        Ty::Plain(name) => plain(name),
        Ty::List(of) => {
            let of = values(mirror, of, depth + 1);
            let all = format!("[{}]", of.join(", "));
            let first = of.first().map(|first| format!("[{first}]"));
            ["[]".to_owned()].into_iter().chain(first).chain([all]).collect()
        }
        Ty::Option(of) => {
            let some = values(mirror, of, depth + 1).into_iter().map(|value| format!("some({value})"));
            ["none".to_owned()].into_iter().chain(some).collect()
        }
        Ty::Result(ok, err) => [("ok", ok), ("err", err)]
            .into_iter()
            .flat_map(|(word, ty)| match ty {
                Some(ty) => {
                    values(mirror, ty, depth + 1).into_iter().take(4).map(|value| format!("{word}({value})")).collect()
                }
                None => vec![word.to_owned()],
            })
            .collect(),
        Ty::Tuple(types) => {
            let parts: Vec<_> = types.iter().map(|ty| (String::new(), values(mirror, ty, depth + 1))).collect();
            side_by_side(&parts).into_iter().map(|parts| format!("({parts})")).collect()
        }
        Ty::Named(name) => match mirror.types.get(name) {
            Some(Shape::Record(fields)) => {
                let parts =
                    fields.iter().map(|(name, ty)| (format!("{}: ", escaped(name)), values(mirror, ty, depth + 1)));
                side_by_side(&parts.collect::<Vec<_>>()).into_iter().map(|fields| format!("{{{fields}}}")).collect()
            }
            Some(Shape::Variant(cases)) => cases
                .iter()
                .flat_map(|(name, ty)| match ty {
                    Some(ty) => {
                        let some = values(mirror, ty, depth + 1).into_iter().take(3);
                        some.map(|value| format!("{}({value})", escaped(name))).collect()
                    }
                    None => vec![escaped(name)],
                })
                .collect(),
            Some(Shape::Enum(cases)) => cases.iter().map(|name| escaped(name)).collect(),
            Some(Shape::Flags(flags)) => {
                let all: Vec<_> = flags.iter().map(|name| escaped(name)).collect();
                let ends = [all.first(), all.last()].into_iter().flatten().map(|name| format!("{{{name}}}"));
                ["{}".to_owned(), format!("{{{}}}", all.join(", "))].into_iter().chain(ends).collect()
            }
            None => Vec::new(),
        },
    };
    let mut seen = std::collections::BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    // What is passed itself may have many cases; within other values, that the kind is passed at all is what is looked at.
    values.truncate(if depth == 0 { 200 } else { MOST });
    values
}

/// The first values of all parts together, then the second ones, and so on.
fn side_by_side(parts: &[(String, Vec<String>)]) -> Vec<String> {
    let most = parts.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    let row = |n: usize| {
        let cells = parts.iter().filter_map(|(name, values)| {
            let value = values.get(n % values.len().max(1))?;
            Some(format!("{name}{value}"))
        });
        cells.collect::<Vec<_>>().join(", ")
    };
    (0..most.min(MOST)).map(row).collect()
}

/// Words that mean something in WAVE stand behind a percent sign.
fn escaped(name: &str) -> String {
    let word = matches!(name, "true" | "false" | "inf" | "nan" | "some" | "none" | "ok" | "err");
    format!("{}{name}", if word { "%" } else { "" })
}

fn plain(name: &str) -> Vec<String> {
    let values: &[&str] = match name {
        "bool" => &["true", "false"],
        "u8" => &["0", "255", "127", "128"],
        "s8" => &["0", "-128", "127", "-1"],
        "u16" => &["0", "65535", "32768"],
        "s16" => &["0", "-32768", "32767", "-1"],
        "u32" => &["0", "4294967295", "2147483648", "2147483647"],
        "s32" => &["0", "-2147483648", "2147483647", "-1"],
        "u64" => &[
            "0",
            "18446744073709551615",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775808",
            "4294967296",
        ],
        "s64" => &[
            "0",
            "-9223372036854775808",
            "9223372036854775807",
            "-1",
            "9007199254740993",
            "-9007199254740993",
            "-9007199254740992",
            "4294967296",
        ],
        "f32" => &["0", "-0", "1.5", "nan", "inf", "-inf", "3.4028235e38", "1e-45", "1.1754944e-38", "16777216"],
        "f64" => &[
            "0",
            "-0",
            "1.5",
            "nan",
            "inf",
            "-inf",
            "1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "9007199254740992",
        ],
        "char" => &["'a'", "'\\u{0}'", "'\\u{feff}'", "'\\u{d7ff}'", "'\\u{e000}'", "'\\u{ffff}'", "'\\u{10ffff}'"],
        "string" => &[
            "\"\"",
            "\"a\"",
            "\"\\u{0}\"",
            "\"\\u{feff}\"",
            "\"\\u{feff}a\"",
            "\"a\\u{feff}\"",
            "\"\\u{d7ff}\\u{e000}\"",
            "\"\\u{10ffff}\\u{ffff}\"",
            "\"\\r\\n\\t\"",
            "\"é\\u{301}\"",
        ],
        _ => &[],
    };
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_have_the_same_name_and_each_function_has_some() {
        let mirror = Mirror::read(&crate::repo::root().unwrap().join("wit")).unwrap();
        let (text, values) = cases(&mirror);
        let file: toml::Table = toml::from_str(&text).unwrap();
        let cases = file["case"].as_array().unwrap();
        let names: std::collections::BTreeSet<_> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
        assert_eq!((names.len(), values.len()), (cases.len(), cases.len()));
        for (name, _) in &mirror.echoes {
            assert!(names.iter().any(|case| case.starts_with(&format!("echo-{name}("))), "{name}");
        }
    }
}
