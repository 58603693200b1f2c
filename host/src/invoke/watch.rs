//! The caller's side of an invocation: the deadline, the caller's wish to stop, and what the guest wrote.
//!
//! All of this runs on the caller's runtime, where no guest runs, so a guest that never gives its thread back can't
//! keep a deadline from passing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::guest::Report;
use crate::outcome::{Stop, StopReason};
use crate::scheduler::{Clock, GRACE};
use crate::stdio::{Pipe, Sink};

/// Ends when the caller wants the invocation to stop.
pub(super) type Cancel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Watches over one invocation. When it is dropped before the end, because the caller went away, the guest is stopped.
pub(super) struct Watch {
    pub(super) clock: Arc<Clock>,
}

/// Tasks that carry what the guest writes to the host's own standard streams.
pub(super) struct Pumps {
    pipes: Vec<Arc<Pipe>>,
    tasks: JoinSet<io::Result<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clock.stop(cancelled());
    }
}

impl Watch {
    /// Waits for the guest's task, asks it to stop when it is time to, and gives it up when it doesn't.
    pub(super) async fn until_it_ends<V>(
        &self,
        mut task: JoinHandle<(Result<V, Stop>, Report)>,
        cancel: &mut Cancel,
    ) -> (Result<V, Stop>, Report) {
        let clock = &self.clock;
        let stop = tokio::select! {
            joined = &mut task => return self.joined(joined),
            () = sleep_until(self.deadline()) => clock.wall_stop(),
            () = cancel => cancelled(),
        };
        clock.stop(stop.clone());
        tokio::select! {
            joined = &mut task => self.joined(joined),
            () = tokio::time::sleep(GRACE) => {
                // The host call that it is in doesn't come back; what it holds is freed when it does.
                task.abort();
                (Err(stop), self.report(Report { cpu_ns: clock.cpu_ns(), ..Report::default() }))
            }
        }
    }

    /// Waits for what the guest needs before it can start, for as long as the deadline lets it.
    pub(super) async fn until_opened<T>(
        &self,
        opened: impl Future<Output = Result<T, Stop>>,
        cancel: &mut Cancel,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            opened = opened => opened,
            () = sleep_until(self.deadline()) => Err(self.clock.wall_stop()),
            () = cancel => Err(cancelled()),
        }
    }

    /// Waits until what the guest wrote is written out, for as long as the deadline lets it wait for a slow reader.
    /// The value is the error that kept some of it from being written, if there was one.
    pub(super) async fn until_written(&self, mut pumps: Pumps, cancel: &mut Cancel) -> Result<Option<io::Error>, Stop> {
        for pipe in &pumps.pipes {
            pipe.close();
        }
        let grace = Instant::now() + GRACE;
        let patience = if self.clock.is_stopped() { grace } else { self.deadline().max(grace) };
        tokio::select! {
            lost = pumps.finish() => Ok(lost),
            () = sleep_until(patience) => Err(self.clock.wall_stop()),
            () = cancelled_by(cancel, &self.clock) => Err(cancelled()),
        }
    }

    /// The deadline; one that no clock can say never comes.
    fn deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        self.clock.deadline().map_or(far, Instant::from_std)
    }

    fn joined<V>(&self, joined: Result<(Result<V, Stop>, Report), JoinError>) -> (Result<V, Stop>, Report) {
        match joined {
            Ok((ending, report)) => (ending, self.report(report)),
            Err(error) => {
                let stop = Stop::host_fault(format!("the guest's task ended: {}", describe(error)));
                (Err(stop), self.report(Report { cpu_ns: self.clock.cpu_ns(), ..Report::default() }))
            }
        }
    }

    fn report(&self, report: Report) -> Report {
        Report { wall_ns: self.clock.wall_ns(), ..report }
    }
}

impl Pumps {
    /// Starts one for each stream that goes to the host's own.
    pub(super) fn start(streams: [(Option<Arc<Pipe>>, Sink); 2]) -> Self {
        let mut pumps = Self { pipes: Vec::new(), tasks: JoinSet::new() };
        for (pipe, sink) in streams {
            let Some(pipe) = pipe else { continue };
            pumps.pipes.push(Arc::clone(&pipe));
            pumps.tasks.spawn(async move {
                match sink {
                    Sink::Stderr => pipe.pump(tokio::io::stderr()).await,
                    _ => pipe.pump(tokio::io::stdout()).await,
                }
            });
        }
        pumps
    }

    /// Waits for all of them. A reader that has gone away had what it wanted; the guest was told by the end of its
    /// stream.
    async fn finish(&mut self) -> Option<io::Error> {
        let mut lost = None;
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => lost = Some(error),
                _ => {}
            }
        }
        lost
    }
}

/// The caller's wish to stop, unless it was already granted: such a future must not be polled again.
async fn cancelled_by(cancel: &mut Cancel, clock: &Clock) {
    if clock.is_stopped() {
        return std::future::pending().await;
    }
    cancel.await;
}

fn cancelled() -> Stop {
    Stop::new(StopReason::Cancelled, "the caller cancelled the run")
}

fn describe(error: JoinError) -> String {
    if !error.is_panic() {
        return "it was aborted".to_owned();
    }
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("without a message"))
}
