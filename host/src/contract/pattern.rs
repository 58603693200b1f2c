//! Values and patterns in the text form of WIT values (WAVE), read with a place for everything that is wrong.
//!
//! A pattern is a value in which `_` stands for anything, `~"…"` for a string that has a match of the regular expression,
//! `~1.5` for a number about that, `~1.5+-0.1` for one within a distance, and `..` at the end of a list or a record for
//! whatever else there is. `$name` is a resource that has a name in its case. What is no pattern is the same text as
//! everywhere else.

use std::ops::Range;

use regex_automata::meta::Regex;

/// A part of a value or pattern, with its place in the text.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a part of a pattern stands for.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Any,
    Regex(Box<Regex>),
    About {
        value: f64,
        within: f64,
    },
    Number(String),
    Text(String),
    Char(char),
    /// An enum's case, a variant's case without a value, `true`, `none`, `nan` …
    Name(String),
    Case(String, Box<Node>),
    List(Vec<Node>, Rest),
    Tuple(Vec<Node>),
    Record(Vec<(String, Range<usize>, Node)>, Rest),
    Flags(Vec<(String, Range<usize>)>),
    /// A resource that a step before this one has named.
    Handle(String),
}

/// Whether there may be more than what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    Anything,
}

/// A call: the function's path, and its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function, as in `ns:pkg/iface#func`.
    pub path: String,
    /// The arguments, in order.
    pub args: Vec<Node>,
}

/// What is wrong with a text, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
}

/// Brackets that a text may nest.
const MAX_DEPTH: usize = 64;

/// How far a number may be off where no distance is said, as a part of it.
const ABOUT: f64 = 1e-6;

