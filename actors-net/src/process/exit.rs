//! The end of a process: waited for by a task of its own, so that it is never left unnoticed.
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt;
use std::process::ExitStatus;
use tokio::process::Child;
use tokio::sync::watch;

/// How a process has ended: the error of its actor, where that was not asked for.
#[derive(Clone, Copy, Debug)]
pub struct ProcessExit {
    status: Option<ExitStatus>,
}

impl ProcessExit {
    /// The code with which it exited by itself.
    pub fn code(&self) -> Option<i32> {
        self.status?.code()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        std::os::unix::process::ExitStatusExt::signal(self.status.as_ref()?)
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code(), self.signal()) {
            (Some(code), _) => write!(f, "the process exited with code {code}"),
            (None, Some(signal)) => write!(f, "the process was killed by signal {signal}"),
            (None, None) => f.write_str("the process has ended"),
        }
    }
}

impl std::error::Error for ProcessExit {}

/// A process whose end is waited for. Dropped, its group is killed.
pub(super) struct Exit {
    id: Option<u32>,
    group: Option<Pid>,
    ended: watch::Receiver<Option<ProcessExit>>,
}

impl Exit {
    pub(super) fn of(mut child: Child) -> Self {
        let (tell, ended) = watch::channel(None);
        let id = child.id();
        let group = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // Not a task of the actor's: it has to see the end of a process whose actor was killed.
        tokio::spawn(async move {
            let status = child.wait().await.ok();
            tell.send_replace(Some(ProcessExit { status }));
        });
        Self { id, group, ended }
    }

    /// The process, as long as it has not ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.id.filter(|_| self.status().is_none())
    }

    /// How it has ended, if it has.
    pub(super) fn status(&self) -> Option<ProcessExit> {
        *self.ended.borrow()
    }

    /// Waits until it has ended.
    pub(super) fn wait(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut ended = self.ended.clone();
        async move {
            // An error: the runtime is shutting down, and the process was killed.
            let _ = ended.wait_for(Option::is_some).await;
        }
    }

    /// Sends a signal to the process and all of its group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // None of them may be left. A group's number is not used anew while any is, and soon
            // after the last one has ended it is forgotten here.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Exit {
    /// Ends what is left of the group, once the process has ended.
    pub(super) fn clear(&mut self) {
        self.signal(Signal::KILL);
        self.group = None;
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.clear();
    }
}
