//! Connections that are kept for the next request of the same tenant to the same place.
//!
//! A connection is kept only when its last exchange is complete in both directions. Anything else is closed: what is
//! left on it could be taken for the beginning of the next answer. What nobody holds any more is closed at once, so an
//! invocation that ends takes its unfinished exchanges along.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::{Error, WasiBody};

use super::tls::TrustId;
use super::{Route, http_error};
use crate::policy::{HostName, HttpScheme};

/// How long a connection is kept without use; servers close theirs after a similar time.
const IDLE: Duration = Duration::from_secs(30);

/// Connections that are kept for one key, and all together.
const MAX_KEPT: usize = 8;
const MAX_KEPT_ALL: usize = 256;

/// Connections without use, by what they may be used for again.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Vec<Kept>>>);

/// What a connection may be used for. The tenant comes first: whatever a server remembers about a connection is never
/// another tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    tenant: Arc<str>,
    scheme: HttpScheme,
    host: HostName,
    port: u16,
    address: IpAddr,
    trust: TrustId,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

/// An open connection.
pub(super) struct Connection {
    sender: Sender,
    driver: Arc<Driver>,
}

enum Sender {
    H1(http1::SendRequest<WasiBody>),
    H2(http2::SendRequest<WasiBody>),
}

/// The task that moves a connection on; it is ended when the last one who holds this lets go.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Key {
    pub(super) fn new(route: &Route, address: IpAddr) -> Self {
        Self {
            tenant: Arc::clone(&route.tenant),
            scheme: route.scheme,
            host: route.host.clone(),
            port: route.port,
            address,
            trust: route.trust.id(),
        }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Vec<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that can take a request now. One of HTTP/2 stays for others.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut kept = self.kept();
        let list = kept.get_mut(key)?;
        list.retain(Kept::is_good);
        let shared = list.iter_mut().find_map(|kept| {
            let connection = kept.connection.share()?;
            kept.since = Instant::now();
            Some(connection)
        });
        let found = shared.or_else(|| list.pop().map(|kept| kept.connection));
        if list.is_empty() {
            kept.remove(key);
        }
        found
    }

    fn put(self: &Arc<Self>, key: &Key, connection: Connection) {
        let mut kept = self.kept();
        if kept.values().map(Vec::len).sum::<usize>() >= MAX_KEPT_ALL {
            return;
        }
        let list = kept.entry(key.clone()).or_default();
        if list.len() < MAX_KEPT {
            list.push(Kept { connection, since: Instant::now() });
            drop(kept);
            let pool = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep(IDLE + Duration::from_secs(1)).await;
                if let Some(pool) = pool.upgrade() {
                    pool.sweep();
                }
            });
        }
    }

    fn sweep(&self) {
        self.kept().retain(|_, list| {
            list.retain(Kept::is_good);
            !list.is_empty()
        });
    }
}

impl Kept {
    fn is_good(&self) -> bool {
        let open = match &self.connection.sender {
            Sender::H1(sender) => sender.is_ready(),
            Sender::H2(sender) => sender.is_ready(),
        };
        open && self.since.elapsed() < IDLE
    }
}

impl Connection {
    pub(super) fn h1(sender: http1::SendRequest<WasiBody>, driver: JoinHandle<()>) -> Self {
        Self { sender: Sender::H1(sender), driver: Arc::new(Driver(driver)) }
    }

    pub(super) fn h2(sender: http2::SendRequest<WasiBody>, driver: JoinHandle<()>) -> Self {
        Self { sender: Sender::H2(sender), driver: Arc::new(Driver(driver)) }
    }

    fn share(&self) -> Option<Self> {
        let Sender::H2(sender) = &self.sender else { return None };
        Some(Self { sender: Sender::H2(sender.clone()), driver: Arc::clone(&self.driver) })
    }

    /// Sends one request. A request that never left comes back with the error.
    pub(super) async fn send(
        mut self,
        request: Request<WasiBody>,
        key: &Key,
        pool: &Arc<Pool>,
    ) -> Result<Response<Answer>, (Error, Option<Request<WasiBody>>)> {
        let sent = Arc::new(AtomicBool::new(request.body().is_end_stream()));
        let (uri, host) = (request.uri().clone(), request.headers().get(http::header::HOST).cloned());
        let restore = |mut unsent: Request<WasiBody>| {
            *unsent.uri_mut() = uri;
            *unsent.version_mut() = http::Version::HTTP_11;
            if let Some(host) = host {
                unsent.headers_mut().insert(http::header::HOST, host);
            }
            unsent
        };
        let (parts, body) = request.into_parts();
        let watched = Watched { body, sent: Arc::clone(&sent) }.boxed_unsync();
        let request = Request::from_parts(parts, watched);
        let answer = match &mut self.sender {
            Sender::H1(sender) => sender.try_send_request(origin_form(request)).await,
            Sender::H2(sender) => {
                let mut sender = sender.clone();
                if let Err(error) = sender.ready().await {
                    return Err((http_error(error), Some(request)));
                }
                sender.try_send_request(without_host(request)).await
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(mut error) => {
                let unsent = error.take_message().map(restore);
                return Err((http_error(error.into_error()), unsent));
            }
        };
        if let Some(shared) = self.share()
            && pool.take(key).is_none()
        {
            pool.put(key, shared);
        }
        let lease = Lease { connection: self, key: key.clone(), pool: Arc::clone(pool), sent };
        Ok(answer.map(|body| Answer::new(body, lease)))
    }
}

/// In HTTP/1.1 a request has a path, and its host in a header.
fn origin_form(mut request: Request<WasiBody>) -> Request<WasiBody> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(http::Uri::default, http::Uri::from);
    request
}

/// In HTTP/2 the host is in the target, and a header beside it could say something else.
fn without_host(mut request: Request<WasiBody>) -> Request<WasiBody> {
    request.headers_mut().remove(http::header::HOST);
    *request.version_mut() = http::Version::HTTP_2;
    request
}

/// A connection while an answer is being read.
struct Lease {
    connection: Connection,
    key: Key,
    pool: Arc<Pool>,
    /// Whether the request was sent to its end.
    sent: Arc<AtomicBool>,
}

impl Lease {
    /// The answer is complete: the connection is kept, unless the request isn't.
    fn release(self) {
        let Self { connection: Connection { sender, driver }, key, pool, sent } = self;
        if let (Sender::H1(mut sender), true) = (sender, sent.load(Relaxed)) {
            tokio::spawn(async move {
                // The driver says when it is done with the exchange, or that the other side closes.
                if sender.ready().await.is_ok() {
                    pool.put(&key, Connection { sender: Sender::H1(sender), driver });
                }
            });
        }
    }
}

/// The body of an answer, which gives its connection back when it is complete.
pub(crate) struct Answer {
    body: Incoming,
    lease: Option<Lease>,
}

impl Answer {
    fn new(body: Incoming, lease: Lease) -> Self {
        let mut answer = Self { body, lease: Some(lease) };
        answer.release_at_end();
        answer
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.release();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.release_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.lease = None;
                Poll::Ready(Some(Err(http_error(error))))
            }
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.release();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body that remembers whether all of it was taken.
struct Watched {
    body: WasiBody,
    sent: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.sent.store(true, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
