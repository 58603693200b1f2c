//! Standard output and error: counted, never blocking the guest's thread, and written out to the end.
//!
//! Threat model: a guest floods its output to fill a disk, a terminal or the host's memory; or writes and is stopped,
//! and what it wrote before must not be lost. So each byte counts against the limit `output` before it is taken, at
//! most [`ROOM`] bytes wait in the host for a slow reader, a guest that writes faster than `output-rate` waits, what is
//! kept for the caller counts as memory, and the part that still fits is written before the stop.
//! Empty writes are dropped here: queued, they would cost memory that nothing counts.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::quota::Quota;

/// Bytes that may wait for a slow reader.
const ROOM: usize = 64 * 1024;

/// Where a standard stream of the guest goes.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Counted and dropped.
    Discard,
    /// The host's own standard output.
    Stdout,
    /// The host's own standard error.
    Stderr,
    /// Kept, to be taken with [`Buffer::take`].
    Buffer(Buffer),
}

/// Output that is kept in memory; clones share it. The limit `output` bounds it.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

/// Which stream, for the receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// What a guest writes to: shared by all the streams that it opens on one channel.
#[derive(Clone)]
pub(crate) struct Output {
    target: Target,
    terminal: bool,
    channel: Channel,
    quota: Arc<Quota>,
}

#[derive(Clone)]
enum Target {
    Discard,
    Buffer(Buffer),
    Pipe(Arc<Pipe>),
}

/// Bytes on their way to a writer that may be slow.
#[derive(Default)]
pub(crate) struct Pipe {
    state: Mutex<PipeState>,
    /// Told when there is something to write, or when there will be nothing more.
    filled: Notify,
    /// Told when there is room again.
    drained: Notify,
}

#[derive(Default)]
struct PipeState {
    waiting: BytesMut,
    writing: bool,
    flushing: bool,
    closed: bool,
    failed: bool,
}

impl Buffer {
    /// Takes what has been written so far.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Output {
    /// An output of a channel into a sink, and the pipe that somebody has to pump where there is one.
    pub(crate) fn new(sink: &Sink, channel: Channel, quota: Arc<Quota>) -> (Self, Option<Arc<Pipe>>) {
        let pipe = Arc::new(Pipe::default());
        let (target, terminal, pipe) = match sink {
            Sink::Discard => (Target::Discard, false, None),
            Sink::Buffer(buffer) => (Target::Buffer(buffer.clone()), false, None),
            Sink::Stdout => (Target::Pipe(Arc::clone(&pipe)), io::IsTerminal::is_terminal(&io::stdout()), Some(pipe)),
            Sink::Stderr => (Target::Pipe(Arc::clone(&pipe)), io::IsTerminal::is_terminal(&io::stderr()), Some(pipe)),
        };
        (Self { target, terminal, channel, quota }, pipe)
    }

    fn count(&self, bytes: u64) {
        let counter: &AtomicU64 = match self.channel {
            Channel::Stdout => &self.quota.stdout_bytes,
            Channel::Stderr => &self.quota.stderr_bytes,
        };
        counter.fetch_add(bytes, Relaxed);
    }

    fn put(&self, bytes: &[u8]) -> StreamResult<()> {
        match &self.target {
            Target::Discard => {}
            Target::Buffer(buffer) => {
                // Held until the invocation is over; then it is the caller's.
                let held = self.quota.memory.grow_or_stop(bytes.len() as u64);
                held.map_err(|stop| StreamError::Trap(stop.into()))?;
                buffer.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            }
            Target::Pipe(pipe) => pipe.put(bytes),
        }
        Ok(())
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, bytes: &[u8]) {
        self.state().waiting.extend_from_slice(bytes);
        self.filled.notify_one();
    }

    /// Bytes that may be written now: none while a flush is under way.
    fn room(&self) -> StreamResult<usize> {
        let state = self.state();
        if state.failed {
            return Err(StreamError::Closed);
        }
        Ok(if state.flushing { 0 } else { ROOM.saturating_sub(state.waiting.len()) })
    }

    fn flush(&self) {
        let mut state = self.state();
        state.flushing = !state.failed && (state.writing || !state.waiting.is_empty());
    }

