//! ctrl-C and the request to terminate, for a command that takes a while.

use std::future::Future;
use std::time::{Duration, Instant};

use host::Stop;
use host::outcome::StopReason;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::files;

/// How long after one signal another one still means the same.
const SAME_WISH: Duration = Duration::from_millis(500);

/// The user's wish to stop: ctrl-C, or the signal that asks a process to terminate. Listened to from the start to the
/// end of a run, so that a signal which comes between two things that could be stopped is not lost.
#[derive(Clone)]
pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Starts to listen. ctrl-C a second time ends the process at once; it counts only some time after the first, since
    /// `timeout` and shells send one signal to the process and one to its group, and both mean the same wish.
    pub(super) fn listen() -> Self {
        let (wish, interrupt) = watch::channel(false);
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
                // Nobody listens, so the system ends the process as it does any other. The wish is kept unspoken.
                return wish.closed().await;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let first = Instant::now();
            wish.send_replace(true);
            while interrupt.recv().await.is_some() {
                if first.elapsed() > SAME_WISH {
                    files::remove_unfinished_receipt();
                    std::process::exit(i32::from(StopReason::Cancelled.exit_status()));
                }
            }
        });
        Self(interrupt)
    }

    /// Whether the user wants to stop.
    pub(super) fn is_wished(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when the user wants to stop.
    pub(super) async fn wished(mut self) {
        if self.0.wait_for(|wished| *wished).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for something that happens before there is a guest to stop.
    pub(super) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            result = work => Ok(result),
            () = self.clone().wished() => {
                Err(Stop::new(StopReason::Cancelled, "the run was cancelled before the guest started"))
            }
        }
    }
}
