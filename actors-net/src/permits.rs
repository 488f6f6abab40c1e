//! Permits: what a worker process needs to begin a job that was sent ahead of its turn.
//!
//! They are bytes in a pipe from which both sides take, without waiting. Each job that is sent ahead
//! is preceded by one. Who wants such jobs back takes what is left in the pipe: the process finds none
//! then for as many of the last ones, and passes them over. The system sees to it that no byte is
//! taken twice, so the two sides always agree on which jobs those are.
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// How many can be out at a time.
pub(crate) const MOST: usize = 8;

/// The side of who sends jobs.
pub(crate) struct Permits {
    in_: OwnedFd,
    out: OwnedFd,
}

/// The side of the process that runs them.
pub(crate) struct Permitted(OwnedFd);

impl Permits {
    pub(crate) fn new() -> io::Result<Self> {
        let (out, in_) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { in_, out })
    }

    /// Lets the other end of this channel [receive](Permitted::receive) its side. Before all else that
    /// is sent by it.
    pub(crate) fn share(&self, channel: &UnixStream) -> io::Result<()> {
        let out = [self.out.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&out));
        // What it goes along with.
        let byte = [IoSlice::new(&[0])];
        sendmsg(channel, &byte, &mut control, SendFlags::empty())?;
        Ok(())
    }

    /// Lets so many more jobs begin.
    pub(crate) fn issue(&self, count: usize) -> io::Result<()> {
        let permits = [0; MOST];
        match permits.get(..count) {
            Some([]) => {}
            // A pipe takes so few whole, or not at all.
            Some(permits) => drop(rustix::io::write(&self.in_, permits)?),
            None => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    /// Takes back those that are left; how many.
    pub(crate) fn take_back(&self) -> usize {
        let mut taken = [0; MOST];
        // No error but that there are none.
        rustix::io::read(&self.out, &mut taken).unwrap_or(0)
    }
}

impl Permitted {
    pub(crate) fn receive(channel: &UnixStream) -> io::Result<Self> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut to = [IoSliceMut::new(&mut byte)];
        recvmsg(channel, &mut to, &mut control, RecvFlags::empty())?;
        let out = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let out = out.ok_or_else(|| io::Error::other("the channel began with something else"))?;
        // What a job starts is not to have it.
        fcntl_setfd(&out, FdFlags::CLOEXEC)?;
        Ok(Self(out))
    }

    /// Takes the permit of the job that comes next. False: it was taken back, and the job is not to
    /// begin.
    pub(crate) fn take(&self) -> io::Result<bool> {
        match rustix::io::read(&self.0, &mut [0; 1]) {
            Ok(taken) => Ok(taken == 1),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides() -> (Permits, Permitted) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let permits = Permits::new().expect("a pipe");
        permits.share(&ours).expect("it is open");
        (permits, Permitted::receive(&theirs).expect("it was sent"))
    }

    #[test]
    fn each_is_taken_once() {
        let (permits, permitted) = sides();
        assert!(!permitted.take().expect("there is a pipe"));
        permits.issue(3).expect("there is room");
        assert!(permitted.take().expect("there is a pipe"));
        assert_eq!(permits.take_back(), 2);
        assert!(!permitted.take().expect("there is a pipe"));
        assert_eq!(permits.take_back(), 0);
        permits.issue(1).expect("there is room");
        assert!(permitted.take().expect("there is a pipe"));
    }

    #[test]
    fn a_channel_that_begins_with_something_else_is_refused() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        rustix::io::write(&ours, &[0]).expect("there is room");
        assert!(Permitted::receive(&theirs).is_err());
        drop(ours);
        assert!(Permitted::receive(&theirs).is_err());
    }

    #[test]
    fn both_sides_agree_while_they_race() {
        let (permits, permitted) = sides();
        for _ in 0..if cfg!(miri) { 1 } else { 2_000 } {
            permits.issue(MOST).expect("there is room");
            let (begun, back) = std::thread::scope(|scope| {
                let begun = scope.spawn(|| {
                    (0..MOST)
                        .filter(|_| permitted.take().expect("there is a pipe"))
                        .count()
                });
                let back = permits.take_back();
                (begun.join().expect("it does not panic"), back)
            });
            assert_eq!(begun + back, MOST);
        }
    }
}
