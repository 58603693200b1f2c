//! `cargo run -p host --example bench_policy`: how long a decision about a request takes, by the number of rules, and how
//! long it takes to find what two policies have in common.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark of patterns that are written here")]

use std::hint::black_box;
use std::time::Instant;

use host::policy::{HttpGrant, HttpIndex, HttpTarget, MAX_GRANTS, Policy};

/// Decisions in one round, where they don't depend on the number of rules.
const DECISIONS: usize = 20_000;

/// Rounds; the figure is their median.
const ROUNDS: usize = 21;

fn main() {
    println!("| rules | granted by the last rule | granted by none | every rule looked at |");
    println!("|---|---|---|---|");
    for rules in [1, 10, 100, 1_000, 10_000] {
        let grants: Vec<_> = (0..rules).map(|n| grant(n, rules)).collect();
        let index = HttpIndex::new(&grants);
        let last = format!("https://api.tenant-{}.example.com/v1/items", rules - 1);
        let by_index = |target: &HttpTarget| index.permitting(&grants, target).next().is_some();
        let granted = measure(DECISIONS, || black_box(by_index(&read(&last))));
        let denied = measure(DECISIONS, || black_box(!by_index(&read("https://api.elsewhere.example.com/v1/items"))));
        let each = measure((DECISIONS / rules).max(10), || {
            let target = read(&last);
            black_box(grants.iter().any(|grant| grant.permits(&target)))
        });
        println!("| {rules} | {granted:.0} ns | {denied:.0} ns | {each:.0} ns |");
    }
    println!("\n| grants of each policy | with nothing in common | the same | each with each |");
    println!("|---|---|---|---|");
    for rules in [10, 100, MAX_GRANTS] {
        let apart = meet(rules, |n| format!("https://a-{n}.example.com"), |n| format!("https://b-{n}.example.com"));
        let same = meet(rules, |n| format!("https://a-{n}.example.com"), |n| format!("https://a-{n}.example.com"));
        let each = meet(rules, |n| format!("https://*.example.com/{n}"), |n| format!("https://b-{n}.example.com"));
        println!("| {rules} | {apart} | {same} | {each} |");
    }
}

/// Milliseconds to find what two policies have in common, the median of a few times, and the number of grants.
fn meet(rules: usize, one: impl Fn(usize) -> String, other: impl Fn(usize) -> String) -> String {
    let policy = |pattern: &dyn Fn(usize) -> String| {
        let text: String = (0..rules).map(|n| format!("[[http]]\nallow = 'GET {}'\n", pattern(n))).collect();
        Policy::parse(&text).expect("a policy")
    };
    let (one, other) = (policy(&one), policy(&other));
    let mut times: Vec<(f64, usize)> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let met = black_box(one.meet(&other));
            (began.elapsed().as_secs_f64() * 1e3, met.grants.http.len())
        })
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    format!("{:.2} ms, {} in common", times[2].0, times[2].1)
}

/// One rule in four is for all names below one.
fn grant(n: usize, rules: usize) -> HttpGrant {
    let host =
        if n % 4 == 3 && n + 1 < rules { format!("*.t{n}.example.com") } else { format!("api.tenant-{n}.example.com") };
    HttpGrant::parse(&format!("GET,POST https://{host}/v1")).expect("a pattern")
}

/// Reading the target is a part of each decision.
fn read(url: &str) -> HttpTarget {
    HttpTarget::parse("GET", black_box(url)).expect("a target")
}

/// Nanoseconds of one decision, the median of the rounds.
fn measure(decisions: usize, mut decision: impl FnMut() -> bool) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..decisions {
                assert!(decision());
            }
            began.elapsed().as_secs_f64() * 1e9 / decisions as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
