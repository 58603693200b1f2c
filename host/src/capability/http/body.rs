//! Bodies in both directions: every byte counted before it goes on, and the answer's within its time.
//!
//! At a limit a body never ends and never fails: the invocation's clock was told to stop, and an error would give the
//! guest a chance to end in its own way first.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

use super::outgoing::{InFlight, Outgoing, has_placeholder};
use crate::egress::Answer;

type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// A request's body.
pub(super) struct Sent {
    body: WasiBody,
    outgoing: Arc<Outgoing>,
    stopped: bool,
}

/// When an answer's body is too late.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) complete: Instant,
    pub(super) between: Option<Duration>,
}

/// An answer's body.
pub(super) struct Received {
    body: Answer,
    outgoing: Arc<Outgoing>,
    in_flight: Option<InFlight>,
    bounds: Bounds,
    /// The earlier of the two bounds.
    timer: Pin<Box<Sleep>>,
    stopped: bool,
}

impl Sent {
    pub(super) fn new(body: WasiBody, outgoing: Arc<Outgoing>) -> Self {
        Self { body, outgoing, stopped: false }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        if self.stopped {
            return Poll::Pending;
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame?;
        let taken = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => self.outgoing.take_body(data.len(), |quota| &quota.http_sent_bytes),
            (None, Some(trailers)) if trailers.values().any(has_placeholder) => {
                return Poll::Ready(Some(Err(Error::HttpRequestDenied)));
            }
            (None, Some(trailers)) => self.outgoing.take_trailers(trailers),
            (None, None) => true,
        };
        self.stopped = !taken;
        if taken { Poll::Ready(Some(Ok(frame))) } else { Poll::Pending }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Received {
    pub(super) fn new(body: Answer, outgoing: Arc<Outgoing>, in_flight: InFlight, bounds: Bounds) -> Self {
        // An answer without a body is complete.
        let in_flight = Some(in_flight).filter(|_| !body.is_end_stream());
        let timer = Box::pin(sleep_until(bounds.next()));
        Self { body, outgoing, in_flight, bounds, timer, stopped: false }
    }

    fn frame(&mut self, mut frame: Frame<Bytes>) -> Polled {
        let taken = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => self.outgoing.take_body(data.len(), |quota| &quota.http_received_bytes),
            (None, Some(trailers)) => self.outgoing.take_trailers(trailers),
            (None, None) => true,
        };
        if !taken {
            self.stopped = true;
            return Poll::Pending;
        }
        if let Some(trailers) = frame.trailers_mut() {
            self.outgoing.cover(trailers);
        }
        let next = self.bounds.next();
        self.timer.as_mut().reset(next);
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        if self.stopped {
            return Poll::Pending;
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => self.frame(frame),
            Poll::Ready(end) => {
                self.in_flight = None;
                Poll::Ready(end)
            }
            Poll::Pending => {
                ready!(self.timer.as_mut().poll(cx));
                let late = Instant::now() >= self.bounds.complete;
                Poll::Ready(Some(Err(if late { Error::HttpResponseTimeout } else { Error::ConnectionReadTimeout })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.stopped && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Bounds {
    fn next(&self) -> Instant {
        let between = self.between.and_then(|between| Instant::now().checked_add(between));
        between.map_or(self.complete, |between| between.min(self.complete))
    }
}
