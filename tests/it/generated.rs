//! `host test --fuzz` and `--replay`: bugs that are planted are found, made small, and written as cases that fail again;
//! and answers that a mock gives are the host's. `tests/cli/test.txt` has what people see of both.

use host::contract::{Status, Suite};
use host::{Conductor, Found, Fuzz, Fuzzed};

use crate::support::{guest, root};

async fn conductor(path: &str) -> Conductor {
    Conductor::new(std::fs::read(root().join(path)).unwrap()).await.unwrap()
}

fn fuzz(seed: u64, allow: &[&str]) -> Fuzz {
    Fuzz { calls: 200, seed, allow: allow.iter().map(|&reason| reason.to_owned()).collect() }
}

/// The call that a function fails with, and the case for it.
fn failed(fuzzed: &Fuzzed) -> (&str, &str) {
    let Found::Failed { call, case, .. } = &fuzzed.found else { panic!("{fuzzed:?}") };
    (call, case)
}

#[tokio::test]
async fn every_planted_bug_is_found_made_small_and_fails_again_as_a_case() {
    let conductor = conductor("tests/contract/edges.wat").await;
    for (function, smallest, kind) in [
        ("deep", "deep(some(none))", "trapped"),
        ("exact", "exact(9007199254740993)", "trapped"),
        ("many", "many(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1001)", "trapped"),
        ("text", "text(\"\\u{0}\")", "trapped"),
        ("down", "down(blue)", "limit.stack"),
        ("chance", "chance(true)", "answers differently"),
    ] {
        let fuzzed = conductor.fuzz(function, &fuzz(5, &[])).await;
        let (call, case) = failed(&fuzzed);
        assert_eq!(call, smallest, "{}", fuzzed.text());
        let suite = Suite::parse(case).unwrap_or_else(|errors| panic!("{case}: {errors}"));
        let again = conductor.run(&suite.cases[0]).await;
        assert_eq!(again.status, Status::Failed, "{case}");
        assert!(again.text().contains(kind), "{}", again.text());
    }
    let long = conductor.fuzz("long", &fuzz(5, &[])).await;
    assert_eq!(failed(&long).0.matches('0').count(), 301, "{}", long.text());
    for function in ["priced", "fine"] {
        let fuzzed = conductor.fuzz(function, &fuzz(5, &[])).await;
        assert!(matches!(fuzzed.found, Found::Held) && fuzzed.calls == 200, "{fuzzed:?}");
    }
}

#[tokio::test]
async fn a_stop_that_is_expected_is_no_failure() {
    let conductor = conductor("tests/contract/edges.wat").await;
    let fuzzed = conductor.fuzz("down", &fuzz(5, &["limit.stack"])).await;
    assert!(matches!(fuzzed.found, Found::Held), "{}", fuzzed.text());
    let fuzzed = conductor.fuzz("down", &fuzz(5, &["limit.memory"])).await;
    assert!(matches!(fuzzed.found, Found::Failed { .. }), "{fuzzed:?}");
}

#[tokio::test]
async fn one_seed_gives_the_same_calls_and_another_one_others() {
    let conductor = conductor("tests/contract/edges.wat").await;
    let found = async |seed| {
        let fuzzed = conductor.fuzz("exact", &fuzz(seed, &[])).await;
        (fuzzed.calls, failed(&fuzzed).1.to_owned())
    };
    let (one, again) = (found(11).await, found(11).await);
    assert_eq!(one, again);
    let mut firsts = Vec::new();
    for seed in 0..10 {
        firsts.push(found(seed).await.0);
    }
    firsts.dedup();
    assert!(firsts.len() > 1, "{firsts:?}");
}

/// Functions with handles are left out by name, and the others of a component in a language all hold but the one that
/// traps always.
#[tokio::test]
async fn every_function_of_a_sample_holds() {
    let conductor = Conductor::new(std::fs::read(guest("rust/values.wasm")).unwrap()).await.unwrap();
    let (mut held, mut skipped, mut wrong) = (0, 0, Vec::new());
    for function in conductor.functions().await.unwrap() {
        let fuzzed = conductor.fuzz(&function, &Fuzz { calls: 30, seed: 1, allow: Vec::new() }).await;
        match fuzzed.found {
            Found::Held => held += 1,
            Found::Skipped { .. } => skipped += 1,
            Found::Failed { .. } => wrong.push(fuzzed.function),
        }
    }
    assert_eq!(wrong, ["demo:values/everything@1.2.0#trap"]);
    assert!(held > 25 && skipped >= 3, "{held} {skipped}");
}

/// Clocks and random bytes are the same in every run, unless a case asks for several instances.
#[tokio::test]
async fn cases_are_deterministic_by_default() {
    let conductor = conductor("tests/contract/edges.wat").await;
    let case = |rest: &str| {
        let text = format!("[[case]]\nname = 'a'\ncall = 'chance(true)'\nreal = 'wasi:random/random'\n{rest}\n");
        Suite::parse(&text).unwrap().cases.remove(0)
    };
    let found = |text: String| text.lines().find_map(|line| line.trim().strip_prefix("found  ")).unwrap().to_owned();
    let seen = found(conductor.run(&case("")).await.text());
    let same = conductor.run(&case(&format!("returns = '{seen}'"))).await;
    assert_eq!(same.status, Status::Passed, "{}", same.text());
    let varies = conductor.run(&case("returns = '_'\ninstances = 2")).await;
    assert!(varies.text().contains("answers differently in two fresh instances"), "{}", varies.text());
    let one = conductor.run(&case("returns = '_'\ninstances = 1")).await;
    assert_eq!(one.status, Status::Passed, "{}", one.text());
}

#[tokio::test]
async fn what_mocks_answer_is_what_the_host_answers() {
    let conductor = Conductor::new(std::fs::read(guest("rust/redact.wasm")).unwrap()).await.unwrap();
    let cases = |file: &str| {
        let text = std::fs::read_to_string(root().join("tests/contract").join(file)).unwrap();
        Suite::parse(&text).unwrap_or_else(|errors| panic!("{errors}")).cases
    };
    let mocked = cases("redact-mocked.toml");
    for case in &mocked {
        let verdict = conductor.run(case).await;
        assert_eq!(verdict.status, Status::Passed, "{}", verdict.text());
    }
    let replayed = conductor.replay(&mocked).await.unwrap();
    let wrong: Vec<String> =
        replayed.verdicts.iter().filter(|verdict| verdict.status != Status::Passed).map(|v| v.text()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!((replayed.verdicts.len(), replayed.skipped.len()), (5, 0));
    let drifted = conductor.replay(&cases("redact-drifted.toml")).await.unwrap();
    let statuses: Vec<Status> = drifted.verdicts.iter().map(|verdict| verdict.status).collect();
    assert_eq!(statuses, [Status::Passed, Status::Failed, Status::Failed, Status::Passed]);
    assert_eq!(drifted.skipped.len(), 2, "{:?}", drifted.skipped);
}
