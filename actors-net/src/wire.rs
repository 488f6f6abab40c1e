//! What a process and its workers say to each other: frames over a pair of Unix sockets.
//!
//! A frame is its length (four bytes, little-endian, of what follows), a byte that says what it is,
//! and the rest. Both ends are the same program, or programs that were built of the same sources, so
//! there are no versions; both read with a limit.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use postcard::ser_flavors::Flavor;
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::any::Any;
use std::io::{self, Read};

/// Why something cannot be written or read.
pub(crate) use postcard::Error as Fault;

/// How many bytes the length takes.
pub(crate) const LENGTH: usize = 4;

/// To a worker: how it is to be, before all else.
pub(crate) const SETUP: u8 = 1;
/// To a worker: one job, as [`job`] writes it.
pub(crate) const JOB: u8 = 2;
/// To a worker: several jobs of the same task.
pub(crate) const CHUNK: u8 = 3;
/// Added to these two: the job is sent ahead, and needs a permit to begin.
const AHEAD: u8 = 0x80;
/// To an actor's process: a message, as [`message`] writes it.
pub(crate) const MESSAGE: u8 = 4;
/// To an actor's process: the actor is to stop.
pub(crate) const STOP: u8 = 5;
/// From a worker: it is ready, or why it is not.
pub(crate) const READY: u8 = 16;
/// From a worker: the result.
pub(crate) const DONE: u8 = 17;
/// From a worker: the text of a panic.
pub(crate) const PANICKED: u8 = 18;
/// From a worker: why it could not run the job; it did not.
pub(crate) const REFUSED: u8 = 19;
/// From a worker: why the result cannot be sent.
pub(crate) const LOST: u8 = 20;

/// From a worker: it has passed a job over, whose permit was taken back.
pub(crate) const PASSED: u8 = 22;

/// From an actor's process: the actor has stopped. [`PANICKED`] and [`REFUSED`] say how else it has
/// ended; [`DONE`] and [`LOST`] are answers, and begin with the message's number.
pub(crate) const END: u8 = 21;

/// What a worker is told first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// The most bytes of memory it may have.
    pub(crate) memory: Option<u64>,
    /// The most seconds of processor time it may use.
    pub(crate) cpu: Option<u64>,
    /// The longest frame.
    pub(crate) limit: u32,
    /// Its name.
    pub(crate) name: String,
    /// What it runs before its first job: a task and its arguments.
    pub(crate) initializer: Option<(String, Vec<u8>)>,
    /// The actor that it hosts, if it is for that, and what that is made from.
    pub(crate) actor: Option<(String, Vec<u8>)>,
}

type SetupParts = (
    Option<u64>,
    Option<u64>,
    u32,
    String,
    Option<(String, Vec<u8>)>,
    Option<(String, Vec<u8>)>,
);

impl Setup {
    #[allow(
        clippy::expect_used,
        reason = "of our own data, and not of bytes that came"
    )]
    pub(crate) fn frame(&self) -> Vec<u8> {
        let parts = (
            self.memory,
            self.cpu,
            self.limit,
            &self.name,
            &self.initializer,
            &self.actor,
        );
        frame(SETUP, &parts).expect("plain data can be written")
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, Fault> {
        let parts: SetupParts = postcard::from_bytes(payload)?;
        let (memory, cpu, limit, name, initializer, actor) = parts;
        Ok(Self {
            memory,
            cpu,
            limit,
            name,
            initializer,
            actor,
        })
    }
}

/// A frame with this value in it.
pub(crate) fn frame(kind: u8, value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    finish(write(value, begin(kind))?)
}

/// A frame with these bytes in it.
pub(crate) fn bytes(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = begin(kind);
    frame.extend_from_slice(payload);
    finish(frame).unwrap_or_else(|_| begin(kind))
}

/// A frame with the name of a task and its arguments, or a list of arguments.
pub(crate) fn job(kind: u8, task: &str, args: &impl Serialize) -> Result<Vec<u8>, Fault> {
    finish(write(args, write(task, begin(kind))?)?)
}

/// Marks what [`job`] has written as sent ahead, or not.
pub(crate) fn mark(job: &mut [u8], ahead: bool) {
    if let Some(kind) = job.get_mut(LENGTH) {
        *kind = (*kind & !AHEAD) | if ahead { AHEAD } else { 0 };
    }
}

/// What it is without [the mark](mark), and whether that was there.
pub(crate) fn unmark(kind: u8) -> (u8, bool) {
    (kind & !AHEAD, kind & AHEAD != 0)
}

/// What [`job`] has written: the task's name, and its arguments.
pub(crate) fn read_job(payload: &[u8]) -> Result<(&str, &[u8]), Fault> {
    postcard::take_from_bytes(payload)
}

/// A frame with a message and its number.
pub(crate) fn message(id: u64, name: &str, message: &impl Serialize) -> Result<Vec<u8>, Fault> {
    finish(write(message, write(&(id, name), begin(MESSAGE))?)?)
}

/// What [`message`] has written: the number, the name, and the rest.
pub(crate) fn read_message(payload: &[u8]) -> Result<(u64, &str, &[u8]), Fault> {
    let ((id, name), rest) = postcard::take_from_bytes::<(u64, &str)>(payload)?;
    Ok((id, name, rest))
}

/// A frame with a number and a value.
pub(crate) fn numbered(kind: u8, id: u64, value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    frame(kind, &(id, value))
}