impl Node {
    /// Reads a value or pattern.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let node = parser.node()?;
        parser.end()?;
        Ok(node)
    }

    /// The name of the resource that this stands for, where it is one.
    pub(crate) fn handle(&self) -> Option<&str> {
        match &self.kind {
            Kind::Handle(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it stands for more than one value.
    pub(crate) fn is_pattern(&self) -> bool {
        match &self.kind {
            Kind::Any | Kind::Regex(_) | Kind::About { .. } => true,
            Kind::List(nodes, rest) => *rest == Rest::Anything || nodes.iter().any(Self::is_pattern),
            Kind::Record(fields, rest) => {
                *rest == Rest::Anything || fields.iter().any(|(_, _, node)| node.is_pattern())
            }
            Kind::Tuple(nodes) => nodes.iter().any(Self::is_pattern),
            Kind::Case(_, node) => node.is_pattern(),
            Kind::Number(_) | Kind::Text(_) | Kind::Char(_) | Kind::Name(_) | Kind::Flags(_) | Kind::Handle(_) => false,
        }
    }

    /// Its place in the text.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl Call {
    /// Reads `ns:pkg/iface#func(args)`; without arguments the brackets may be left out.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let open = text.find('(').unwrap_or(text.len());
        let path = text.get(..open).unwrap_or_default().trim().to_owned();
        if path.is_empty() {
            return Err(Wrong { span: 0..open.max(1).min(text.len()), message: "a function's name is missing".into() });
        }
        let mut parser = Parser { text, at: open, depth: 0 };
        let args = if open < text.len() { parser.several('(', ')')?.0 } else { Vec::new() };
        parser.end()?;
        Ok(Self { path, args })
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start().len();
        self.at += blanks;
        self.rest().chars().next()
    }

    fn takes(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn wrong<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T, Wrong> {
        let start = span.start.min(self.text.len());
        Err(Wrong { span: start..span.end.clamp(start, self.text.len()), message: message.into() })
    }

    fn unexpected<T>(&mut self, expected: &str) -> Result<T, Wrong> {
        match self.peek() {
            Some(found) => {
                self.wrong(self.at..self.at + found.len_utf8(), format!("expected {expected}, found `{found}`"))
            }
            None => self.wrong(self.at..self.at, format!("expected {expected}, and the text ends")),
        }
    }

    fn end(&mut self) -> Result<(), Wrong> {
        if self.peek().is_some() { self.unexpected("the end") } else { Ok(()) }
    }

    fn node(&mut self) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong(self.at..self.at, format!("it nests deeper than {MAX_DEPTH} levels"));
        }
        let first = self.peek();
        let start = self.at;
        let kind = match first {
            Some('_') => {
                self.at += 1;
                Kind::Any
            }
            Some('~') => self.about()?,
            Some('"') => Kind::Text(self.quoted('"')?),
            Some('\'') => {
                let text = self.quoted('\'')?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(one), None) => Kind::Char(one),
                    _ => return self.wrong(start..self.at, "a `char` is exactly one character"),
                }
            }
            Some('$') => {
                self.at += 1;
                Kind::Handle(self.name()?.0)
            }
            Some('[') => {
                let (nodes, rest) = self.several('[', ']')?;
                Kind::List(nodes, rest)
            }
            Some('(') => match self.several('(', ')')? {
                (nodes, Rest::Nothing) => Kind::Tuple(nodes),
                _ => return self.wrong(start..self.at, "`..` is for lists and records"),
            },
            Some('{') => self.braces()?,
            Some('-' | '0'..='9') => self.number(),
            Some(c) if c.is_ascii_alphabetic() || c == '%' => self.named()?,
            _ => return self.unexpected("a value"),
        };
        self.depth -= 1;
        Ok(Node { span: start..self.at, kind })
    }

    fn about(&mut self) -> Result<Kind, Wrong> {
        let start = self.at;
        self.at += 1;
        if self.rest().starts_with('"') {
            let text = self.quoted('"')?;
            return match Regex::new(&text) {
                Ok(regex) => Ok(Kind::Regex(Box::new(regex))),
                Err(error) => {
                    let why = error.to_string();
                    let why = why.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    self.wrong(start..self.at, format!("the regular expression is wrong: {why}"))
                }
            };
        }
        let mut number = || -> Option<f64> {
            let Kind::Number(text) = self.number() else { return None };
            text.parse().ok()
        };
        let Some(value) = number() else {
            return self.wrong(start..self.at + 1, "after `~` comes a string or a number");
        };
        let within = if self.takes("+-") {
            self.peek();
            let Kind::Number(text) = self.number() else { return self.unexpected("a number") };
            match text.parse::<f64>() {
                Ok(within) if within >= 0.0 => within,
                _ => return self.wrong(start..self.at, "after `+-` comes a number that isn't negative"),
            }
        } else {
            value.abs() * ABOUT
        };
        Ok(Kind::About { value, within })
    }

    fn number(&mut self) -> Kind {
        let rest = self.rest();
        if rest.starts_with("-inf") {
            self.at += 4;
            return Kind::Number("-inf".into());
        }
        let mut end = 0;
        let mut before = ' ';
        for c in rest.chars() {
            // A sign stands at the beginning and after an exponent; `+-` is not part of a number.
            let sign = (c == '-' && end == 0) || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E'));
            if !(c.is_ascii_digit()
                || sign
                || matches!(c, 'e' | 'E')
                || (c == '.' && !rest.get(end..).is_some_and(|rest| rest.starts_with(".."))))
            {
                break;
            }
            before = c;
            end += 1;
        }
        let text = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        Kind::Number(text)
    }

    fn name(&mut self) -> Result<(String, Range<usize>), Wrong> {
        self.peek();
        let start = self.at;
        let escaped = usize::from(self.rest().starts_with('%'));
        let rest = self.rest().get(escaped..).unwrap_or_default();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default().to_owned();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.unexpected("a name");
        }
        self.at += escaped + length;
        Ok((name, start..self.at))
    }

    fn named(&mut self) -> Result<Kind, Wrong> {
        let (name, span) = self.name()?;
        if !self.rest().starts_with('(') {
            return Ok(Kind::Name(name));
        }
        let (mut nodes, rest) = self.several('(', ')')?;
        match (nodes.pop(), nodes.is_empty(), rest) {
            (Some(one), true, Rest::Nothing) => Ok(Kind::Case(name, Box::new(one))),
            _ => self.wrong(span.start..self.at, format!("`{name}` holds exactly one value")),
        }
    }

    fn several(&mut self, open: char, close: char) -> Result<(Vec<Node>, Rest), Wrong> {
        let (mut nodes, mut rest) = (Vec::new(), Rest::Nothing);
        self.at += open.len_utf8();
        while self.peek() != Some(close) {
            if self.takes("..") {
                rest = Rest::Anything;
                if self.peek() == Some(close) {
                    break;
                }
                return self.unexpected(&format!("`{close}` after `..`"));
            }
            nodes.push(self.node()?);
            if !self.takes(",") && self.peek() != Some(close) {
                return self.unexpected(&format!("`,` or `{close}`"));
            }
        }
        self.at += close.len_utf8();
        Ok((nodes, rest))
    }

    fn braces(&mut self) -> Result<Kind, Wrong> {
        self.at += 1;
        let (mut fields, mut flags, mut rest) = (Vec::new(), Vec::new(), Rest::Nothing);
        // A record without fields.
        let empty_record = self.takes(":");
        while self.peek() != Some('}') {
            if self.takes("..") {
                rest = Rest::Anything;
                if self.peek() == Some('}') {
                    break;
                }
                return self.unexpected("`}` after `..`");
            }
            let (name, span) = self.name()?;
            if self.takes(":") {
                fields.push((name, span, self.node()?));
            } else {
                flags.push((name, span));
            }
            if !self.takes(",") && self.peek() != Some('}') {
                let expected = if flags.is_empty() { "`,` or `}`" } else { "`:`, `,` or `}`" };
                return self.unexpected(expected);
            }
        }
        self.at += 1;
        match (fields.is_empty(), flags.first()) {
            (false, Some((name, span))) => self.wrong(span.clone(), format!("the field `{name}` has no value")),
            (true, _) if rest == Rest::Nothing && !empty_record => Ok(Kind::Flags(flags)),
            _ => Ok(Kind::Record(fields, rest)),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let Some(c) = self.rest().chars().next() else {
                return self.wrong(start..self.text.len(), "the quotation has no end");
            };
            let at = self.at;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(text),
                '\\' => {
                    let escape = self.rest().chars().next().unwrap_or(' ');
                    self.at += escape.len_utf8();
                    text.push(match escape {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        '\\' | '"' | '\'' => escape,
                        'u' => match self.code_point() {
                            Some(c) => c,
                            None => return self.wrong(at..self.at, "a code point is written `\\u{…}`"),
                        },
                        other => return self.wrong(at..self.at, format!("there is no escape `\\{other}`")),
                    });
                }
                c => text.push(c),
            }
        }
    }

    fn code_point(&mut self) -> Option<char> {
        let rest = self.rest();
        let end = rest.find('}')?;
        let digits = rest.get(..end)?.strip_prefix('{')?;
        let found = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        self.at += end + 1;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_its_place() {
        let wrong = |text: &str| {
            let wrong = Node::parse(text).unwrap_err();
            format!("{}..{} {}", wrong.span.start, wrong.span.end, wrong.message)
        };
        assert_eq!(wrong("{x: 1 y: 2}"), "6..7 expected `,` or `}`, found `y`");
        assert_eq!(wrong("[1, 2"), "5..5 expected `,` or `]`, and the text ends");
        assert_eq!(wrong("\"a"), "0..2 the quotation has no end");
        assert_eq!(wrong("\"a\\q\""), "2..4 there is no escape `\\q`");
        assert_eq!(wrong("'ab'"), "0..4 a `char` is exactly one character");
        assert_eq!(wrong("1 2"), "2..3 expected the end, found `2`");
        assert_eq!(wrong("{a: 1, b}"), "7..8 the field `b` has no value");
        assert!(wrong("~\"(\"").contains("regular expression"));
        assert!(wrong(&"[".repeat(65)).contains("deeper than 64"));
        assert!(Node::parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn every_form_is_read() {
        for text in [
            "_",
            "~\"^a.*z$\"",
            "~1.5",
            "~-1e-3",
            "~1.5 +- 0.25",
            "-12",
            "1.5e+10",
            "-inf",
            "nan",
            "\"\\u{1f980} \\\" \\n\"",
            "'x'",
            "'\\''",
            "some(none)",
            "ok(_)",
            "[]",
            "[1, 2,]",
            "[1, ..]",
            "(1, \"a\")",
            "{}",
            "{:}",
            "{a, b}",
            "{x: 1, y: {z: _}, ..}",
            "{..}",
            "%true",
            "a-b(c)",
            "$cart-2",
        ] {
            assert!(Node::parse(text).is_ok(), "{text}: {:?}", Node::parse(text));
        }
        let call = Call::parse(" a:b/c@0.1.0#f (1, {x: _}) ").unwrap();
        assert_eq!((call.path.as_str(), call.args.len()), ("a:b/c@0.1.0#f", 2));
        assert_eq!(Call::parse("f").unwrap().args.len(), 0);
        assert!(Call::parse("(1)").is_err() && Call::parse("f(1").is_err() && Call::parse("f(1) 2").is_err());
    }
}
