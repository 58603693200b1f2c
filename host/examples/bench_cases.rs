//! `cargo run -p host --example bench_cases -- [COMPONENT] [CASES]`: what a behavioural case costs, a fresh instance each.
//!
//! Beside it stand what reading the file costs, and the same calls of the same component through the host alone, so that
//! what the runner of cases adds can be told from what an invocation costs.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use host::contract::{Status, Suite};
use host::{Conductor, Host, Input, Invocation, Policy, Tenant};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Rounds; the figures are medians.
const ROUNDS: usize = 9;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let component = args.next().unwrap_or_else(|| "target/guests/rust/redact.wasm".to_owned());
    let cases: usize = args.next().map_or(Ok(2000), |text| text.parse()).context("CASES is a number")?;
    let bytes = std::fs::read(&component).with_context(|| format!("failed to read `{component}`"))?;
    let text = file(cases);
    let suite = Arc::new(Suite::parse(&text)?);
    let conductor = Arc::new(Conductor::new(bytes.clone()).await.map_err(|stop| anyhow::anyhow!(stop.message))?);
    let policy = Policy::parse("deterministic = 0")?;
    let host = Arc::new(Host::new()?);
    let compiled = host.load(bytes, &policy).await.map_err(|stop| anyhow::anyhow!(stop.message))?;
    let tenant = Tenant::new("bench", policy)?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut rows: [Vec<Cost>; 4] = Default::default();
    for round in 0..=ROUNDS {
        let costs = [
            measure(cases, async || {
                std::hint::black_box(Suite::parse(&text)?);
                Ok(())
            })
            .await?,
            measure(cases, async || run(&conductor, &suite, 1).await).await?,
            measure(cases, async || run(&conductor, &suite, processors).await).await?,
            measure(cases, async || {
                for n in 0..cases {
                    let input = Input { body: body(n).into_bytes(), content_type: None, attributes: Vec::new() };
                    let ended = host.invoke(Invocation::job(&compiled, &tenant, input)).await;
                    anyhow::ensure!(ended.outcome.stop().is_none(), "{:?}", ended.receipt.stop);
                }
                Ok(())
            })
            .await?,
        ];
        // The first round only warms up.
        for (row, cost) in rows.iter_mut().zip(costs).filter(|_| round > 0) {
            row.push(cost);
        }
    }
    println!("{cases} cases of `{component}`, a fresh instance each: medians of {ROUNDS} rounds, for one case");
    println!("| what | processor, us | wall, us | cases a second by processor time | by the wall |");
    println!("|---|---|---|---|---|");
    let names =
        ["reading the file", "cases, one at a time", "cases, as many as processors", "the host alone, one at a time"];
    for (name, row) in names.iter().zip(&rows) {
        let (cpu, wall) = (median(row.iter().map(|cost| cost.cpu)), median(row.iter().map(|cost| cost.wall)));
        println!("| {name} | {cpu:.1} | {wall:.1} | {:.0} | {:.0} |", 1e6 / cpu, 1e6 / wall);
    }
    Ok(())
}

fn body(n: usize) -> String {
    format!("mail ann{n}@example.com from 192.0.2.{}\n", n % 250)
}

fn file(cases: usize) -> String {
    let mut text = String::from("[defaults]\nreal = [\"sandbox:host/config\", \"sandbox:host/log\"]\n");
    for n in 0..cases {
        text += &format!(
            "\n[[case]]\nname = \"case {n}\"\ninput = {:?}\noutput = \"mail [email] from [ipv4]\\n\"\n\
             log = \"info redact: email=1 card=0 ipv4=1 ipv6=0 token=0\"\n",
            body(n)
        );
    }
    text
}

/// Runs all cases, so many at once.
async fn run(conductor: &Arc<Conductor>, suite: &Arc<Suite>, jobs: usize) -> anyhow::Result<()> {
    let places = Arc::new(Semaphore::new(jobs));
    let mut tasks = JoinSet::new();
    for n in 0..suite.cases.len() {
        let (conductor, suite) = (Arc::clone(conductor), Arc::clone(suite));
        let place = Arc::clone(&places).acquire_owned().await?;
        tasks.spawn(async move {
            let case = suite.cases.get(n).context("there is a case")?;
            let verdict = conductor.run(case).await;
            drop(place);
            anyhow::ensure!(verdict.status == Status::Passed, "{}", verdict.text());
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Microseconds for one case.
struct Cost {
    wall: f64,
    cpu: f64,
}

async fn measure(cases: usize, work: impl AsyncFnOnce() -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    let (began, cpu) = (Instant::now(), process_cpu());
    work().await?;
    let cases = cases as f64 / 1e6;
    Ok(Cost { wall: began.elapsed().as_secs_f64() / cases, cpu: (process_cpu() - cpu) / cases })
}

/// Seconds that the processors spent on this process.
fn process_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
