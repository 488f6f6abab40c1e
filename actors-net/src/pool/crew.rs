//! The workers of a pool, as tasks of one thread: each keeps a process, gives it jobs, and replaces
//! it when it dies.
//!
//! A process gets its next job before it has answered the last one where all that it has are of tasks
//! whose jobs were short so far; see [`Flights`]. What it has not begun is taken back when it is not
//! wanted any more, or waits for too long. It answers each before it begins the next, so the first job
//! that has no answer is the one that ran when it died; those behind it go to others.
//!
//! Mostly a job comes to a worker that has nothing to do. Then who submits it gives it to the process
//! without the help of this thread: see [`Desks`](super::desk::Desks).
use super::Shared;
use super::flights::{Flight, Flights, PATIENCE};
use super::order::Order;
use crate::alarm::{alarm, poll_until};
use crate::child::{self, Life};
use crate::wire;
use actors_core::__private::{Outcome, timers_apart};
use actors_core::{JobError, Shutdown};
use backon::{BackoffBuilder, ExponentialBuilder};
use std::future::{pending, poll_fn};
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::bytes::BytesMut;

/// How long a short job that is not wanted any more may take to end, before its process is killed.
const GRACE: Duration = Duration::from_millis(20);
/// How long what a dead process has answered may take to come.
const REST: Duration = Duration::from_secs(1);

/// The longest delay between two attempts to start a process.
const LONGEST: Duration = Duration::from_secs(5);
/// How often one that waits for its next attempt looks whether the pool is closed.
const LOOK: Duration = Duration::from_millis(50);

/// Starts the thread and, on it, the workers.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let shared = Arc::clone(shared);
    let name = shared.options.name.replace('\0', " ");
    // The processes die with the thread that started them, so it is one that stays.
    thread::Builder::new().name(name).spawn(move || {
        let hopeful = Arc::new(AtomicUsize::new(shared.workers));
        runtime.block_on(async {
            let workers = (0..shared.workers).map(|number| {
                let worker = Worker {
                    shared: Arc::clone(&shared),
                    number,
                    hopeful: Arc::clone(&hopeful),
                    hopes: true,
                    ahead: 0,
                };
                tokio::spawn(worker.work())
            });
            for worker in workers.collect::<Vec<_>>() {
                if let Err(error) = worker.await {
                    tracing::error!(%error, "a worker of a pool has panicked");
                }
            }
            // What came in while they ended.
            while let Some(late) = shared.line.pop().await {
                shared.counts.cancelled();
                late.job.refuse(JobError::cancelled);
            }
            shared.alive.send_replace(0);
        });
    })?;
    Ok(())
}

/// One worker: a place for a process.
struct Worker {
    shared: Arc<Shared>,
    number: usize,
    /// How many workers have not failed to start their process.
    hopeful: Arc<AtomicUsize>,
    /// Whether this is one of them.
    hopes: bool,
    /// How many jobs it has that it may put back in line.
    ahead: usize,
}

/// Why the work with a process has ended.
enum End {
    /// The pool is closed and empty.
    Closed,
    /// It has run as many jobs as it may.
    Spent,
    /// Its channel was closed.
    Died,
    /// Nobody wants what it does any more, or it is too late for that.
    Unwanted,
    /// The pool is killed.
    Killed,
}

/// What happens next to a process.
enum Step {
    Answer(Option<BytesMut>),
    Exited,
    Wrote(io::Result<usize>),
    Cancelled,
    TooLate,
    /// It is time to see whether some are held up.
    Tick,
    Job(Option<Order>),
    Given,
    /// The pool is shut down so.
    Ending(Shutdown),
}

/// Waits until the pool is killed, or has to cancel all that has not begun, where there `is_such`.
async fn is_ending(ending: &mut watch::Receiver<Shutdown>, is_such: bool) -> Shutdown {
    let told = ending.wait_for(|how| match how {
        Shutdown::Finish => false,
        Shutdown::CancelPending => is_such,
        Shutdown::Kill => true,
    });
    let told = told.await.map(|how| *how);
    match told {
        Ok(how) => how,
        Err(_) => pending().await,
    }
}

async fn is_killed(ending: &mut watch::Receiver<Shutdown>) {
    is_ending(ending, false).await;
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Where it has panicked, it may have a job on its desk.
        drop(self.shared.desks.leave(self.number));
        // The others cannot hope for this one.
        self.hope(false);
        self.has_ahead(0);
    }
}

