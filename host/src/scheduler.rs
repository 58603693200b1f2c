//! Time: processor time measured on the invocation itself, its turns on the processor, one deadline, and the signal
//! that stops it.
//!
//! Every poll of an invocation is a turn on one of the host's slots. At each epoch tick its time is counted for its
//! tenant, and it gives the slot back where somebody else comes first. Who comes and is before those that compute lets the
//! epoch tick at once. Three nets hold a guest that doesn't stop: at every epoch tick its time is looked at;
//! the caller's side has a timer of its own, on a runtime that no guest runs on; and a guest whose host call doesn't
//! give its thread back is given up after [`GRACE`].

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::outcome::Stop;
use crate::policy::{LimitKind, Limits};
use crate::shared::{Share, Ticket, Turn, lock};

/// How often the epoch moves on: the longest that a guest computes without being looked at.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How long a stopped invocation may take to notice before it is given up.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// One invocation's clocks.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall_ns: u64,
    cpu_max_ns: u64,
    /// Processor time of all polls that have ended.
    cpu_ns: AtomicU64,
    /// The thread's processor time at the start of the poll that is under way.
    poll_began_ns: AtomicU64,
    /// Time spent waiting for a turn on the processor.
    turn_wait_ns: AtomicU64,
    /// Time spent waiting for memory that others held.
    memory_wait_ns: AtomicU64,
    lane: Option<Lane>,
    /// Whether there is a guest that could have to be stopped.
    running: AtomicBool,
    stop: OnceLock<Stop>,
    stopped: Notify,
}

/// An invocation's way onto the processor: its place in the order, and whose time it uses.
#[derive(Debug)]
struct Lane {
    ticket: Ticket,
    share: Arc<Share>,
    /// Processor time of the invocation that is already counted for its tenant.
    charged_ns: AtomicU64,
}

/// Where the time of an invocation went, beyond what it computed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) turn_ns: u64,
    pub(crate) memory_ns: u64,
}

impl Lane {
    fn new(share: &Arc<Share>) -> Self {
        let ticket = share.shared.turns.ticket(share.account.key, share.limits.weight);
        Self { ticket, share: Arc::clone(share), charged_ns: AtomicU64::new(0) }
    }

    /// Processor time since the last look, which is now counted for the tenant.
    fn charge(&self, total_ns: u64) -> u64 {
        let used = total_ns.saturating_sub(self.charged_ns.swap(total_ns, Relaxed));
        self.share.computed(used);
        used
    }
}

impl Clock {
    /// A clock that starts now, of an invocation that shares the processor with nobody.
    #[cfg(test)]
    pub(crate) fn start(limits: &Limits) -> Self {
        Self::since(Instant::now(), None, limits, None)
    }

    /// A clock that started a while ago, with a deadline that is never later than `latest`.
    pub(crate) fn since(
        started: Instant,
        latest: Option<Instant>,
        limits: &Limits,
        share: Option<&Arc<Share>>,
    ) -> Self {
        let own = limits.wall.nanos();
        let given = latest.map_or(u64::MAX, |latest| nanos(latest.saturating_duration_since(started)));
        Self {
            started,
            wall_ns: own.min(given),
            cpu_max_ns: limits.cpu.nanos(),
            cpu_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(u64::MAX),
            turn_wait_ns: AtomicU64::new(0),
            memory_wait_ns: AtomicU64::new(0),
            lane: share.map(Lane::new),
            running: AtomicBool::new(false),
            stop: OnceLock::new(),
            stopped: Notify::new(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn wall_ns(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    /// Nanoseconds until the deadline.
    pub(crate) fn wall_left_ns(&self) -> u64 {
        self.wall_ns.saturating_sub(self.wall_ns())
    }

    /// The length of the deadline, in nanoseconds.
    pub(crate) fn wall_max_ns(&self) -> u64 {
        self.wall_ns
    }

    /// The processor time that it may use, in nanoseconds.
    pub(crate) fn cpu_max_ns(&self) -> u64 {
        self.cpu_max_ns
    }

    /// The deadline, or none where it is further away than a clock can say.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(self.wall_ns))
    }

    /// Processor time of the polls that have ended.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Relaxed)
    }

    /// Processor time that is left; right only on the thread that polls the invocation, inside a poll.
    pub(crate) fn cpu_left_ns(&self) -> u64 {
        self.cpu_max_ns.saturating_sub(self.cpu_now_ns())
    }

    fn cpu_now_ns(&self) -> u64 {
        let this_poll = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed));
        self.cpu_ns().saturating_add(this_poll)
    }

