//! Steps of a session: calls, with a name for the resource that one returns, and drops.

use super::{Reader, Table, Value};
use crate::contract::cases::{Expected, Places, Step, StepCall, StepPlace, Text};
use crate::contract::pattern::{Call, Node, Wrong};

const STEP: &[&str] = &["call", "drop", "let", "returns"];

impl Reader<'_> {
    pub(super) fn steps(&mut self, steps: &Value<'_>, places: &mut Places) -> Option<Vec<Step>> {
        places.stepwise = true;
        let mut read = Vec::new();
        for value in self.tables("step", steps) {
            let table = self.table("step", value, STEP)?;
            match (table.get("drop"), table.get("call"), table.get("let"), table.get("returns")) {
                (Some(name), None, None, None) => {
                    places.steps.push(StepPlace::None);
                    read.push(Step::Drop(self.handle("drop", name)?));
                }
                (None, Some(_), ..) => read.push(self.step(&table, places)?),
                _ => {
                    self.error(table.span.clone(), "a step has either `call` or `drop`".to_owned());
                    return None;
                }
            }
        }
        Some(read)
    }

    pub(super) fn step(&mut self, table: &Table<'_, '_>, places: &mut Places) -> Option<Step> {
        let Some(value) = table.get("call") else {
            self.error(table.span.clone(), "the step has no `call`".to_owned());
            return None;
        };
        let call = self.text("call", value, Call::parse)?;
        let (binds, returns) = (table.get("let"), table.get("returns"));
        if let (Some(value), Some(_)) = (binds, returns) {
            let message = "a step has `returns` or `let`, which takes the resource that is returned";
            self.error(value.span(), message.to_owned());
            return None;
        }
        let end = value.span().end;
        let rest = self.text.get(end..).unwrap_or_default();
        let line = rest.find('\n').map_or(rest.len(), |at| at + 1);
        places.steps.push(match returns {
            Some(value) => StepPlace::Value(value.span()),
            None if self.text.get(table.span.clone()).is_some_and(|text| text.starts_with('{')) => {
                StepPlace::Inline(end)
            }
            None => StepPlace::Line(end + line),
        });
        let binds = match binds {
            Some(value) => Some(self.handle("let", value)?),
            None => None,
        };
        let expected = match returns {
            Some(value) => Expected::Value(self.text("returns", value, Node::parse)?),
            None => Expected::Nothing,
        };
        Some(Step::Call(StepCall { call, expected, binds }))
    }

    /// The name of a resource in its case.
    fn handle(&mut self, key: &str, value: &Value<'_>) -> Option<Text<String>> {
        self.text(key, value, |text| {
            let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if letters && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Ok(text.to_owned());
            }
            let message =
                format!("`{key}` is a name: letters, digits and `-`, without the `$` that stands before its use");
            Err(Wrong { span: 0..text.len(), message })
        })
    }
}