    /// Says that nothing more will come, so that the pump ends when it has written what is there.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Writes what comes until the pipe is closed, or the writer fails: a reader that has gone away is the guest's to
    /// notice, as the end of its stream.
    pub(crate) async fn pump(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let (chunk, closed) = {
                let mut state = self.state();
                let chunk = state.waiting.split();
                state.writing = !chunk.is_empty();
                (chunk, state.closed)
            };
            if chunk.is_empty() {
                if closed {
                    return Ok(());
                }
                self.filled.notified().await;
                continue;
            }
            self.drained.notify_waiters();
            let written = match writer.write_all(&chunk).await {
                Ok(()) => writer.flush().await,
                Err(error) => Err(error),
            };
            let mut state = self.state();
            state.writing = false;
            state.failed = written.is_err();
            state.flushing = state.flushing && written.is_ok() && !state.waiting.is_empty();
            drop(state);
            self.drained.notify_waiters();
            written?;
        }
    }

    async fn ready(&self) {
        loop {
            // Made before the question, so that an answer which changes in between wakes it.
            let drained = self.drained.notified();
            if !matches!(self.room(), Ok(0)) {
                return;
            }
            drained.await;
        }
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.check_write()? < bytes.len() {
            return Err(StreamError::trap("the guest wrote more than it was permitted to"));
        }
        let asked = bytes.len();
        let fits = usize::try_from(self.quota.output.take_up_to(asked as u64)).unwrap_or(asked);
        self.count(fits as u64);
        self.quota.rate.took(fits as u64);
        self.put(bytes.get(..fits).unwrap_or(&bytes))?;
        if fits < asked {
            let over = self.quota.output.try_take((asked - fits) as u64);
            return over.map_err(|stop| StreamError::Trap(stop.into()));
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        if let Target::Pipe(pipe) = &self.target {
            pipe.flush();
        }
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let room = match &self.target {
            Target::Pipe(pipe) => pipe.room()?,
            Target::Discard | Target::Buffer(_) => ROOM,
        };
        let rate = self.quota.rate.room().unwrap_or(0);
        Ok(room.min(usize::try_from(rate).unwrap_or(usize::MAX)))
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if let Target::Pipe(pipe) = &self.target {
            pipe.ready().await;
        }
        while let Err(wait) = self.quota.rate.room() {
            tokio::time::sleep(Duration::from_nanos(wait)).await;
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Preview 2 never asks for this form, and nothing else is linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Stop;
    use crate::policy::{Bytes as Size, Limits};

    fn output(max: u64, sink: &Sink) -> (Output, Option<Arc<Pipe>>, Arc<Quota>) {
        let quota = Arc::new(Quota::new(&Limits { output: Size(max), ..Limits::default() }));
        let (output, pipe) = Output::new(sink, Channel::Stdout, Arc::clone(&quota));
        (output, pipe, quota)
    }

    #[test]
    fn what_fits_is_written_and_the_next_byte_stops() {
        let buffer = Buffer::default();
        let (mut output, _, quota) = output(5, &Sink::Buffer(buffer.clone()));
        assert!(output.write(Bytes::from_static(b"abc")).is_ok());
        let Err(StreamError::Trap(error)) = output.write(Bytes::from_static(b"defg")) else { panic!("no stop") };
        assert_eq!(error.downcast_ref::<Stop>().unwrap().reason.code(), "limit.output");
        assert_eq!(buffer.take(), b"abcde");
        assert_eq!(quota.stdout_bytes.load(Relaxed), 5);
    }

    #[test]
    fn a_slow_reader_makes_the_guest_wait_and_loses_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut output, pipe, _) = output(1 << 20, &Sink::Stdout);
            let pipe = pipe.unwrap();
            assert!(output.write(Bytes::from(vec![7; ROOM])).is_ok());
            assert_eq!(output.check_write().unwrap(), 0);
            assert!(output.write(Bytes::from_static(b"x")).is_err());
            output.flush().unwrap();
            let (reader, writer) = tokio::io::duplex(16);
            let pump = tokio::spawn({
                let pipe = Arc::clone(&pipe);
                async move { pipe.pump(writer).await }
            });
            let read = tokio::spawn(async move {
                let mut all = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut { reader }, &mut all).await.map(|_| all)
            });
            output.ready().await;
            assert_eq!(output.check_write().unwrap(), ROOM);
            assert!(output.write(Bytes::from_static(b"end")).is_ok());
            pipe.close();
            pump.await.unwrap().unwrap();
            let all = read.await.unwrap().unwrap();
            assert_eq!((all.len(), &all[ROOM..]), (ROOM + 3, &b"end"[..]));
        });
    }

    #[test]
    fn a_reader_that_has_gone_away_is_the_end_of_the_stream() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut output, pipe, _) = output(1 << 20, &Sink::Stdout);
            let (reader, writer) = tokio::io::duplex(16);
            drop(reader);
            output.write(Bytes::from_static(b"lost")).unwrap();
            assert!(pipe.unwrap().pump(writer).await.is_err());
            output.ready().await;
            assert!(matches!(output.check_write(), Err(StreamError::Closed)));
        });
    }
}
