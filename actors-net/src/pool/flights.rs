//! The jobs that a process has.
use super::order::Order;
use crate::permits::{self, Permits};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How many jobs a process has at a time, where they are short.
const MOST: usize = permits::MOST;
/// How long those that were sent ahead wait for the one that runs, before they are taken back.
const PATIENCE: Duration = Duration::from_millis(2);

/// One of them.
pub(super) struct Flight {
    pub(super) order: Order,
    /// When it was sent, or the one before it answered.
    pub(super) began: Instant,
    /// Whether it is likely to be short.
    pub(super) short: bool,
}

/// All of them, in the order in which it runs them. It answers each before it begins the next.
pub(super) struct Flights {
    queue: VecDeque<Flight>,
    /// How many of the last ones may have their permits still, and can be taken back.
    ahead: usize,
    /// How many others, which were taken back, it has still to pass over.
    passed: usize,
    /// How much of the last one's frame is written.
    written: usize,
    /// What is to be written of one that was taken back half-written.
    rest: Vec<u8>,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(MOST),
            ahead: 0,
            passed: 0,
            written: 0,
            rest: Vec::new(),
        }
    }

    /// Whether the process has nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.passed == 0
    }

    /// Whether one more may be sent before the first has ended: all are likely to be short, and what
    /// the process is to pass over is not mistaken for it.
    pub(super) fn may_send_ahead(&self) -> bool {
        self.passed == 0 && self.queue.len() < MOST && self.queue.iter().all(|flight| flight.short)
    }

    /// What is to be written next.
    pub(super) fn unwritten(&self) -> Option<&[u8]> {
        let frame = match self.passed {
            0 => self.queue.back()?.order.frame.as_ref().ok()?,
            _ => &self.rest,
        };
        frame.get(self.written..).filter(|rest| !rest.is_empty())
    }

    /// Notes that so many bytes more are written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Adds the job that is sent next. A permit is needed where there are others before it.
    pub(super) fn send(&mut self, mut flight: Flight, permits: &Permits) -> io::Result<()> {
        let ahead = !self.queue.is_empty();
        flight.order.mark(ahead);
        self.add(flight, 0);
        if ahead {
            permits.issue()?;
            self.ahead += 1;
        }
        Ok(())
    }

    /// Adds one of whose frame so much was written by somebody else.
    pub(super) fn add(&mut self, flight: Flight, written: usize) {
        self.queue.push_back(flight);
        self.written = written;
    }

    /// Takes out the first, which has ended; the next one begins.
    pub(super) fn land(&mut self, now: Instant) -> Option<Flight> {
        let first = self.queue.pop_front()?;
        self.ahead = self.ahead.min(self.queue.len());
        if let Some(next) = self.queue.front_mut() {
            next.began = now;
        }
        Some(first)
    }

    /// Notes that the process has passed over one. False: there was none to pass over.
    pub(super) fn pass(&mut self) -> bool {
        let Some(left) = self.passed.checked_sub(1) else {
            return false;
        };
        self.passed = left;
        if left == 0 {
            self.rest = Vec::new();
        }
        true
    }

    /// Whether some may have not begun.
    pub(super) fn are_ahead(&self) -> bool {
        self.ahead > 0
    }

    /// How many have begun, as far as is known.
    fn begun(&self) -> usize {
        self.queue.len() - self.ahead
    }

    /// The one that runs; `None` where its successor has begun, and its answer is on the way.
    pub(super) fn running(&self) -> Option<&Flight> {
        self.queue.front().filter(|_| self.begun() < 2)
    }

    /// Those that have not begun, as far as is known.
    fn waiting(&self) -> impl ExactSizeIterator<Item = &Flight> {
        self.queue.iter().skip(self.begun().max(1))
    }

    /// Ready when there is one that nobody wants: one that waits, or `too` the one that runs.
    pub(super) fn poll_cancelled(&self, too: bool, cx: &mut Context<'_>) -> Poll<()> {
        let running = self.running().filter(|_| too);
        let mut all = running.into_iter().chain(self.waiting());
        match all.any(|flight| flight.order.poll_cancelled(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// When the time of one is over, or those that wait have waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        let all = self.running().into_iter().chain(self.waiting());
        let deadlines = all.filter_map(|flight| flight.order.deadline);
        let first = self.queue.front().filter(|first| first.short);
        let patience = first
            .filter(|_| self.waiting().len() > 0)
            .map(|first| first.began + PATIENCE);
        deadlines.chain(patience).min()
    }

    /// Takes back all that the process has not begun.
    pub(super) fn take_back(&mut self, permits: &Permits, now: Instant) -> VecDeque<Flight> {
        if let Some(first) = self.queue.front_mut() {
            first.short &= now < first.began + PATIENCE;
        }
        if mem::take(&mut self.ahead) == 0 {
            return VecDeque::new();
        }
        let taken = permits.take_back().min(self.queue.len());
        if taken > 0 {
            self.rest = self.unwritten().unwrap_or_default().to_vec();
            self.written = 0;
            self.passed = taken;
        }
        self.queue.split_off(self.queue.len() - taken)
    }

    /// Takes out the last one, if its frame was not written whole.
    pub(super) fn take_unwritten(&mut self) -> Option<Flight> {
        if self.passed > 0 {
            return None;
        }
        self.unwritten()?;
        self.queue.pop_back()
    }

    /// Takes out all, in their order, for a process that is no more.
    pub(super) fn into_all(self) -> VecDeque<Flight> {
        self.queue
    }
}