impl Worker {
    async fn work(mut self) {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times();
        let mut delay = delays.build();
        let mut ending = self.shared.ending.subscribe();
        let setup = self.shared.options.setup_of(self.number);
        let program = self.shared.options.program_of_workers();
        let mut first = true;
        loop {
            if self.shared.is_killed() || self.shared.is_over() {
                break;
            }
            if !std::mem::take(&mut first) {
                self.shared.counts.replaced();
            }
            let started = Life::start(&program, &setup, is_killed(&mut ending)).await;
            if self.shared.is_killed() {
                // Those that wait were cancelled.
                break;
            }
            let mut answered = 0;
            match started {
                Ok(mut life) => {
                    self.hope(true);
                    self.shared.processes()[self.number] = life.id();
                    let mut flights = Flights::new();
                    let end = self.converse(&mut life, &mut flights, &mut answered).await;
                    self.shared.processes()[self.number] = None;
                    match end {
                        End::Closed => {
                            life.retire().await;
                            break;
                        }
                        End::Spent => life.retire().await,
                        End::Died => self.bury(life, flights, &mut answered).await,
                        End::Unwanted => {
                            life.kill();
                            self.end_unwanted(flights);
                            drop(life.died().await);
                        }
                        End::Killed => {
                            life.kill();
                            self.end_unwanted(flights);
                            drop(life.died().await);
                            break;
                        }
                    }
                    self.has_ahead(0);
                    if !matches!(end, End::Died) || answered > 0 {
                        // One that has worked is replaced at once.
                        delay = delays.build();
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(pool = %self.shared.options.name, %error, "a worker did not start");
                    self.hope(false);
                    if self.hopeful.load(Ordering::Relaxed) == 0 {
                        self.give_up_waiting(error);
                    }
                }
            }
            let until = Instant::now() + delay.next().unwrap_or(LONGEST);
            while Instant::now() < until && !self.shared.is_killed() && !self.shared.is_over() {
                // It looks up now and then, since a shutdown need not wait for it.
                let _ = timeout(LOOK, timeout_at(until, is_killed(&mut ending))).await;
            }
        }
        self.shared
            .alive
            .send_modify(|alive| *alive = (*alive - 1).max(1));
    }

    /// Notes how many jobs it may put back in line: the others do not end before.
    fn has_ahead(&mut self, count: usize) {
        let before = std::mem::replace(&mut self.ahead, count);
        if before != count {
            self.shared
                .ahead
                .fetch_add(count.wrapping_sub(before), Ordering::Relaxed);
            if count == 0 {
                self.shared.settled.notify_waiters();
            }
        }
    }

    fn hope(&mut self, hopes: bool) {
        if self.hopes != hopes {
            self.hopes = hopes;
            if hopes {
                self.hopeful.fetch_add(1, Ordering::Relaxed);
            } else {
                self.hopeful.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// No worker has a process: the jobs that wait get the reason.
    fn give_up_waiting(&self, error: child::StartError) {
        let orders = self.shared.line.drain();
        let text = error.to_string();
        let unrun = JobError::failed(error, false);
        for order in orders {
            self.shared.counts.cancelled();
            order.refuse(|has_run| match has_run {
                true => JobError::failed(text.clone(), true),
                false => unrun.clone(),
            });
        }
    }

    /// Gives the process jobs, and the jobs their answers.
    async fn converse(
        &mut self,
        life: &mut Life,
        flights: &mut Flights,
        answered: &mut u64,
    ) -> End {
        let shared = Arc::clone(&self.shared);
        let mut ending = shared.ending.subscribe();
        let mut left = shared.options.max_tasks.unwrap_or(u64::MAX);
        // When the first job's process is to be killed, since nobody wants the job.
        let mut doomed = None;
        let channel = match life.channel() {
            Ok(channel) => Arc::new(channel),
            Err(_) => return End::Died,
        };
        let life = life.parts();
        let mut alarm = pin!(alarm());
        // Not one of this thread: where it waits with a limit, each wait takes longer.
        let timers = || timers_apart().unwrap_or_else(Handle::current);
        let mut tick: Option<JoinHandle<()>> = None;
        // Whether every worker can have one more than this one.
        let plenty = |flights: &Flights| shared.line.len() >= shared.workers * flights.len();
        loop {
            self.has_ahead(flights.waiting_len());
            let over = shared.line.is_over();
            if flights.is_empty() {
                if shared.is_over() {
                    return End::Closed;
                }
                if left == 0 {
                    return End::Spent;
                }
            }
            let unwritten = flights.unwritten();
            let sends_ahead =
                doomed.is_none() && flights.are_few() && flights.has_room() && plenty(flights);
            let takes = !over && left > 0 && (flights.is_empty() || sends_ahead);
            let until = flights.deadline().into_iter().chain(doomed).min();
            if flights.waiting_len() > 0 && shared.workers > 1 && tick.is_none() {
                tick = Some(timers().spawn(async { sleep(PATIENCE).await }));
            }
            let step = tokio::select! {
                biased;
                answer = child::next(life.reader) => Step::Answer(answer),
                wrote = life.writer.write_vectored(&unwritten), if !flights.is_written() => {
                    Step::Wrote(wrote)
                }
                step = self.next_job(&channel, flights.is_empty()), if takes => step,
                () = poll_fn(|cx| flights.poll_cancelled(doomed.is_none(), cx)) => Step::Cancelled,
                () = poll_fn(|cx| match until {
                    Some(until) => poll_until(alarm.as_mut(), until, cx),
                    None => Poll::Pending,
                }) => Step::TooLate,
                () = poll_fn(|cx| match &mut tick {
                    Some(tick) => pin!(tick).poll(cx).map(drop),
                    None => Poll::Pending,
                }) => Step::Tick,
                () = shared.settled(), if over && flights.is_empty() => Step::Job(None),
                _ = life.process.wait() => Step::Exited,
                how = is_ending(&mut ending, flights.are_ahead()) => Step::Ending(how),
            };
            if let Some(given) = shared.desks.leave(self.number) {
                left -= 1;
                flights.push(self.flight(given.order, given.began));
                flights.wrote(given.written);
            }
            match step {
                Step::Given => {}
                Step::Answer(Some(answer)) if answer.first() == Some(&wire::PASSED) => {
                    if !flights.pass() {
                        return End::Died;
                    }
                }
                Step::Answer(Some(answer)) => {
                    doomed = None;
                    if !self.land(flights, answer) {
                        return End::Died;
                    }
                    *answered += 1;
                }
                Step::Answer(None) | Step::Exited | Step::Wrote(Ok(0) | Err(_)) => {
                    return End::Died;
                }
                Step::Wrote(Ok(bytes)) => flights.wrote(bytes),
                Step::Job(Some(order)) => {
                    flights.push(self.flight(order, Instant::now()));
                    left -= 1;
                    // Those that may go along do.
                    while left > 0 && flights.has_room() && plenty(flights) {
                        let Some(next) = shared.line.try_pop() else {
                            break;
                        };
                        if let Some(order) = self.begin(next.job, next.since) {
                            flights.push(self.flight(order, Instant::now()));
                            left -= 1;
                        }
                    }
                    if flights.permit(life.permits).is_err() {
                        self.put_back(flights.take_bare());
                        return End::Died;
                    }
                }
                Step::Job(None) => {}
                Step::Ending(Shutdown::Kill) => {
                    self.put_back(flights.take_back(life.permits, Instant::now()));
                    return End::Killed;
                }
                Step::Tick if !flights.are_held_up(Instant::now()) => tick = None,
                Step::Cancelled | Step::TooLate | Step::Tick | Step::Ending(_) => {
                    let now = Instant::now();
                    tick = tick.filter(|tick| !tick.is_finished());
                    // Others run those that wait, or nobody does.
                    let back = flights.take_back(life.permits, now);
                    left += back.len() as u64;
                    self.put_back(back);
                    if let Some(runs) = flights.running() {
                        if doomed.is_none() && runs.order.is_cancelled() {
                            let grace = if runs.short { GRACE } else { Duration::ZERO };
                            doomed = Some(now + grace);
                        }
                        let ends = runs.order.deadline.into_iter().chain(doomed).min();
                        if ends.is_some_and(|time| time <= now) {
                            return End::Unwanted;
                        }
                    }
                }
            }
        }
    }

    /// The first job in line; or where the worker `waits` for it, one that it is given meanwhile.
    async fn next_job(&self, channel: &Arc<UnixStream>, waits: bool) -> Step {
        let Shared { line, desks, .. } = &*self.shared;
        let mut job = pin!(line.pop());
        poll_fn(|cx| {
            // Away while it looks in line: else it could be given a job that came after the one that
            // it takes, and run it first.
            if waits && !desks.is_away(self.number) {
                return Poll::Ready(Step::Given);
            }
            if let Poll::Ready(job) = job.as_mut().poll(cx) {
                let job = job.and_then(|waiting| self.begin(waiting.job, waiting.since));
                return Poll::Ready(Step::Job(job));
            }
            if waits {
                desks.wait(self.number, channel, cx.waker());
            }
            Poll::Pending
        })
        .await
    }

    /// Takes a job out of the line, if anybody wants it still.
    fn begin(&self, mut order: Order, since: std::time::Instant) -> Option<Order> {
        let now = Instant::now();
        if order.deadline.is_some_and(|time| time <= now) {
            self.shared.counts.cancelled();
            order.refuse(JobError::timed_out);
            return None;
        }
        if let Err(error) = &mut order.frame {
            let error = error.clone();
            self.shared.counts.cancelled();
            order.fail(error);
            return None;
        }
        if !order.start() {
            self.shared.counts.cancelled();
            order.refuse(JobError::cancelled);
            return None;
        }
        let waited = now.into_std().saturating_duration_since(since);
        self.shared.counts.began(self.number, waited);
        Some(order)
    }

    fn flight(&self, order: Order, began: Instant) -> Flight {
        Flight {
            short: self.shared.paces.is_short(order.kind),
            order,
            began,
        }
    }

    /// Gives the first job its answer. False: there is none that it could be for.
    fn land(&mut self, flights: &mut Flights, answer: BytesMut) -> bool {
        let now = Instant::now();
        let Some(Flight { order, began, .. }) = flights.land(now) else {
            return false;
        };
        let ran = now - began;
        self.shared.paces.note(order.kind, ran);
        // Counted before it is told.
        let outcome = match answer.first() {
            Some(&wire::DONE) => Outcome::Done,
            _ => Outcome::Failed,
        };
        self.shared.counts.ended(self.number, outcome, ran);
        order.answer(answer);
        true
    }

    /// Lets others run these jobs, which have not begun; unless nobody is to run them.
    fn put_back(&self, flights: impl IntoIterator<Item = Flight>) {
        let orders: Vec<Order> = flights.into_iter().map(|flight| flight.order).collect();
        if orders.is_empty() {
            return;
        }
        for order in &orders {
            order.unstart();
            self.shared.counts.took_back(self.number);
        }
        self.shared.line.put_back(orders.into_iter());
        if *self.shared.ending.borrow() != Shutdown::Finish {
            self.shared.cancel_waiting();
        }
    }

    /// A process has died: the job that it ran fails, or is run again.
    async fn bury(&mut self, mut life: Life, mut flights: Flights, answered: &mut u64) {
        // What it has answered before it died is there still.
        while let Ok(Some(answer)) = timeout(REST, life.next()).await {
            // Where it passes one over, there are no answers any more.
            if answer.first() == Some(&wire::PASSED) || !self.land(&mut flights, answer) {
                break;
            }
            *answered += 1;
        }
        let mut back = flights.salvage(life.permits(), Instant::now());
        let died = life.died().await;
        for mut flight in flights.into_all().into_iter().rev() {
            if flight.order.retries > 0 {
                flight.order.retries -= 1;
                flight.order.has_run = true;
                back.push_front(flight);
            } else {
                self.shared
                    .counts
                    .ended(self.number, Outcome::Failed, flight.began.elapsed());
                flight.order.fail(JobError::WorkerDied(died.clone()));
            }
        }
        self.put_back(back);
    }

    /// A process is killed with the job that it runs; those that were behind it were taken back.
    fn end_unwanted(&self, flights: Flights) {
        for Flight { order, began, .. } in flights.into_all() {
            self.shared
                .counts
                .ended(self.number, Outcome::Failed, began.elapsed());
            let is_late = order.deadline.is_some_and(|time| time <= Instant::now());
            order.fail(match is_late {
                true => JobError::timed_out(true),
                false => JobError::cancelled(true),
            });
        }
    }
}
