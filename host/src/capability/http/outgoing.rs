//! One request on its way out: counted, checked, put together anew, sent, and its answer made safe to hand over.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::{Bounds, Received, Sent};
use crate::egress::{BUFFER, Deadlines, Egress, Route, Secret, Trust};
use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::{HttpGrant, HttpIndex, HttpTarget, OnDenied, PLACEHOLDER, Policy, UseKind, is_forbidden_header};
use crate::quota::{Counter, Quota};
use crate::scheduler::Clock;

/// Bytes of memory that one request in flight counts as: what is read ahead, the answer's headers, what waits to be
/// written, and chunks of the request's body, each bounded on its own.
const HELD: u64 = 4 * BUFFER as u64;

/// Bytes that a guest can write to a request's body at once; two of these wait at most.
const CHUNK: usize = BUFFER / 2;

/// Why a target is denied that no pattern is compared with.
const READ_IN_TWO_WAYS: &str = "what can be read in two ways is never granted";

/// A time-out that no clock fails to say.
const FAR: Duration = Duration::from_secs(86_400 * 365);

/// What all requests of an invocation share.
pub(super) struct Outgoing {
    /// The grants, where those for a host are in their list, and what each of them trusts.
    pub(super) policy: Arc<Policy>,
    pub(super) index: Arc<HttpIndex>,
    pub(super) trust: HashMap<Option<PathBuf>, Trust>,
    pub(super) secrets: Vec<Secret>,
    pub(super) timeout: Duration,
    pub(super) tenant: Arc<str>,
    pub(super) egress: Arc<Egress>,
    pub(super) quota: Arc<Quota>,
    pub(super) clock: Arc<Clock>,
}

/// What wasmtime-wasi-http asks about requests.
pub(super) struct Hooks {
    outgoing: Arc<Outgoing>,
    /// A stop that the call under way has to end with.
    stop: Option<Stop>,
}

/// A request that is in flight, for as long as this lives.
pub(super) struct InFlight(Arc<Quota>);

type Sending = dyn Future<Output = Result<(Response<WasiBody>, Box<Worker>), Error>> + Send;
type Worker = dyn Future<Output = Result<(), Error>> + Send;

