//! Servers on loopback that remember what they were asked, and do as the path says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) connection: usize,
    pub(super) method: String,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) version: http::Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) server_name: Option<String>,
}

/// A server with a thread of its own, which ends with it.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: Runtime,
}

/// An authority for certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) file: tempfile::NamedTempFile,
}

/// What a certificate is like.
#[derive(Clone, Copy)]
pub(super) struct Certificate<'a> {
    pub(super) name: &'a str,
    pub(super) expired: bool,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    pub(super) fn path(&self) -> String {
        self.file.path().display().to_string()
    }

    fn server(&self, certificate: Certificate<'_>, protocols: &[&str]) -> rustls::ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([certificate.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if certificate.expired { 2021 } else { 2090 }, 1, 1);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(signed.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

impl Peer {
    /// HTTP/1.1 in the clear.
    pub(super) fn plain() -> Self {
        Self::start(None)
    }

    /// HTTP over TLS, with the protocols that it offers.
    pub(super) fn tls(authority: &Authority, certificate: Certificate<'_>, protocols: &[&str]) -> Self {
        Self::start(Some(authority.server(certificate, protocols)))
    }

    fn start(tls: Option<rustls::ServerConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, connections) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
        let acceptor = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, acceptor) = (Arc::clone(&log), acceptor.clone());
                let connection = connections.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, connection, None, log).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let name = stream.get_ref().1.server_name().map(str::to_owned);
                                serve(stream, connection, name, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, _runtime: runtime }
    }

    /// Answers each connection with these bytes, whatever it is asked, and leaves it open. One connection at a time.
    pub(super) fn raw(answer: &'static [u8]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
                open.push(stream);
            }
        });
        Self { address, seen: Arc::default(), _runtime: runtime }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What it was asked since the last time.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve<S>(stream: S, connection: usize, server_name: Option<String>, log: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, connection, server_name.clone(), Arc::clone(&log)));
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(2 << 20);
    builder.http2().max_header_list_size(2 << 20);
    // A client that goes away is what some of the tests are about.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    server_name: Option<String>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Scripted>, Infallible> {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = parts.uri.authority().map(ToString::to_string).or(host).unwrap_or_default();
    let mut seen = Seen {
        connection,
        method: parts.method.to_string(),
        authority,
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: parts.version,
        headers: parts.headers.clone(),
        body: Bytes::new(),
        server_name,
    };
    let early = parts.uri.path() == "/early";
    if !early {
        seen.body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    }
    log.lock().unwrap().push(seen.clone());
    let number = |prefix: &str| parts.uri.path().strip_prefix(prefix).and_then(|text| text.parse::<usize>().ok());
    let mut response = Response::new(Scripted::of(["hello"]));
    if let Some(bytes) = number("/bytes/") {
        *response.body_mut() = Scripted::of(["x".repeat(bytes)]);
    } else if let Some(bytes) = number("/header/") {
        response.headers_mut().insert("x-long", HeaderValue::from_str(&"x".repeat(bytes)).unwrap());
    } else if let Some(to) = parts.uri.path_and_query().and_then(|path| path.as_str().strip_prefix("/redirect?")) {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert("location", HeaderValue::from_str(to).unwrap());
    }
    match parts.uri.path() {
        "/never" => std::future::pending().await,
        "/stall" => response.body_mut().then = Then::Stall,
        "/endless" => response.body_mut().then = Then::Repeat(Bytes::from(vec![b'x'; 16 * 1024])),
        "/connection" => *response.body_mut() = Scripted::of([format!("connection {connection}")]),
        "/echo" => {
            for (name, value) in &seen.headers {
                response
                    .headers_mut()
                    .append(format!("x-echo-{name}").parse::<http::HeaderName>().unwrap(), value.clone());
            }
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-last", seen.headers.get("x-key").cloned().unwrap_or(HeaderValue::from_static("end")));
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-last"));
            response.body_mut().frames.push_back(Frame::trailers(trailers));
        }
        _ => {}
    }
    Ok(response)
}

/// A body that says something and then does something.
struct Scripted {
    frames: VecDeque<Frame<Bytes>>,
    then: Then,
}

enum Then {
    End,
    Stall,
    Repeat(Bytes),
}

impl Scripted {
    fn of<T: Into<Bytes>, const N: usize>(parts: [T; N]) -> Self {
        Self { frames: parts.into_iter().map(|part| Frame::data(part.into())).collect(), then: Then::End }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match &self.then {
            Then::End => Poll::Ready(None),
            Then::Stall => Poll::Pending,
            Then::Repeat(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk.clone())))),
        }
    }
}
