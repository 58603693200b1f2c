//! Sending an HTTP request to one checked address: names, connections, TLS, and the pool that they are kept in.
//!
//! Threat model: a name that resolves to a harmless address while it is checked and to the host itself while it is
//! connected to; a server with somebody else's certificate; a connection that one tenant has opened (and perhaps
//! authenticated) being handed to another; a server that sends headers without end, or stops in the middle. So names
//! are resolved once and a connection is made to an address and never to a name; certificates are verified against the
//! name that was granted; connections are kept by tenant, scheme, host, port, address and trusted authorities; and what
//! a connection buffers is bounded. Who may be reached is not decided here: see [`crate::policy::HttpGrant`].
//!
//! Absent: redirects, proxies, cookies, caches, decompression, HTTP/3, and HTTP/2 in the clear.

mod pool;
mod resolve;
mod secret;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

pub(crate) use self::pool::Answer;
use self::pool::{Connection, Key, Pool};
pub use self::resolve::{Resolve, SystemResolver};
pub(crate) use self::secret::Secret;
pub(crate) use self::tls::Trust;
use crate::policy::{HostName, HttpScheme};

/// Bytes that a connection may buffer in each direction, and the most that the headers of one response may have.
pub(crate) const BUFFER: usize = 64 * 1024;

/// What one host has for sending requests, shared by all its invocations.
pub(crate) struct Egress {
    resolver: Arc<dyn Resolve>,
    pool: Arc<Pool>,
    tls: tls::Clients,
}

/// Where a request goes: everything about it was checked before.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) tenant: Arc<str>,
    pub(crate) scheme: HttpScheme,
    pub(crate) host: HostName,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) trust: Trust,
}

/// Until when what has to be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) connected: Instant,
    /// Once there is a connection.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) complete: Instant,
}

impl Deadlines {
    /// When an answer has to begin on a connection that is there now.
    fn answered(&self) -> Instant {
        let first = self.first_byte.and_then(|wish| Instant::now().checked_add(wish));
        first.map_or(self.complete, |first| first.min(self.complete))
    }
}

impl Egress {
    pub(crate) fn new(resolver: Option<Arc<dyn Resolve>>) -> Self {
        let resolver = resolver.unwrap_or_else(|| Arc::new(SystemResolver));
        Self { resolver, pool: Arc::default(), tls: tls::Clients::default() }
    }

    /// The addresses of a host; an address is its own.
    pub(crate) async fn resolve(&self, host: &HostName, until: Instant) -> Result<Vec<IpAddr>, Error> {
        let name = match host {
            HostName::Address(address) => return Ok(vec![*address]),
            HostName::Name(name) => name,
        };
        match timeout_at(until, self.resolver.resolve(name)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(Error::DnsError { rcode: None, info_code: None }),
            Err(_) => Err(Error::DnsTimeout),
        }
    }

    /// Sends a request over a connection of this route, a kept one if there is one. A kept connection that turns out
    /// to be closed before anything was sent is replaced by a new one.
    pub(crate) async fn send(
        &self,
        route: &Route,
        mut request: Request<WasiBody>,
        until: Deadlines,
    ) -> Result<Response<Answer>, Error> {
        let keys: Vec<Key> = route.addresses.iter().map(|address| Key::new(route, *address)).collect();
        while let Some((key, kept)) = keys.iter().find_map(|key| Some((key, self.pool.take(key)?))) {
            let sent = kept.send(request, key, &self.pool);
            match timeout_at(until.answered(), sent).await.map_err(|_| Error::HttpResponseTimeout)? {
                Ok(answer) => return Ok(answer),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(error),
            }
        }
        let (key, connection) = self.connect(route, keys, until.connected).await?;
        let sent = connection.send(request, &key, &self.pool);
        let answer = timeout_at(until.answered(), sent).await.map_err(|_| Error::HttpResponseTimeout)?;
        answer.map_err(|(error, _)| error)
    }

    /// Connects to the first address that answers. Each gets its share of the time that is left.
    async fn connect(&self, route: &Route, keys: Vec<Key>, until: Instant) -> Result<(Key, Connection), Error> {
        let mut failed = Error::DestinationUnavailable;
        let mut left = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        for key in keys {
            let share = until.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            let address = SocketAddr::new(key.address(), route.port);
            match timeout_at(Instant::now() + share, self.open(route, address)).await {
                Ok(Ok(connection)) => return Ok((key, connection)),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = Error::ConnectionTimeout,
            }
        }
        Err(failed)
    }

    async fn open(&self, route: &Route, address: SocketAddr) -> Result<Connection, Error> {
        let stream = TcpStream::connect(address).await.map_err(|error| connect_error(&error))?;
        stream.set_nodelay(true).map_err(|error| connect_error(&error))?;
        match route.scheme {
            HttpScheme::Http => handshake(stream, false).await,
            HttpScheme::Https => {
                let stream = self.tls.connect(&route.trust, &route.host, stream).await?;
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                handshake(stream, h2).await
            }
        }
    }
}

/// Starts HTTP on a stream, in a task of its own that ends when nobody holds the connection any more.
async fn handshake<S>(stream: S, h2: bool) -> Result<Connection, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    if h2 {
        let window = u32::try_from(BUFFER).unwrap_or(u32::MAX);
        let (sender, driver) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(window)
            .initial_connection_window_size(window.saturating_mul(256))
            .max_header_list_size(window)
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .handshake(io)
            .await
            .map_err(http_error)?;
        // How a connection ended is told to the requests on it.
        return Ok(Connection::h2(sender, tokio::spawn(async move { drop(driver.await) })));
    }
    let (sender, driver) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_header_size(BUFFER)
        .handshake(io)
        .await
        .map_err(http_error)?;
    Ok(Connection::h1(sender, tokio::spawn(async move { drop(driver.await) })))
}

fn connect_error(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => Error::DestinationIpUnroutable,
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted => Error::ConnectionTerminated,
        _ => Error::ConnectionRefused,
    }
}

/// What went wrong in HTTP, in the interface's own words; the library's words could have a part of a message in them.
#[expect(clippy::needless_pass_by_value, reason = "it is handed over as the last use of an error")]
pub(crate) fn http_error(error: hyper::Error) -> Error {
    use std::error::Error as _;
    // A request's body that was cut off by us says why.
    let own = error.source().and_then(|source| source.downcast_ref::<Error>());
    match own {
        Some(Error::HttpRequestDenied) => return Error::HttpRequestDenied,
        Some(Error::HttpResponseTimeout) => return Error::HttpResponseTimeout,
        _ => {}
    }
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_canceled() || error.is_closed() {
        Error::ConnectionTerminated
    } else if error.is_timeout() {
        Error::ConnectionReadTimeout
    } else {
        Error::HttpProtocolError
    }
}
