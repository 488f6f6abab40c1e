//! A job on its way to a worker: its bytes, and the reply that is owed.
use super::pace::Kind;
use crate::task::Task;
use crate::wire::{self, Whole};
use actors_core::{ChunkReply, JobError, JobOptions, Promise, Reply};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tokio_util::bytes::BytesMut;

/// Larger results are read beside the work on other jobs.
const LARGE: usize = 64 << 10;

/// A job, or a chunk of them, with its types forgotten.
pub(super) struct Order {
    /// The frame; or why there is none.
    pub(super) frame: Result<Vec<u8>, JobError>,
    pub(super) kind: Kind,
    pub(super) deadline: Option<Instant>,
    /// How often it may be run again.
    pub(super) retries: u32,
    /// Whether it was run before, by a worker that has died.
    pub(super) has_run: bool,
    due: Box<dyn Due>,
}

/// The reply that is owed.
trait Due: Send + Sync {
    fn start(&self) -> bool;
    fn unstart(&self);
    fn is_cancelled(&self) -> bool;
    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Reads the result and answers.
    fn answer(self: Box<Self>, payload: &[u8]);
    fn fail(self: Box<Self>, error: JobError);
}

struct Typed<R> {
    promise: Promise<R, JobError>,
    read: fn(&[u8]) -> Result<R, wire::Fault>,
}

/// An order without its job.
pub(super) struct Draft {
    deadline: Option<Instant>,
    retries: u32,
    due: Box<dyn Due>,
}

pub(super) fn draft<R>(options: &JobOptions) -> (Draft, Reply<R, JobError>)
where
    R: DeserializeOwned + Send + 'static,
{
    draft_read(options, wire::decode::<R>)
}

pub(super) fn chunk_draft<J: Task>(options: &JobOptions) -> (Draft, ChunkReply<J>) {
    draft_read(options, |payload| {
        let results: Vec<Result<J::Output, String>> = wire::decode(payload)?;
        let results = results.into_iter();
        Ok(results
            .map(|result| result.map_err(|text| JobError::Panicked(text.into())))
            .collect())
    })
}

fn draft_read<R: Send + 'static>(
    options: &JobOptions,
    read: fn(&[u8]) -> Result<R, wire::Fault>,
) -> (Draft, Reply<R, JobError>) {
    let (promise, mut reply) = Reply::promised();
    let deadline = options.deadline();
    if let Some(time) = deadline {
        reply = reply.timeout(time.saturating_duration_since(Instant::now()));
    }
    let draft = Draft {
        deadline,
        retries: options.max_retries(),
        due: Box::new(Typed { promise, read }),
    };
    (draft, reply)
}

impl Draft {
    pub(super) fn has_deadline(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) fn job<J: Task>(self, job: &J, limit: u32) -> Order {
        let frame = wire::job(wire::JOB, J::NAME, &Whole(job.args()));
        let kind = Kind {
            task: J::NAME,
            is_chunk: false,
        };
        self.order(frame, kind, limit)
    }

    pub(super) fn chunk<J: Task>(self, jobs: &[J], limit: u32) -> Order {
        let frame = wire::job(wire::CHUNK, J::NAME, &AllArgs(jobs));
        let kind = Kind {
            task: J::NAME,
            is_chunk: true,
        };
        self.order(frame, kind, limit)
    }

    fn order(self, frame: Result<Vec<u8>, wire::Fault>, kind: Kind, limit: u32) -> Order {
        let frame = match frame {
            Ok(frame) if frame.len() - wire::LENGTH > limit as usize => Err(JobError::failed(
                format!(
                    "the arguments take {} bytes, and the limit is {limit}",
                    frame.len()
                ),
                false,
            )),
            Ok(frame) => Ok(frame),
            Err(error) => Err(JobError::failed(
                format!("the arguments could not be written: {error}"),
                false,
            )),
        };
        Order {
            frame,
            kind,
            deadline: self.deadline,
            retries: self.retries,
            has_run: false,
            due: self.due,
        }
    }
}

/// The arguments of several jobs.
struct AllArgs<'a, J>(&'a [J]);

impl<J: Task> Serialize for AllArgs<'_, J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Task::args))
    }
}

impl Order {
    /// Notes that a worker gets it. False: nobody waits for it any more.
    pub(super) fn start(&self) -> bool {
        self.due.start()
    }

    /// Notes in its frame whether it is sent ahead of its turn.
    pub(super) fn mark(&mut self, ahead: bool) {
        if let Ok(frame) = &mut self.frame {
            wire::mark(frame, ahead);
        }
    }

    /// It has not begun, and goes to another worker.
    pub(super) fn unstart(&self) {
        if !self.has_run {
            self.due.unstart();
        }
    }

    /// Ends the job, which will not be run: with an error that is told whether it was run before.
    pub(super) fn refuse(self, error: impl FnOnce(bool) -> JobError) {
        let has_run = self.has_run;
        self.fail(error(has_run));
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.due.is_cancelled()
    }

    pub(super) fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.due.poll_cancelled(cx)
    }

    /// Ends the job with what the worker has answered. Whether it has a result.
    pub(super) fn answer(self, answer: BytesMut) -> bool {
        let Some((&kind, payload)) = answer.split_first() else {
            return self.fail(JobError::failed("the worker answered with nothing", true));
        };
        let text = || String::from_utf8_lossy(payload).into_owned();
        match kind {
            wire::DONE if payload.len() > LARGE => {
                let due = self.due;
                tokio::task::spawn_blocking(move || {
                    due.answer(answer.get(1..).unwrap_or_default())
                });
                true
            }
            wire::DONE => {
                self.due.answer(payload);
                true
            }
            wire::PANICKED => self.fail(JobError::Panicked(text().into())),
            wire::REFUSED => self.fail(JobError::failed(text(), false)),
            wire::LOST => self.fail(JobError::failed(text(), true)),
            _ => self.fail(JobError::failed(
                "the worker answered with something else",
                true,
            )),
        }
    }

    /// Ends the job with an error; says that it has no result.
    pub(super) fn fail(self, error: JobError) -> bool {
        self.due.fail(error);
        false
    }
}

impl<R: Send + 'static> Due for Typed<R> {
    fn start(&self) -> bool {
        self.promise.start()
    }

    fn unstart(&self) {
        self.promise.unstart();
    }

    fn is_cancelled(&self) -> bool {
        self.promise.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.promise.poll_cancelled(cx)
    }

    fn answer(self: Box<Self>, payload: &[u8]) {
        let result = (self.read)(payload).map_err(|error| {
            JobError::failed(format!("the result could not be read: {error}"), true)
        });
        self.promise.answer(result);
    }

    fn fail(self: Box<Self>, error: JobError) {
        self.promise.answer(Err(error));
    }
}
