//! What a request to the outside costs through the policy, against the same without it, in processor time.
//!
//! `cargo run -p host --example bench_http`, after `cargo xtask build-guests --lang rust`. A guest makes requests one after
//! another, to a server in a process of its own, over one connection that is kept. Three clients take turns: the guest in
//! this host, with grants, checks, counters and deadlines; the same guest on the engine and wasmtime-wasi-http alone, whose
//! hook hands each request to hyper and keeps the connection; and that hook's client without any guest. The first to the
//! second is what the policy costs; the third says how much of both is the client itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// Requests of one guest.
const REQUESTS: usize = 2000;

/// Rounds, in each of which both orders are measured.
const ROUNDS: usize = 12;

/// A client that keeps its connections, and nothing else.
#[derive(Clone)]
struct Client {
    address: SocketAddr,
    kept: Arc<Mutex<Vec<SendRequest<WasiBody>>>>,
}

/// A body that gives its connection back at its end.
struct Answer {
    body: Incoming,
    sender: Option<SendRequest<WasiBody>>,
    kept: Arc<Mutex<Vec<SendRequest<WasiBody>>>>,
}

impl Client {
    async fn send(&self, mut request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await.map_err(|_| Error::ConnectionRefused)?,
        };
        sender.ready().await?;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(http::Uri::default, http::Uri::from);
        let answer = sender.send_request(request).await?;
        let kept = Arc::clone(&self.kept);
        Ok(answer.map(|body| Answer { body, sender: Some(sender), kept }.boxed_unsync()))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<WasiBody>> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(sender) = self.sender.take()
        {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

impl WasiHttpHooks for Client {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Worker), Error>> + Send> {
        let client = self.clone();
        Box::new(async move {
            let answer = client.send(request).await?;
            Ok((answer, Box::new(std::future::ready(Ok(()))) as Worker))
        })
    }
}

type Worker = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// What the plain engine's store has.
struct Plain {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    client: Client,
}

impl WasiView for Plain {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Plain {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.client, table: &mut self.table, ctx: &mut self.http }
    }
}

struct Bench {
    url: String,
    client: Client,
    host: host::Host,
    tenant: host::Tenant,
    ours: host::Component,
    engine: Engine,
    linker: Linker<Plain>,
    plain: wasmtime::component::Component,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let measured = measure(&mut server).await;
    server.kill()?;
    server.wait()?;
    measured
}

async fn measure(server: &mut Child) -> anyhow::Result<()> {
    let mut line = String::new();
    BufReader::new(server.stdout.take().context("no output")?).read_line(&mut line)?;
    let bench = Bench::new(line.trim().parse()?).await?;
    let (mut ours, mut plain, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    bench.ours().await?;
    bench.plain().await?;
    for round in 0..ROUNDS {
        // A B B A, and the other way round.
        for turn in 0..4 {
            match (turn == 0 || turn == 3) == (round % 2 == 0) {
                true => ours.push(cost(bench.ours()).await?),
                false => plain.push(cost(bench.plain()).await?),
            }
        }
        alone.push(cost(bench.alone()).await?);
    }
    let pairs = |list: &[f64]| list.chunks(2).map(|pair| pair.iter().sum::<f64>() / 2.0).collect::<Vec<_>>();
    let (ours, plain) = (pairs(&ours), pairs(&plain));
    let ratio = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>();
    println!("µs of processor time for each of {REQUESTS} requests, {ROUNDS} rounds: median (least to most)");
    println!("guest in this host:              {}", spread(&ours));
    println!("guest on wasmtime-wasi-http:     {}", spread(&plain));
    println!("client alone:                    {}", spread(&alone));
    println!("ratio host / wasmtime-wasi-http: {}", spread(&ratio(&ours, &plain)));
    println!("ratio host / client alone:       {}", spread(&ratio(&ours, &alone)));
    println!("ratio wasmtime-wasi-http / client alone: {}", spread(&ratio(&plain, &alone)));
    Ok(())
}

impl Bench {
    async fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let url = format!("http://{address}/v1/items");
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let bytes = std::fs::read(format!("{root}/target/guests/rust/probes/http.wasm"))?;
        // Every limit is on and further away than the guest gets.
        let mut policy = host::Policy::parse(&format!(
            "limits = {{ wall = '10m', cpu = '10m', handles = 1000000, http-requests = 1000000, http-headers = '1GiB', http-body = '1GiB' }}\n\
             stdio = {{ stdout = true }}\n[[http]]\nallow = 'GET http://{address}/v1'\n"
        ))?;
        policy.grants.args = args(&url);
        let host = host::Host::new()?;
        let ours = host.load(bytes.clone(), &policy).await.map_err(|stop| anyhow::anyhow!("{stop:?}"))?;
        let engine = Engine::new(&Config::new())?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        let plain = wasmtime::component::Component::new(&engine, bytes)?;
        let client = Client { address, kept: Arc::default() };
        Ok(Self { url, client, host, tenant: host::Tenant::new("bench", policy)?, ours, engine, linker, plain })
    }

    async fn ours(&self) -> anyhow::Result<()> {
        let output = host::Buffer::default();
        let invocation = host::Invocation::command(&self.ours, &self.tenant);
        let ended = self.host.invoke(invocation.stdout(host::Sink::Buffer(output.clone()))).await;
        anyhow::ensure!(ended.receipt.usage.http_requests == REQUESTS as u64, "{:?}", ended.receipt.stop);
        check(&output.take())
    }

    async fn plain(&self) -> anyhow::Result<()> {
        let output = wasmtime_wasi::p2::pipe::MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtx::builder();
        wasi.arg("http").args(&args(&self.url)).stdout(output.clone());
        let client = self.client.clone();
        let data = Plain { table: ResourceTable::new(), wasi: wasi.build(), http: WasiHttpCtx::new(), client };
        let mut store = Store::new(&self.engine, data);
        let command = wasmtime_wasi::p2::bindings::Command::instantiate_async(&mut store, &self.plain, &self.linker);
        let run = command.await?.wasi_cli_run().call_run(&mut store).await?;
        anyhow::ensure!(run.is_ok(), "the guest failed");
        check(&output.contents())
    }

    async fn alone(&self) -> anyhow::Result<()> {
        for _ in 0..REQUESTS {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let host = self.client.address.to_string();
            let answer = self.client.send(Request::get(&self.url).header("host", host).body(body)?).await?;
            anyhow::ensure!(answer.into_body().collect().await?.to_bytes().len() == 64);
        }
        Ok(())
    }
}

fn args(url: &str) -> Vec<String> {
    ["GET", url, "quiet", &format!("repeat={REQUESTS}")].map(str::to_owned).to_vec()
}

/// Every answer has come.
fn check(output: &[u8]) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(output);
    anyhow::ensure!(text.matches("body 64\n").count() == REQUESTS, "{text:.300}");
    Ok(())
}

/// µs of this process's processor time for each request.
async fn cost(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<f64> {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let began = now();
    work.await?;
    Ok((now() - began) / REQUESTS as f64)
}

fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
    format!("{:.2} ({:.2} to {:.2})", at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}

/// Answers each request with 64 bytes, and tells where.
fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        std::thread::spawn(move || -> std::io::Result<()> {
            stream.set_nodelay(true)?;
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut line = String::new();
            while reader.read_line(&mut line)? > 0 {
                if line == "\r\n" {
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n{:64}", "ok")?;
                }
                line.clear();
            }
            Ok(())
        });
    }
    Ok(())
}
