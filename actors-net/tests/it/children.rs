//! Programs for tests that need a process of their own: this one again, as one of its tests that are
//! otherwise ignored. Each ends when its input does, which it does when whoever started it is gone.
use crate::kit::{serve, soon};
use crate::places::Kind;
use actors_core::{Actor, Context, Handler};
use actors_net::{Error, Frame, FrameEncoder, LengthPrefixed, Limits, Listener, WriteBuffer};
use bytes::{Buf, Bytes, BytesMut};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::future::pending;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

/// Says to a program that it was started by a test, and what to do.
const TASK: &str = "ACTORS_NET_TEST_TASK";

/// One of the programs below; killed when dropped.
pub(crate) struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub(crate) fn start(name: &str, task: &str) -> Self {
        Self::start_with(name, task, "unlimited")
    }

    /// With so many descriptors at most.
    pub(crate) fn start_with(name: &str, task: &str, descriptors: &str) -> Self {
        // A limit that cannot be lifted stays as it is.
        let script = format!("ulimit -n {descriptors} 2>&-; exec \"$0\" \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().expect("it has a path"))
            .args(["--ignored", "--nocapture", "--exact"])
            .arg(format!("children::{name}"))
            .env(TASK, task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it can be started");
        let output = child.stdout.take().expect("it is piped");
        Self {
            child,
            output: BufReader::new(output).lines(),
        }
    }

    /// Waits until it prints this, and gives the rest of that line.
    pub(crate) async fn says(&mut self, what: &str) -> String {
        loop {
            let line = soon(self.output.next_line()).await.expect("it is text");
            let line = line.unwrap_or_else(|| panic!("it has ended without: {what}"));
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.id().try_into().expect("it is small")).expect("it is not 0")
    }

    /// Stops it from doing anything.
    pub(crate) fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).expect("it is there");
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it is a child");
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).expect("it is there");
    }
}

/// What the program is to do. `None`: nobody has started it for a test.
fn task() -> Option<String> {
    let task = std::env::var(TASK).ok()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Some(task)
}

fn say(what: &str) {
    let mut stdout = std::io::stdout();
    let said = writeln!(stdout, "{what}").and_then(|()| stdout.flush());
    said.expect("somebody listens");
}

/// Answers lines; and logs.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a program that tests start"]
async fn echo() {
    let Some(_) = task() else { return };
    let logs = tracing_subscriber::fmt().with_writer(std::io::stdout);
    logs.with_ansi(false).init();
    let (binding, _) = Kind::Tcp.bind();
    say(&format!("listening at {}", binding.address()));
    let _server = serve(binding, Limits::new());
    pending().await
}

/// Connects to where it is told, says hello, and tells when it is answered.
#[actors_core::test]
#[ignore = "a program that tests start"]
async fn caller() {
    let Some(address) = task() else { return };
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    say("answered");
    pending().await
}

/// How many connections that announce huge frames there are, and what each sends.
pub(crate) const HUGE: usize = 1000;
pub(crate) const SENT: usize = 15 << 10;

/// What each of them may take.
pub(crate) const LARGEST_FRAME: usize = 16 << 10;
pub(crate) const READ_BUFFER: usize = 4 << 10;

/// Decodes frames with a length, of which none is whole; and says when it has seen `HUGE` of them.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a program that tests start"]
async fn announced() {
    let Some(task) = task() else { return };
    let limits = Limits::new()
        .connections(2 * HUGE)
        .connections_per_peer(2 * HUGE)
        .largest_frame(LARGEST_FRAME)
        .read_buffer(READ_BUFFER);
    let binding = Listener::bind("127.0.0.1:0").unwrap().limits(limits);
    say(&format!("listening at {}", binding.address()));
    let seen = Arc::new(AtomicUsize::new(0));
    let listener = match task.as_str() {
        "prefixed" => binding.serve(
            move || Watched {
                codec: LengthPrefixed::new(usize::MAX),
                seen: Arc::clone(&seen),
            },
            |_| Nobody,
        ),
        _ => binding.serve(
            move || Watched {
                codec: LengthDelimitedCodec::new(),
                seen: Arc::clone(&seen),
            },
            |_| Nobody,
        ),
    };
    let _listener = listener.spawn();
    pending().await
}

struct Nobody;

impl Actor for Nobody {}

impl<T: Send + 'static> Handler<Frame<T>> for Nobody {
    async fn handle(&mut self, _: Frame<T>, _: &mut Context<Self>) {
        say("there is a frame");
    }
}

struct Watched<C> {
    codec: C,
    seen: Arc<AtomicUsize>,
}

impl<C: Decoder> Decoder for Watched<C> {
    type Item = C::Item;
    type Error = C::Error;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        let is_all = from.remaining() >= SENT;
        let frame = self.codec.decode(from)?;
        if is_all && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == HUGE {
            say("all are there");
        }
        Ok(frame)
    }
}

impl<C: FrameEncoder<Bytes>> FrameEncoder<Bytes> for Watched<C> {
    fn encode(&mut self, frame: Bytes, to: &mut WriteBuffer) -> Result<(), Error> {
        self.codec.encode(frame, to)
    }
}