    /// Time that was spent waiting for others.
    pub(crate) fn waits(&self) -> Waits {
        Waits { turn_ns: self.turn_wait_ns.load(Relaxed), memory_ns: self.memory_wait_ns.load(Relaxed) }
    }

    /// Counts time that was spent waiting for memory.
    pub(crate) fn waited_for_memory(&self, time: Duration) {
        self.memory_wait_ns.fetch_add(nanos(time), Relaxed);
    }

    /// Called at each epoch tick, on the guest's thread: whether the guest may go on, or somebody else comes first.
    ///
    /// # Errors
    /// The stop for the limit that is used up.
    pub(crate) fn tick(&self) -> Result<bool, Stop> {
        self.check()?;
        let Some(lane) = &self.lane else { return Ok(false) };
        let turn = lane.ticket.tick(lane.charge(self.cpu_now_ns()));
        Ok(turn == Turn::Mine && lane.share.cpu_wait_ns().is_none())
    }

    /// Hands on the slot of a guest that doesn't come back from where it is.
    pub(crate) fn give_up(&self) {
        if let Some(lane) = &self.lane {
            lane.ticket.give_up();
        }
    }

    /// Looks at both clocks.
    ///
    /// # Errors
    /// The stop for the limit that is used up.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if let Some(stop) = self.stop.get() {
            return Err(stop.clone());
        }
        let cpu = self.cpu_now_ns();
        if cpu > self.cpu_max_ns {
            return Err(Stop::limit(LimitKind::Cpu, self.cpu_max_ns, cpu, None));
        }
        if self.wall_left_ns() == 0 {
            return Err(self.wall_stop());
        }
        Ok(())
    }

    /// The stop for the deadline.
    pub(crate) fn wall_stop(&self) -> Stop {
        Stop::limit(LimitKind::Wall, self.wall_ns, self.wall_ns(), None)
    }

    /// Asks the invocation to stop; the first reason is the one that counts.
    pub(crate) fn stop(&self, stop: Stop) {
        // A second reason is dropped on purpose.
        let _ = self.stop.set(stop);
        self.stopped.notify_one();
        if self.running.load(Relaxed) {
            tick_now();
        }
    }

    /// Whether somebody asked for a stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.get().is_some()
    }

    /// Waits until somebody asked for a stop.
    pub(crate) async fn stopped(&self) -> Stop {
        loop {
            if let Some(stop) = self.stop.get() {
                return stop.clone();
            }
            self.stopped.notified().await;
        }
    }
}

/// A future whose polls are turns on the processor, timed with the thread's own clock, so that a machine which is busy
/// with other things doesn't use up a guest's budget.
pub(crate) struct Metered<F> {
    clock: Arc<Clock>,
    future: Pin<Box<F>>,
    /// Since when it waits for a turn.
    waiting: Option<Instant>,
    /// Until the tenant may compute again.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(clock: Arc<Clock>, future: F) -> Self {
        clock.running.store(true, Relaxed);
        Self { clock, future: Box::pin(future), waiting: None, pause: None }
    }
}

impl<F> Metered<F> {
    /// Takes a slot, or says that others come first.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lane) = &self.clock.lane else { return Poll::Ready(()) };
        if self.pause.is_none() {
            self.pause = lane.share.cpu_wait_ns().map(|wait| Box::pin(tokio::time::sleep(Duration::from_nanos(wait))));
        }
        while let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                self.waiting.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            self.pause = lane.share.cpu_wait_ns().map(|wait| Box::pin(tokio::time::sleep(Duration::from_nanos(wait))));
        }
        if lane.ticket.begin(cx.waker()).is_pending() {
            self.waiting.get_or_insert_with(Instant::now);
            if lane.ticket.comes_before_a_holder() {
                tick_now();
            }
            return Poll::Pending;
        }
        if let Some(since) = self.waiting.take() {
            self.clock.turn_wait_ns.fetch_add(nanos(since.elapsed()), Relaxed);
        }
        Poll::Ready(())
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.begin(cx).is_pending() {
            return Poll::Pending;
        }
        let began = thread_cpu_ns();
        self.clock.poll_began_ns.store(began, Relaxed);
        let result = self.future.as_mut().poll(cx);
        let used = thread_cpu_ns().saturating_sub(began);
        let total = self.clock.cpu_ns.fetch_add(used, Relaxed).saturating_add(used);
        self.clock.poll_began_ns.store(u64::MAX, Relaxed);
        if let Some(lane) = &self.clock.lane {
            lane.ticket.end(lane.charge(total));
        }
        result
    }
}

