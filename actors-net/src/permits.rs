//! Permits: what a worker process needs to begin a job that was sent ahead of its turn.
//!
//! They are bytes in a socket from which both sides read, without waiting. Each job that is sent ahead
//! is preceded by one. Who wants such jobs back takes what is left in the socket: the process finds none
//! then for as many of the last ones, and passes them over. The system sees to it that no byte is
//! taken twice, so the two sides always agree on which jobs those are.
use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// How many can be out at a time.
pub(crate) const MOST: usize = 8;

/// The side of who sends jobs.
pub(crate) struct Permits {
    in_: UnixStream,
    out: UnixStream,
}

/// The side of the process that runs them.
pub(crate) struct Permitted(UnixStream);

impl Permits {
    pub(crate) fn new() -> io::Result<Self> {
        let (out, in_) = UnixStream::pair()?;
        out.set_nonblocking(true)?;
        in_.set_nonblocking(true)?;
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
        let permits = permits.get(..count).ok_or(io::ErrorKind::InvalidInput)?;
        // There is room for so few.
        (&self.in_).write_all(permits)
    }

    /// Takes back those that are left; how many.
    pub(crate) fn take_back(&self) -> usize {
        let mut permits = [0; MOST];
        let mut taken = 0;
        // No error but that there are none.
        while let Ok(more @ 1..) = (&self.out).read(&mut permits) {
            taken += more;
        }
        taken
    }
}

impl Permitted {
    pub(crate) fn receive(channel: &UnixStream) -> io::Result<Self> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut to = [IoSliceMut::new(&mut byte)];
        retry_on_intr(|| recvmsg(channel, &mut to, &mut control, RecvFlags::empty()))?;
        let out = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let out = out.ok_or_else(|| io::Error::other("the channel began with something else"))?;
        // What a job starts is not to have it.
        fcntl_setfd(&out, FdFlags::CLOEXEC)?;
        Ok(Self(UnixStream::from(out)))
    }

    /// Takes the permit of the job that comes next. False: it was taken back, and the job is not to
    /// begin.
    pub(crate) fn take(&self) -> io::Result<bool> {
        match (&self.0).read(&mut [0]) {
            Ok(taken) => Ok(taken == 1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Both sides, in this process.
#[cfg(test)]
pub(crate) fn sides() -> (Permits, Permitted) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let permits = Permits::new().expect("a pair");
    permits.share(&ours).expect("it is open");
    (permits, Permitted::receive(&theirs).expect("it was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_once() {
        let (permits, permitted) = sides();
        assert!(!permitted.take().expect("it is open"));
        permits.issue(3).expect("there is room");
        assert!(permitted.take().expect("it is open"));
        assert_eq!(permits.take_back(), 2);
        assert!(!permitted.take().expect("it is open"));
        assert_eq!(permits.take_back(), 0);
        permits.issue(1).expect("there is room");
        assert!(permitted.take().expect("it is open"));
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
                        .filter(|_| permitted.take().expect("it is open"))
                        .count()
                });
                let back = permits.take_back();
                (begun.join().expect("it does not panic"), back)
            });
            assert_eq!(begun + back, MOST);
        }
    }
}
