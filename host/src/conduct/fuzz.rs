//! Generated tests: calls with values made from the component's own types, each in fresh instances, made smaller where
//! one fails.
//!
//! Imports: what the host offers it answers itself, with nothing granted and with the clocks and random bytes of a
//! deterministic run; everything else gives the least value of its type, always. So a call fails for its arguments and
//! for nothing else, and the case that is written for it fails again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use wasmtime::component::Type;

use super::{Conductor, Loaded, default_policy};
use crate::call::{self, Function};
use crate::contract::{
    Call, Case, Expectation, Node, Problem, Sample, Seen, Status, Text, Times, Verdict, escape_quoted, inputs,
    smaller_arguments, smallest, toml, version,
};
use crate::outcome::Stop;
use crate::text::escape;

/// What is generated, and what is no failure.
#[derive(Clone, Debug, Default)]
pub struct Fuzz {
    /// Calls of each function.
    pub calls: u64,
    /// What all values follow from.
    pub seed: u64,
    /// Stop reasons that are expected.
    pub allow: Vec<String>,
}

/// What came of one function.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fuzzed {
    /// The function's full name.
    pub function: String,
    /// Calls that were made, without those that made a failing one smaller.
    pub calls: u64,
    /// How it went.
    #[serde(flatten)]
    pub found: Found,
}

/// How generated calls of a function went.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Found {
    /// All ended as they may.
    Held,
    /// It can't be judged.
    Skipped {
        /// Why.
        why: String,
    },
    /// One didn't.
    Failed {
        /// Of the call with the smallest values that still fails.
        verdict: Box<Verdict>,
        /// That call.
        call: String,
        /// Calls that it took to make it so small.
        tries: u64,
        /// The call as a case, in TOML.
        case: String,
    },
}

/// Calls that are made to find smaller values.
const MAX_TRIES: u64 = 1500;

/// In how many instances a call is made, to be compared.
const INSTANCES: u64 = 2;

/// What the component's imports answer.
struct Mocks {
    imports: Vec<Expectation>,
    real: Vec<String>,
}

impl Conductor {
    /// The full names of the functions that the component exports.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…`.
    pub async fn functions(&self) -> Result<Vec<String>, Stop> {
        Ok(self.load(&default_policy()).await?.exports.iter().map(Function::path).collect())
    }

    /// Calls one function with generated values, the same ones for the same seed, until one fails.
    pub async fn fuzz(&self, function: &str, fuzz: &Fuzz) -> Fuzzed {
        let mut fuzzed = Fuzzed { function: function.to_owned(), calls: 0, found: Found::Held };
        if let Err(why) = self.try_fuzz(fuzz, &mut fuzzed).await {
            fuzzed.found = Found::Skipped { why };
        }
        fuzzed
    }

    async fn try_fuzz(&self, fuzz: &Fuzz, fuzzed: &mut Fuzzed) -> Result<(), String> {
        let loaded = self.load(&default_policy()).await.map_err(|stop| format!("{}: {}", stop.reason, stop.message))?;
        let function = loaded.exports.iter().find(|function| function.path() == fuzzed.function);
        let function = function.ok_or("there is no such function")?;
        if !function.has_text_form() {
            return Err("a value that it takes or returns has no text form".to_owned());
        }
        let types: Vec<Type> = function.ty.params().map(|(_, ty)| ty).collect();
        let mocks = self.mocks(&loaded);
        // Without parameters all calls are the same one.
        let calls = if types.is_empty() { fuzz.calls.min(1) } else { fuzz.calls };
        let seed = seed(fuzz.seed, &fuzzed.function);
        for round in 0..calls {
            let samples = inputs(&types, seed, round).ok_or("its types have no value of reasonable size")?;
            fuzzed.calls += 1;
            let Some((kind, verdict)) = self.fails(&fuzzed.function, &samples, &mocks, INSTANCES, fuzz).await? else {
                continue;
            };
            let (samples, mut verdict, tries) =
                self.shrunk(&fuzzed.function, &types, samples, verdict, &kind, &mocks, fuzz).await;
            let alone = self.fails(&fuzzed.function, &samples, &mocks, 1, fuzz).await;
            let instances = match alone {
                Ok(Some((alone, _))) if alone == kind => 1,
                _ => INSTANCES,
            };
            let call = written(&fuzzed.function, &samples);
            verdict.name = format!("{}: {kind}", fuzzed.function);
            let returns = function.ty.results().len() > 0;
            let case = case(&verdict.name, &call, returns, instances, &mocks, (fuzz.seed, round));
            fuzzed.found = Found::Failed { verdict: Box::new(verdict), call, tries, case };
            break;
        }
        Ok(())
    }

    /// Whether a call fails, and as what: a stop's reason, or that it varies. An error where it can't be judged.
    async fn fails(
        &self,
        function: &str,
        samples: &[Sample],
        mocks: &Mocks,
        instances: u64,
        fuzz: &Fuzz,
    ) -> Result<Option<(String, Verdict)>, String> {
        let text = written(function, samples);
        let call = Call::parse(&text).map_err(|wrong| wrong.message)?;
        let case = Case::of_call(text, call, mocks.imports.clone(), mocks.real.clone(), instances);
        let verdict = self.run(&case).await;
        if verdict.status == Status::Passed {
            return Ok(None);
        }
        let kind = verdict.seen.iter().find_map(|seen| match seen {
            Seen::Stopped(reason) => Some(reason.clone()),
            Seen::Varied => Some("varies".to_owned()),
            _ => None,
        });
        match kind {
            Some(kind) if fuzz.allow.contains(&kind) => Ok(None),
            Some(kind) => Ok(Some((kind, verdict))),
            // It called what has no answer that could be written, or it doesn't fit.
            None => Err(verdict.problems.first().map_or(String::new(), |problem| problem.message.clone())),
        }
    }