impl<F> Drop for Metered<F> {
    /// A poll that panicked has not given its slot back, and one that waits gives up its time of waiting.
    fn drop(&mut self) {
        self.clock.running.store(false, Relaxed);
        self.clock.give_up();
        if let Some(since) = self.waiting.take() {
            self.clock.turn_wait_ns.fetch_add(nanos(since.elapsed()), Relaxed);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Moves the epoch of an engine on from a thread of the operating system, for as long as the engine lives. A timer of
/// an asynchronous runtime could be starved by the very guest that it should interrupt.
pub(crate) fn tick(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    {
        let mut engines = lock(&ENGINES);
        engines.retain(|engine| engine.upgrade().is_some());
        engines.push(engine.clone());
    }
    let thread = std::thread::Builder::new().name("epoch".to_owned());
    thread.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

/// The engines of this process whose epochs tick.
static ENGINES: Mutex<Vec<wasmtime::EngineWeak>> = Mutex::new(Vec::new());

/// When the last tick out of turn was, in microseconds.
static TICKED_US: AtomicU64 = AtomicU64::new(0);

/// The shortest time between two ticks out of turn, so that nobody can slow the others down by coming often.
const MIN_TICK_US: u64 = 500;

/// Lets every guest that computes be looked at now: somebody was stopped, or waits who comes before it.
fn tick_now() {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    let now_us = seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000);
    let last = TICKED_US.load(Relaxed);
    let due = now_us.saturating_sub(last) >= MIN_TICK_US;
    if due && TICKED_US.compare_exchange(last, now_us, Relaxed, Relaxed).is_ok() {
        for engine in lock(&ENGINES).iter().filter_map(wasmtime::EngineWeak::upgrade) {
            engine.increment_epoch();
        }
    }
}

/// Processor time of this thread in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Span;

    #[test]
    fn the_first_reason_to_stop_is_the_one_that_counts() {
        let clock = Clock::start(&Limits::default());
        assert!(clock.check().is_ok());
        clock.stop(Stop::new(crate::outcome::StopReason::Cancelled, "first"));
        clock.stop(Stop::new(crate::outcome::StopReason::HostFault, "second"));
        assert_eq!(clock.check().unwrap_err().message, "first");
    }

    #[test]
    fn a_deadline_that_has_passed_is_the_wall_limit() {
        let clock = Clock::start(&Limits { wall: Span(Duration::from_nanos(1)), ..Limits::default() });
        while clock.wall_ns() < 1 {}
        assert_eq!(clock.check().unwrap_err().reason.code(), "limit.wall");
        assert_eq!(clock.wall_left_ns(), 0);
    }

    #[test]
    fn a_deadline_that_is_given_shrinks_the_limit_and_never_lengthens_it() {
        let limits = Limits { wall: Span::from_millis(1000), ..Limits::default() };
        let now = Instant::now();
        let deadline = |latest: u64| {
            let clock = Clock::since(now, Some(now + Duration::from_millis(latest)), &limits, None);
            clock.deadline().unwrap().duration_since(now).as_millis()
        };
        assert_eq!((deadline(999), deadline(1000), deadline(1001)), (999, 1000, 1000));
        let late = Clock::since(now, now.checked_sub(Duration::from_millis(1)), &limits, None);
        assert_eq!(late.check().unwrap_err().reason.code(), "limit.wall");
    }

    #[test]
    fn computing_in_a_poll_counts_and_waiting_does_not() {
        let clock = Arc::new(Clock::start(&Limits { cpu: Span::from_millis(1), ..Limits::default() }));
        let inner = Arc::clone(&clock);
        let metered = Metered::new(Arc::clone(&clock), async move {
            assert!(inner.check().is_ok());
            while inner.check().is_ok() {}
            inner.check().unwrap_err()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stop = runtime.block_on(metered);
        assert_eq!(stop.reason.code(), "limit.cpu");
        let spent = clock.cpu_ns();
        assert!(spent >= 1_000_000);
        assert_eq!(clock.cpu_ns(), spent);
    }
}