impl Hooks {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self { outgoing: Arc::new(outgoing), stop: None }
    }

    pub(super) fn stopped(&mut self) -> Option<Stop> {
        self.stop.take()
    }
}

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| is_forbidden_header(name.as_str()))
    }

    /// It is set here, from the target that was checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<Worker>,
    ) -> Box<Sending> {
        match self.outgoing.admit(request) {
            Ok(admitted) => {
                let outgoing = Arc::clone(&self.outgoing);
                let until = Until::of(&outgoing, options.unwrap_or_default());
                Box::new(async move { outgoing.send(admitted, until).await })
            }
            Err(Refused::Stop(stop)) => {
                self.stop = Some(stop);
                Box::new(std::future::pending())
            }
            Err(Refused::Denied) => Box::new(std::future::ready(Err(Error::HttpRequestDenied))),
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p2_error_from_hyper(&mut self, _error: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}

/// Why a request is not sent.
enum Refused {
    /// The guest sees an error.
    Denied,
    /// The guest is stopped.
    Stop(Stop),
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// A request that may be sent, if its host resolves to what may be reached.
struct Admitted {
    request: Request<WasiBody>,
    target: HttpTarget,
    in_flight: InFlight,
}

/// When a request's parts are too late. A guest can make each of them earlier and none of them later.
#[derive(Clone, Copy)]
struct Until {
    deadlines: Deadlines,
    between: Option<Duration>,
}

impl Until {
    fn of(outgoing: &Outgoing, options: RequestOptions) -> Self {
        // The invocation's own deadline needs no part here: it ends all of this.
        let (now, most) = (Instant::now(), outgoing.timeout.min(FAR));
        let after = |wish: Option<Duration>| now + wish.map_or(most, |wish| wish.min(most));
        let (connected, complete) = (after(options.connect_timeout), after(None));
        Self {
            deadlines: Deadlines { connected, first_byte: options.first_byte_timeout, complete },
            between: options.between_bytes_timeout.filter(|wish| *wish < most),
        }
    }
}

impl Outgoing {
    /// Counts a request and decides about it, as far as that goes without its addresses.
    fn admit(&self, request: Request<WasiBody>) -> Result<Admitted, Refused> {
        self.quota.http_requests.try_take(1)?;
        let in_flight = InFlight::begin(&self.quota)?;
        let (mut parts, body) = request.into_parts();
        let uri = std::mem::take(&mut parts.uri);
        let line = parts.method.as_str().len() + uri.to_string().len();
        self.quota.http_headers.try_take(line as u64 + size(&parts.headers))?;

        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let target = HttpTarget::read(parts.method.as_str(), uri.scheme_str().unwrap_or_default(), authority, path)
            .map_err(|error| self.deny(&format!("{} …: {error}", parts.method), READ_IN_TWO_WAYS))?;
        if self.granting(&target).next().is_none() {
            return Err(self.deny(&target.to_string(), "no `[[http]]` grants it"));
        }
        if self.quota.audit.is_on() {
            self.quota.audit.used(UseKind::Http, &target.pattern(), || None, false);
        }
        self.fill_in(&target, path, &mut parts.headers)?;

        let rebuilt = Uri::builder().scheme(target.scheme().name()).authority(target.authority()).path_and_query(path);
        let host = HeaderValue::from_str(&target.authority());
        let (Ok(uri), Ok(host)) = (rebuilt.build(), host) else {
            return Err(self.deny(&format!("{target}: it can't be written"), READ_IN_TWO_WAYS));
        };
        // The filter has kept them out already; what is sent doesn't depend on it.
        let forbidden: Vec<HeaderName> =
            parts.headers.keys().filter(|name| is_forbidden_header(name.as_str())).cloned().collect();
        for name in forbidden {
            parts.headers.remove(name);
        }
        parts.headers.insert(http::header::HOST, host);
        parts.uri = uri;
        Ok(Admitted { request: Request::from_parts(parts, body), target, in_flight })
    }

    /// Puts secrets where their placeholders are, and refuses a placeholder anywhere else.
    fn fill_in(&self, target: &HttpTarget, path: &str, headers: &mut HeaderMap) -> Result<(), Refused> {
        let rule = "no `[[secret]]` puts it there";
        let misplaced = || self.deny(&format!("{target}: a secret that isn't granted for it"), rule);
        if path.contains(PLACEHOLDER) {
            return Err(misplaced());
        }
        for (name, value) in headers.iter_mut() {
            if !has_placeholder(value) {
                continue;
            }
            let secret = self.secrets.iter().find(|secret| {
                let grant = &secret.grant;
                name.as_str() == grant.header
                    && value.as_bytes() == grant.placeholder().as_bytes()
                    && grant.permits(target)
            });
            *value = secret.and_then(Secret::header).ok_or_else(misplaced)?;
            if let Some(secret) = secret.filter(|_| self.quota.audit.is_on()) {
                self.quota.audit.used(UseKind::Secret, &secret.grant.name, || Some(target.pattern()), false);
            }
        }
        Ok(())
    }

    async fn send(
        self: Arc<Self>,
        admitted: Admitted,
        until: Until,
    ) -> Result<(Response<WasiBody>, Box<Worker>), Error> {
        let Admitted { request, target, in_flight } = admitted;
        let deadlines = until.deadlines;
        let addresses = self.egress.resolve(target.host(), deadlines.connected).await?;
        let Some(trust) = self.reach(&target, &addresses) else {
            return Err(Error::DestinationIpProhibited);
        };
        if self.clock.is_stopped() {
            return std::future::pending().await;
        }
        let route = Route {
            tenant: Arc::clone(&self.tenant),
            scheme: target.scheme(),
            host: target.host().clone(),
            port: target.port(),
            addresses,
            trust,
        };
        let outgoing = Arc::clone(&self);
        let request = request.map(|body| Sent::new(body, outgoing).boxed_unsync());
        let answer = self.egress.send(&route, request, deadlines).await?;
        if let Err(stop) = self.quota.http_headers.try_take(3 + size(answer.headers())) {
            return self.stop(stop).await;
        }
        let (mut parts, body) = answer.into_parts();
        self.cover(&mut parts.headers);
        let bounds = Bounds { complete: deadlines.complete, between: until.between };
        let body = Received::new(body, self, in_flight, bounds).boxed_unsync();
        Ok((Response::from_parts(parts, body), Box::new(std::future::ready(Ok(())))))
    }

    /// The grants that permit a request, addresses left aside.
    fn granting<'a>(&'a self, target: &'a HttpTarget) -> impl Iterator<Item = &'a HttpGrant> + 'a {
        let grants = &self.policy.grants.http;
        self.index.permitting(grants, target).filter_map(|place| grants.get(place))
    }

    /// The first grant for this target under which every address may be reached. One address that may not is enough to
    /// refuse: whoever answers for the name decides about the others too.
    fn reach(&self, target: &HttpTarget, addresses: &[std::net::IpAddr]) -> Option<Trust> {
        let mut denied = None;
        for grant in self.granting(target) {
            match addresses.iter().try_for_each(|address| grant.permits_address(*address)) {
                Ok(()) => {
                    if self.quota.audit.is_on() && addresses.iter().any(|address| target.needs_private(*address)) {
                        self.quota.audit.used(UseKind::Http, &target.pattern(), || Some("private".to_owned()), false);
                    }
                    return self.trust.get(&grant.ca).cloned();
                }
                Err(class) => denied = Some((class, grant)),
            }
        }
        let class = denied.map_or("unknown", |(class, _)| class.name());
        let rule = denied.map(|(_, grant)| format!("`allow-private` and `allow` of `{grant}`")).unwrap_or_default();
        if let Refused::Stop(stop) = self.deny(&format!("{target}: its address is {class}"), rule) {
            self.clock.stop(stop);
        }
        None
    }

    /// Counts a denial; where the policy says so, the guest is stopped for it.
    fn deny(&self, detail: &str, rule: impl Into<Cow<'static, str>>) -> Refused {
        self.quota.denied_text_by(Capability::Http, detail, rule);
        match self.policy.grants.on_denied {
            OnDenied::Error => Refused::Denied,
            OnDenied::Stop => {
                let detail: String = crate::text::escape(detail).chars().take(200).collect();
                let message = format!("the guest made an HTTP request that the policy doesn't grant ({detail})");
                let hint = "grant it with `--allow-http`, or let the guest go on with `on-denied = \"error\"`";
                Refused::Stop(Stop::new(StopReason::Denied(Capability::Http), message).with_hint(hint))
            }
        }
    }

    /// Stops the guest from a task of its own. The answer never comes, so that the guest can't end in another way first.
    async fn stop<T>(&self, stop: Stop) -> T {
        self.clock.stop(stop);
        std::future::pending().await
    }

    /// Takes bytes of a body or of trailers, or stops the guest.
    pub(super) fn take(&self, counter: &Counter, bytes: u64) -> bool {
        match counter.try_take(bytes) {
            Ok(()) => true,
            Err(stop) => {
                self.clock.stop(stop);
                false
            }
        }
    }

    pub(super) fn take_body(&self, bytes: usize, direction: impl Fn(&Quota) -> &AtomicU64) -> bool {
        let taken = self.take(&self.quota.http_body, bytes as u64);
        if taken {
            direction(&self.quota).fetch_add(bytes as u64, Relaxed);
        }
        taken
    }

    pub(super) fn take_trailers(&self, trailers: &HeaderMap) -> bool {
        self.take(&self.quota.http_headers, size(trailers))
    }

    /// Covers up exact copies of secrets in headers that came back.
    pub(super) fn cover(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            for secret in &self.secrets {
                if let Some(covered) = secret.cover(value.as_bytes()) {
                    *value = HeaderValue::from_bytes(&covered).unwrap_or_else(|_| HeaderValue::from_static("[secret]"));
                }
            }
        }
    }
}

impl InFlight {
    fn begin(quota: &Arc<Quota>) -> Result<Self, Stop> {
        let full = |gauge: &crate::quota::Gauge| {
            gauge.refused().unwrap_or_else(|| Stop::host_fault("a refusal that nothing remembers"))
        };
        if !quota.http_concurrency.try_grow(1) {
            return Err(full(&quota.http_concurrency));
        }
        if !quota.memory.try_grow(HELD) {
            quota.http_concurrency.shrink(1);
            return Err(full(&quota.memory));
        }
        Ok(Self(Arc::clone(quota)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.memory.shrink(HELD);
        self.0.http_concurrency.shrink(1);
    }
}

pub(super) fn has_placeholder(value: &HeaderValue) -> bool {
    value.as_bytes().windows(PLACEHOLDER.len()).any(|window| window == PLACEHOLDER.as_bytes())
}

/// Bytes that headers take as HTTP/1.1 writes them.
fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}
