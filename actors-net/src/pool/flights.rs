//! The jobs that a process has.
use super::order::Order;
use crate::permits::{self, Permits};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How many jobs a process has at a time, where they are short.
const MOST: usize = permits::MOST;
/// How long those that were sent ahead wait for the one that runs, before they are taken back.
pub(super) const PATIENCE: Duration = Duration::from_millis(2);

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
    /// How many of them have none yet.
    bare: usize,
    /// How many others, which were taken back, it has still to pass over.
    passed: usize,
    /// How many of the last ones have frames that are not written whole.
    unsent: usize,
    /// How much of the first of these frames is written, or of the rest.
    written: usize,
    /// What was not written of one that was taken back half-written; before all else.
    rest: Vec<u8>,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(MOST),
            ahead: 0,
            bare: 0,
            passed: 0,
            unsent: 0,
            written: 0,
            rest: Vec::new(),
        }
    }

    /// Whether the process has nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.passed == 0
    }

    /// Whether one more may be sent before the first has ended: all are likely to be short, and nothing
    /// is to be passed over, for which it would be taken.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < MOST && self.passed == 0 && self.queue.iter().all(|flight| flight.short)
    }

    /// Whether it is worth while to send more: there is room for several, which are sent together.
    pub(super) fn are_few(&self) -> bool {
        self.queue.len() <= MOST / 2 && self.is_written()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether all that was sent is written.
    pub(super) fn is_written(&self) -> bool {
        self.unsent == 0 && self.rest.is_empty()
    }

    /// What is to be written next.
    pub(super) fn unwritten(&self) -> [IoSlice<'_>; MOST] {
        let begin = self.queue.len() - self.unsent;
        let unsent = self.queue.iter().skip(begin);
        let frames = unsent.map(|flight| flight.order.frame.as_deref().unwrap_or_default());
        let rest = (!self.rest.is_empty()).then_some(&*self.rest);
        let mut slices = rest.into_iter().chain(frames);
        let mut first = slices.next().unwrap_or_default();
        first = first.get(self.written..).unwrap_or_default();
        let mut all = [first].into_iter().chain(slices);
        std::array::from_fn(|_| IoSlice::new(all.next().unwrap_or_default()))
    }

    /// Notes that so many bytes more are written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if !self.rest.is_empty() {
            if self.written == self.rest.len() {
                self.rest = Vec::new();
                self.written = 0;
            }
            return;
        }
        for flight in self.queue.iter().skip(self.queue.len() - self.unsent) {
            let length = flight.order.frame.as_ref().map_or(0, Vec::len);
            if self.written < length {
                break;
            }
            self.written -= length;
            self.unsent -= 1;
        }
    }

    /// Adds one that is to be written, once it is [permitted](Self::permit).
    pub(super) fn push(&mut self, mut flight: Flight) {
        let is_first = self.queue.is_empty();
        flight.order.mark(!is_first);
        self.queue.push_back(flight);
        self.unsent += 1;
        self.bare += usize::from(!is_first);
    }

    /// Issues the permits of those that were added, where they need any.
    pub(super) fn permit(&mut self, permits: &Permits) -> io::Result<()> {
        permits.issue(self.bare)?;
        self.ahead += mem::take(&mut self.bare);
        Ok(())
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
        true
    }

    /// Whether some can perhaps be taken back, if only the first.
    pub(super) fn are_ahead(&self) -> bool {
        self.ahead > 0
    }

    /// How many wait for the first.
    pub(super) fn waiting_len(&self) -> usize {
        self.waiting().len()
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

    /// When the time of the first of them is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let all = self.running().into_iter().chain(self.waiting());
        all.filter_map(|flight| flight.order.deadline).min()
    }

    /// Whether those that wait have waited long enough for the one that runs.
    pub(super) fn are_held_up(&self, now: Instant) -> bool {
        let first = self.queue.front();
        self.waiting().len() > 0 && first.is_some_and(|first| first.began + PATIENCE <= now)
    }

    /// Takes back all that the process has not begun.
    pub(super) fn take_back(&mut self, permits: &Permits, now: Instant) -> VecDeque<Flight> {
        let are_held_up = self.are_held_up(now);
        if let Some(first) = self.queue.front_mut() {
            first.short &= !are_held_up;
        }
        if mem::take(&mut self.ahead) == 0 {
            return VecDeque::new();
        }
        let taken = permits.take_back().min(self.queue.len());
        let back = self.queue.split_off(self.queue.len() - taken);
        // It never gets those of which nothing is written yet, and passes over the others.
        let untouched = self.unsent.saturating_sub(usize::from(self.written > 0));
        let unheard = untouched.min(taken);
        self.passed = taken - unheard;
        self.unsent -= unheard;
        if self.unsent > 0 && self.passed > 0 {
            let half = back.get(self.passed - 1);
            let frame = half.and_then(|flight| flight.order.frame.as_deref().ok());
            let rest = frame.and_then(|frame| frame.get(self.written..));
            self.rest = rest.unwrap_or_default().to_vec();
            (self.unsent, self.written) = (0, 0);
        }
        back
    }

    /// Takes out those that have no permits, and could not be given any.
    pub(super) fn take_bare(&mut self) -> VecDeque<Flight> {
        let bare = mem::take(&mut self.bare);
        self.unsent -= bare;
        self.queue.split_off(self.queue.len() - bare)
    }

    /// Takes out all that a process has not begun that is no more. One of which it has got a part counts
    /// as begun: that may be what has ended it.
    pub(super) fn salvage(&mut self, permits: &Permits, now: Instant) -> VecDeque<Flight> {
        let mut back = self.take_back(permits, now);
        // What is left of these needed no permit: the first, if none of it is written.
        let unheard = self.unsent.saturating_sub(usize::from(self.written > 0));
        self.unsent -= unheard;
        for flight in self.queue.drain(self.queue.len() - unheard..).rev() {
            back.push_front(flight);
        }
        back
    }

    /// Takes out all, in their order, for a process that is no more.
    pub(super) fn into_all(self) -> VecDeque<Flight> {
        self.queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permits::{Permitted, sides};
    use crate::pool::order::draft;
    use crate::task::Task;
    use crate::wire;
    use actors_core::{Job, JobOptions};

    /// Its number, and text that makes it long.
    struct Numbered((u32, String));

    impl Job for Numbered {
        type Output = ();

        fn run(self) {}
    }

    impl Task for Numbered {
        type Args = (u32, String);

        const NAME: &'static str = "numbered";

        fn args(&self) -> &Self::Args {
            &self.0
        }

        fn from_args(args: Self::Args) -> Self {
            Self(args)
        }
    }

    /// The process, as far as frames and permits go.
    struct Process {
        permitted: Permitted,
        channel: Vec<u8>,
        ran: Vec<u32>,
        /// What it answers: the number of a job that ran, or that it has passed one over.
        answers: VecDeque<Option<u32>>,
    }

    impl Process {
        /// Reads a job, if one has come whole, and runs it or passes it over.
        fn step(&mut self) {
            let Some(length) = self.channel.first_chunk() else {
                return;
            };
            let length = wire::LENGTH + u32::from_le_bytes(*length) as usize;
            if self.channel.len() < length {
                return;
            }
            let frame: Vec<u8> = self.channel.drain(..length).collect();
            let mut buffer = Vec::new();
            let frame = wire::read(&mut &*frame, &mut buffer, u32::MAX);
            let (kind, payload) = frame.expect("a frame").expect("one");
            let (kind, ahead) = wire::unmark(kind);
            let (name, args) = wire::read_job(payload).expect("a job");
            assert_eq!((kind, name), (wire::JOB, Numbered::NAME));
            let (number, text): (u32, String) = wire::decode(args).expect("its arguments");
            assert!(text.chars().all(|char| char == 'x'));
            let runs = !ahead || self.permitted.take().expect("it is open");
            self.ran.extend(runs.then_some(number));
            self.answers.push_back(runs.then_some(number));
        }
    }

    /// Who sends jobs to it.
    struct Sender {
        permits: Permits,
        flights: Flights,
        sent: u32,
        back: Vec<u32>,
        /// How many were taken back while one of them was half-written.
        halves: u32,
        /// What a process had that is no more, and was not taken back.
        lost: Vec<u32>,
    }

    impl Sender {
        /// Sends some, long and short, as far as there is room.
        fn send(&mut self, rng: &mut fastrand::Rng) {
            for _ in 0..rng.usize(1..=MOST) {
                if !self.flights.has_room() {
                    break;
                }
                let text = "x".repeat(rng.usize(..200));
                let job = Numbered((self.sent, text));
                let (draft, _) = draft::<()>(&JobOptions::new());
                self.flights.push(Flight {
                    order: draft.job(&job, u32::MAX),
                    began: Instant::now(),
                    short: true,
                });
                self.sent += 1;
            }
            self.flights.permit(&self.permits).expect("there is room");
        }

        /// Writes as many bytes as the channel takes.
        fn write(&mut self, channel: &mut Vec<u8>, most: usize) {
            let slices = self.flights.unwritten();
            let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
            let before = channel.len();
            channel.extend(bytes.take(most));
            self.flights.wrote(channel.len() - before);
        }

        fn hear(&mut self, answer: Option<u32>) {
            let Some(number) = answer else {
                assert!(self.flights.pass(), "none was to be passed over");
                return;
            };
            let flight = self.flights.land(Instant::now()).expect("it was sent");
            assert_eq!(number_of(&flight), number);
        }

        fn take_back(&mut self) {
            // Nobody is held up here.
            let now = self
                .flights
                .queue
                .front()
                .map_or(Instant::now(), |first| first.began);
            let back = self.flights.take_back(&self.permits, now);
            self.halves += u32::from(!self.flights.rest.is_empty() && !back.is_empty());
            self.back.extend(back.iter().map(number_of));
        }

        /// The process dies, perhaps before it has answered the last one, and there is another one.
        fn bury(&mut self, process: &mut Process, has_answered: bool) {
            if !has_answered {
                process.answers.pop_back();
            }
            for answer in process.answers.drain(..).map_while(|answer| answer) {
                self.hear(Some(answer));
            }
            let mut flights = std::mem::replace(&mut self.flights, Flights::new());
            let back = flights.salvage(&self.permits, Instant::now());
            self.back.extend(back.iter().map(number_of));
            let left = flights.into_all();
            assert!(left.len() <= 1, "{} may have begun", left.len());
            self.lost.extend(left.iter().map(number_of));
            (self.permits, process.permitted) = sides();
            process.channel.clear();
        }
    }

    fn number_of(flight: &Flight) -> u32 {
        let frame = flight.order.frame.as_deref().expect("it could be written");
        let (_, args) = wire::read_job(&frame[wire::LENGTH + 1..]).expect("a job");
        wire::decode::<(u32, String)>(args)
            .expect("its arguments")
            .0
    }

    /// Frames are written bit by bit, as a full channel takes them, and are taken back in all states, in which
    /// processes die, too: each reads what is whole, and each job runs or comes back; but for one of each
    /// process that has died.
    #[test]
    fn each_runs_or_comes_back() {
        let seed = std::env::var("SEED").map_or_else(
            |_| fastrand::u64(..),
            |seed| seed.parse().expect("a number"),
        );
        println!("SEED={seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut halves = 0;
        for _ in 0..if cfg!(miri) { 1 } else { 200 } {
            let (permits, permitted) = sides();
            let mut process = Process {
                permitted,
                channel: Vec::new(),
                ran: Vec::new(),
                answers: VecDeque::new(),
            };
            let mut sender = Sender {
                permits,
                flights: Flights::new(),
                sent: 0,
                back: Vec::new(),
                halves: 0,
                lost: Vec::new(),
            };
            for _ in 0..500 {
                match rng.u8(..50) {
                    0..8 => sender.send(&mut rng),
                    8..24 => sender.write(&mut process.channel, rng.usize(..400)),
                    24..32 => process.step(),
                    32..40 => {
                        let answer = process.answers.pop_front();
                        answer.into_iter().for_each(|answer| sender.hear(answer));
                    }
                    40..48 => sender.take_back(),
                    _ => sender.bury(&mut process, rng.bool()),
                }
            }
            while !sender.flights.is_empty() {
                sender.write(&mut process.channel, usize::MAX);
                process.step();
                let answers = process.answers.drain(..);
                answers.for_each(|answer| sender.hear(answer));
            }
            assert!(process.channel.is_empty() && sender.flights.is_written());
            assert!(process.ran.is_sorted());
            // What was lost may have run.
            let lost = sender.lost.into_iter().filter(|n| !process.ran.contains(n));
            let mut all = [&process.ran[..], &sender.back].concat();
            all.extend(lost);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..sender.sent));
            halves += sender.halves;
        }
        assert!(halves > 0 || cfg!(miri));
    }
}
