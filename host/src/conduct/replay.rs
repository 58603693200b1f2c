//! Both sides of a mock: what a case answers for an import of the host is asked of the host itself, with the same
//! arguments, so that the cases can't drift from what guests really get.
//!
//! The host is asked through a guest that passes calls on, in a fresh instance for each call, with nothing granted but
//! the configuration under `replay`. What the host doesn't offer is somebody else's to answer.

use std::collections::BTreeSet;

use super::{Conductor, default_policy};
use crate::call::Function;
use crate::contract::{Call, Case, Expectation, Expected, Path, Status, Step, Verdict, Work, forwarder, version};
use crate::outcome::Stop;
use crate::text::escape;

/// What the host answered where cases answer for it.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// One for each call that a case answers, named for both.
    pub verdicts: Vec<Verdict>,
    /// Calls that couldn't be made: their names, and why.
    pub skipped: Vec<(String, String)>,
}

impl Conductor {
    /// Makes the imported calls of these cases on the host's own functions, and compares the answers.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…`, or a fault of ours.
    pub async fn replay(&self, cases: &[Case]) -> Result<Replayed, Stop> {
        let loaded = self.load(&default_policy()).await?;
        let mut replayed = Replayed::default();
        let mut asked = Vec::new();
        for case in cases {
            for expectation in &case.imports {
                let name = format!("{}: {}", case.name, expectation.call.text);
                match self.replayable(expectation, &loaded.imports) {
                    Ok(Some(path)) => asked.push((name, path, case, expectation)),
                    Ok(None) => {}
                    Err(why) => replayed.skipped.push((name, why)),
                }
            }
        }
        if asked.is_empty() {
            return Ok(replayed);
        }
        let paths: BTreeSet<Path> = asked.iter().map(|(_, path, ..)| path.clone()).collect();
        let (guest, names) = forwarder(paths.into_iter()).map_err(Stop::host_fault)?;
        let conductor = Self::new(guest).await?;
        for (name, path, case, expectation) in asked {
            let Some(export) = names.get(&path) else { continue };
            let mut verdict = conductor.run(&question(export, &path, case, expectation)).await;
            verdict.name = name;
            verdict.line = expectation.call.line;
            for problem in &mut verdict.problems {
                if verdict.status == Status::Failed && problem.message.ends_with("the value differs") {
                    problem.message = "the host answers otherwise than the case".to_owned();
                }
            }
            replayed.verdicts.push(verdict);
        }
        Ok(replayed)
    }

    /// The function of the host that an expectation is about; none where the host doesn't offer it, and an error where it
    /// can't be asked.
    fn replayable(&self, expectation: &Expectation, imports: &[Function]) -> Result<Option<Path>, String> {
        let call = &expectation.call.value;
        let mut meant = imports.iter().filter(|function| function.is_meant(&call.path));
        let (Some(function), None) = (meant.next(), meant.next()) else {
            return Err(format!("the component imports no one function `{}`", escape(&call.path)));
        };
        let Some(interface) = function.interface.as_ref().filter(|interface| self.offers(interface)) else {
            return Ok(None);
        };
        if expectation.fault.is_some() {
            return Err("what the case answers is a fault".to_owned());
        }
        if !function.has_text_form() {
            return Err("a value that it takes or returns has no text form".to_owned());
        }
        if call.args.iter().any(crate::contract::Node::is_pattern) {
            return Err("its arguments are a pattern, which is no call".to_owned());
        }
        Ok(Some((version::split(interface).0.to_owned(), function.name.clone())))
    }
}

/// The case that asks the host: the same arguments, and the answer as a pattern.
fn question(export: &str, (interface, _): &Path, case: &Case, expectation: &Expectation) -> Case {
    let args = expectation.call.text.find('(').and_then(|at| expectation.call.text.get(at..)).unwrap_or("()");
    let call = Call { path: export.to_owned(), args: expectation.call.value.args.clone() };
    let mut question = Case::of_call(format!("{export}{args}"), call, Vec::new(), vec![interface.clone()], 1);
    question.config = case.replay.clone();
    let expected = expectation.replay.as_ref().or(expectation.answer.as_ref());
    if let (Work::Calls(steps), Some(pattern)) = (&mut question.work, expected) {
        for step in steps {
            if let Step::Call(call) = step {
                call.expected = Expected::Value(pattern.clone());
            }
        }
    }
    question
}