/// The number that [`numbered`] has written, and the rest.
pub(crate) fn read_number(payload: &[u8]) -> Result<(u64, &[u8]), Fault> {
    postcard::take_from_bytes(payload)
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    write(value, Vec::new())
}

pub(crate) fn decode<T: DeserializeOwned + 'static>(payload: &[u8]) -> Result<T, Fault> {
    // The other side of `Whole`.
    let bytes = || postcard::from_bytes::<&[u8]>(payload).map(<[u8]>::to_vec);
    let mut value = None;
    let place: &mut dyn Any = &mut value;
    if let Some(place) = place.downcast_mut() {
        *place = Some(bytes()?);
    } else if let Some(place) = place.downcast_mut() {
        *place = Some((bytes()?,));
    }
    match value {
        Some(value) => Ok(value),
        None => postcard::from_bytes(payload),
    }
}

/// Writes a value; bytes at once, which serde takes for a list as any other, one by one. What is
/// written is the same.
pub(crate) struct Whole<'a, T>(pub(crate) &'a T);

impl<T: Serialize + 'static> Serialize for Whole<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &dyn Any = self.0;
        let alone = || value.downcast_ref::<(Vec<u8>,)>().map(|(bytes,)| bytes);
        match value.downcast_ref::<Vec<u8>>().or_else(alone) {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => self.0.serialize(serializer),
        }
    }
}

/// Appends a value.
fn write<T: Serialize + ?Sized>(value: &T, to: Vec<u8>) -> Result<Vec<u8>, Fault> {
    postcard::serialize_with_flavor(value, Append(to))
}

/// As the flavor that postcard has for all that grows, and faster for being for vectors only.
struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<(), Fault> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> Result<Vec<u8>, Fault> {
        Ok(self.0)
    }
}

fn begin(kind: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(64);
    frame.extend_from_slice(&[0; LENGTH]);
    frame.push(kind);
    frame
}

/// Writes the length into its place.
fn finish(mut frame: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let length = u32::try_from(frame.len() - LENGTH);
    let length = length.map_err(|_| Fault::SerializeBufferFull)?;
    if let Some(place) = frame.first_chunk_mut::<LENGTH>() {
        *place = length.to_le_bytes();
    }
    Ok(frame)
}

/// Reads one frame into the buffer: what it is, and its payload. `None`: there are no more.
pub(crate) fn read<'a>(
    from: &mut impl Read,
    buffer: &'a mut Vec<u8>,
    limit: u32,
) -> io::Result<Option<(u8, &'a [u8])>> {
    let mut length = [0; LENGTH];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > limit {
        return Err(io::Error::other("a frame is longer than the limit"));
    }
    buffer.clear();
    // The buffer grows as the bytes come, whatever the length says.
    let read = from.take(u64::from(length)).read_to_end(buffer)?;
    match buffer.split_first() {
        Some((kind, payload)) if read == length as usize => Ok(Some((*kind, payload))),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back() {
        let mut stream = job(JOB, "a::b", &(1_u32, "two")).expect("plain data");
        stream.extend(bytes(DONE, b"abc"));
        let (mut stream, mut buffer) = (&stream[..], Vec::new());
        let (kind, payload) = read(&mut stream, &mut buffer, 100)
            .expect("whole")
            .expect("there");
        let (task, args) = read_job(payload).expect("a job");
        let args: (u32, String) = decode(args).expect("the arguments");
        assert_eq!((kind, task, args), (JOB, "a::b", (1, "two".to_owned())));
        let next = read(&mut stream, &mut buffer, 100).expect("whole");
        assert_eq!(next, Some((DONE, &b"abc"[..])));
        assert!(
            read(&mut stream, &mut buffer, 100)
                .expect("the end")
                .is_none()
        );
    }

    #[test]
    fn bytes_are_written_as_any_other_list() {
        let list: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let plain = encode(&list).expect("plain data");
        assert_eq!(encode(&Whole(&list)).expect("plain data"), plain);
        assert_eq!(decode::<Vec<u8>>(&plain).expect("written"), list);
        let args = (list,);
        assert_eq!(encode(&Whole(&args)).expect("plain data"), plain);
        assert_eq!(decode::<(Vec<u8>,)>(&plain).expect("written"), args);
        assert!(decode::<Vec<u8>>(&plain[..500]).is_err());
    }

    #[test]
    fn what_is_too_long_or_cut_short_is_refused() {
        let whole = bytes(DONE, b"abc");
        for at in 1..whole.len() {
            let mut buffer = Vec::new();
            let cut = read(&mut &whole[..at], &mut buffer, 100);
            assert!(!matches!(cut, Ok(Some(_))), "cut at {at}");
        }
        assert!(read(&mut &whole[..], &mut Vec::new(), 3).is_err());
        let huge = [0xff; 16];
        let mut buffer = Vec::new();
        assert!(read(&mut &huge[..], &mut buffer, u32::MAX).is_err());
        assert!(buffer.capacity() < 1 << 20, "it has grown without bytes");
    }

    #[test]
    fn a_setup_comes_back() {
        let setup = Setup {
            memory: Some(1),
            name: "pool-0".to_owned(),
            initializer: Some(("a::b".to_owned(), vec![1, 2])),
            ..Setup::default()
        };
        let frame = setup.frame();
        let back = Setup::read(&frame[LENGTH + 1..]).expect("it was written");
        assert_eq!(format!("{back:?}"), format!("{setup:?}"));
    }
}