    /// Goes on from whichever smaller values fail in the same way, until none does.
    #[expect(clippy::too_many_arguments, reason = "what a call is made of, which nothing else needs together")]
    async fn shrunk(
        &self,
        function: &str,
        types: &[Type],
        mut samples: Vec<Sample>,
        mut verdict: Verdict,
        kind: &str,
        mocks: &Mocks,
        fuzz: &Fuzz,
    ) -> (Vec<Sample>, Verdict, u64) {
        let mut tries = 0;
        loop {
            let mut better = None;
            for smaller in smaller_arguments(types, &samples) {
                if tries >= MAX_TRIES {
                    break;
                }
                tries += 1;
                if let Ok(Some((found, verdict))) = self.fails(function, &smaller, mocks, INSTANCES, fuzz).await
                    && found == kind
                {
                    better = Some((smaller, verdict));
                    break;
                }
            }
            let Some(found) = better else { return (samples, verdict, tries) };
            (samples, verdict) = found;
        }
    }

    /// What imports answer: the host where it offers the interface, and otherwise the least value of the type. What has
    /// none stays without an answer.
    fn mocks(&self, loaded: &Loaded) -> Mocks {
        let mut imports = Vec::new();
        let mut real = BTreeSet::new();
        for import in &loaded.component.facts().imports {
            if self.offers(import) {
                real.insert(version::split(import).0.to_owned());
            }
        }
        for function in &loaded.imports {
            if function.interface.as_ref().is_some_and(|interface| self.offers(interface)) {
                continue;
            }
            imports.extend(mock(function));
        }
        Mocks { imports, real: real.into_iter().collect() }
    }
}

fn mock(function: &Function) -> Option<Expectation> {
    let text = format!("{}({})", function.path(), vec!["_"; function.ty.params().len()].join(", "));
    let call = Text { value: Call::parse(&text).ok()?, text, line: 1 };
    let answer = match function.ty.results().next() {
        Some(ty) if call::has_text_form(&ty) => {
            let text = smallest(&ty)?.to_string();
            Some(Text { value: Node::parse(&text).ok()?, text, line: 1 })
        }
        Some(_) => return None,
        None => None,
    };
    let times = Times { least: 0, most: u64::MAX };
    Some(Expectation { call, answer, fault: None, delay: Duration::ZERO, times, replay: None })
}

fn written(function: &str, samples: &[Sample]) -> String {
    let args: Vec<String> = samples.iter().map(ToString::to_string).collect();
    format!("{function}({})", args.join(", "))
}

/// The seed of one function, so that it gets the same values whichever others there are.
fn seed(seed: u64, function: &str) -> u64 {
    // FNV-1a.
    function
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The case that fails as the call did.
fn case(name: &str, call: &str, returns: bool, instances: u64, mocks: &Mocks, found: (u64, u64)) -> String {
    let mut text = format!("# Found with seed {}, by call {}.\n[[case]]\n", found.0, found.1 + 1);
    // Writing to a string can't fail.
    let _ = writeln!(text, "name = {}\ncall = {}", toml(&format!("{name}, seed {}", found.0)), toml(call));
    if returns {
        text += "returns = '_'\n";
    }
    if instances > 1 {
        let _ = writeln!(text, "instances = {instances}");
    }
    if !mocks.real.is_empty() {
        let names: Vec<String> = mocks.real.iter().map(|name| toml(name)).collect();
        let _ = writeln!(text, "real = [{}]", names.join(", "));
    }
    if !mocks.imports.is_empty() {
        text += "order = 'any'\nimport = [\n";
        for import in &mocks.imports {
            let answer =
                import.answer.as_ref().map_or(String::new(), |text| format!(", answer = {}", toml(&text.text)));
            let _ = writeln!(text, "  {{ call = {}{answer}, times = 'any' }},", toml(&import.call.text));
        }
        text += "]\n";
    }
    text
}

impl Fuzzed {
    /// As a person reads it.
    pub fn text(&self) -> String {
        let name = escape(&self.function);
        match &self.found {
            Found::Held => format!("held    {name}: {}\n", calls(self.calls)),
            Found::Skipped { why } => format!("skipped {name}: {}\n", escape(why)),
            Found::Failed { verdict, call, tries, .. } => {
                let mut text = format!("FAILED  {name}: call {}, made smaller in {tries}\n", self.calls);
                let end = call.floor_char_boundary(500);
                let more = if end < call.len() { "…" } else { "" };
                let _ = writeln!(text, "        {}{more}", escape_quoted(call.get(..end).unwrap_or_default()));
                for Problem { message, lines, .. } in &verdict.problems {
                    let _ = writeln!(text, "        {message}");
                    for line in lines {
                        let _ = writeln!(text, "          {line}");
                    }
                }
                text
            }
        }
    }

    /// As the verdict on a case, for what build servers read; none where it was skipped.
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.found {
            Found::Failed { verdict, .. } => Some(Verdict::clone(verdict)),
            Found::Held => Some(Verdict {
                name: self.function.clone(),
                line: 0,
                status: Status::Passed,
                problems: Vec::new(),
                trace: Vec::new(),
                seen: Vec::new(),
                wall_ns: 0,
            }),
            Found::Skipped { .. } => None,
        }
    }
}

fn calls(count: u64) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}
