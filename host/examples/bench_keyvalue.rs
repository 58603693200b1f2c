//! What a key-value operation costs through a guest, against the same on the store itself, in pairs.
//!
//! `cargo run --release --example bench_keyvalue [REDIS-URL]`, after `cargo xtask build-guests --lang rust --guest
//! keyvalue`. Each line has medians of several rounds, in which both sides take turns. A file's reads are compared twice:
//! with the database called on the spot, and with the way that any asynchronous program has to go, which is a thread
//! that may block.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use host::{Buffer, Component, Host, Invocation, Policy, Sink, Tenant};
use redb::{Database, ReadableDatabase as _, TableDefinition};

const ROUNDS: usize = 15;
const VALUE: usize = 100;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("raw");

type Fallible<T> = Result<T, Box<dyn Error>>;

struct Bench {
    host: Host,
    component: Component,
    policy: String,
}

impl Bench {
    /// Nanoseconds of one operation, as the guest measures them.
    async fn guest(&self, commands: &str) -> Fallible<f64> {
        let mut policy = Policy::parse(&self.policy)?;
        policy.grants.args = commands.split(' ').map(str::to_owned).collect();
        let tenant = Tenant::new("bench", policy)?;
        let output = Buffer::default();
        let invocation = Invocation::command(&self.component, &tenant).stdout(Sink::Buffer(output.clone()));
        let ended = self.host.invoke(invocation).await;
        let text = String::from_utf8(output.take())?;
        let last = text.lines().last().ok_or_else(|| format!("no output: {:?}", ended.receipt.stop))?;
        Ok(last.parse().map_err(|_| format!("the guest says `{last}`"))?)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(name: &str, raw: Vec<f64>, ours: Vec<f64>) {
    let ratio = median(raw.iter().zip(&ours).map(|(raw, ours)| ours / raw).collect());
    println!("{name:32} raw {:9.0} ns   ours {:9.0} ns   ratio {ratio:5.2}", median(raw), median(ours));
}

async fn timed<F: Future<Output = Fallible<()>>>(times: u32, mut call: impl FnMut() -> F) -> Fallible<f64> {
    let began = Instant::now();
    for _ in 0..times {
        call().await?;
    }
    Ok(began.elapsed().as_nanos() as f64 / f64::from(times))
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let folder = tempfile::tempdir_in(".")?;
    let host: Host = Host::new()?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let bytes = std::fs::read(format!("{root}/target/guests/rust/probes/keyvalue.wasm"))?;
    let component = host.load(bytes, &Policy::default()).await?;
    let bucket = |name: &str, store: &str| {
        format!("[[key-value]]\nbucket = '{name}'\nstore = '{store}'\naccess = 'read-write'\n")
    };
    let redis = std::env::args().nth(1);
    let mut policy = "stdio = { stdout = true }\nlimits = { wall = '10m', cpu = '10m' }\n".to_owned();
    policy += &bucket("memory", "memory");
    policy += &bucket("file", &format!("file:{}", folder.path().join("ours.redb").display()));
    if let Some(url) = &redis {
        policy += &bucket("redis", url);
    }
    let bench = Bench { host, component, policy };
    memory(&bench).await?;
    file(&bench, folder.path()).await?;
    match redis {
        Some(url) => server(&bench, &url).await,
        None => Ok(()),
    }
}

async fn memory(bench: &Bench) -> Fallible<()> {
    let map = std::sync::Mutex::new(std::collections::BTreeMap::from([("k".to_owned(), vec![b'x'; VALUE])]));
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let get = || async {
            let value = map.lock().map_err(|_| "poisoned")?.get(std::hint::black_box("k")).cloned();
            std::hint::black_box(value);
            Ok(())
        };
        raw.push(timed(20_000, get).await?);
        ours.push(bench.guest(&format!("memory set k @{VALUE} get-often 20000 k")).await?);
    }
    report("memory get", raw, ours);
    Ok(())
}

async fn file(bench: &Bench, folder: &std::path::Path) -> Fallible<()> {
    let database = Arc::new(Database::create(folder.join("raw.redb"))?);
    let put = |database: &Database| -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?.insert(b"k".as_slice(), [b'x'; VALUE].as_slice())?;
        transaction.commit()?;
        Ok(())
    };
    let read = |database: &Database| -> Result<Option<Vec<u8>>, redb::Error> {
        let value = database.begin_read()?.open_table(TABLE)?.get(b"k".as_slice())?;
        Ok(value.map(|value| value.value().to_vec()))
    };
    let (mut set, mut our_set) = (Vec::new(), Vec::new());
    let (mut spot, mut thread, mut our_get) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        set.push(timed(50, || async { Ok(put(&database)?) }).await?);
        our_set.push(bench.guest(&format!("file set-often @{VALUE} 50 k")).await?);
        let on_the_spot = || async {
            std::hint::black_box(read(&database)?);
            Ok(())
        };
        spot.push(timed(2000, on_the_spot).await?);
        let on_thread = || {
            let database = Arc::clone(&database);
            async move {
                let value = tokio::task::spawn_blocking(move || read(&database)).await??;
                std::hint::black_box(value);
                Ok(())
            }
        };
        // On a worker, as a guest is.
        thread.push(timed(2000, on_thread).await?);
        our_get.push(bench.guest("file get-often 2000 k").await?);
    }
    report("file set", set, our_set);
    report("file get, on the spot", spot, our_get.clone());
    report("file get, on a blocking thread", thread, our_get);
    Ok(())
}

async fn server(bench: &Bench, url: &str) -> Fallible<()> {
    let client = redis::Client::open(url)?;
    let connection = redis::aio::ConnectionManager::new(client).await?;
    let ask = |command: redis::Cmd| {
        let mut connection = connection.clone();
        async move {
            let value: redis::Value = command.query_async(&mut connection).await?;
            std::hint::black_box(value);
            Ok(())
        }
    };
    let value = vec![b'x'; VALUE];
    let (mut set, mut our_set, mut get, mut our_get) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let command = || {
            let mut command = redis::cmd("SET");
            command.arg("bench-raw").arg(value.as_slice());
            command
        };
        set.push(timed(2000, || ask(command())).await?);
        our_set.push(bench.guest(&format!("redis set-often @{VALUE} 2000 k")).await?);
        let command = || {
            let mut command = redis::cmd("GET");
            command.arg("bench-raw");
            command
        };
        get.push(timed(2000, || ask(command())).await?);
        our_get.push(bench.guest("redis get-often 2000 k").await?);
    }
    report("redis set", set, our_set);
    report("redis get", get, our_get);
    Ok(())
}
