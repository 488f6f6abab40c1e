//! The examples `tcp_echo`, `tls_echo` and `chat`, in processes of their own, over real sockets.
#![cfg(unix)]
use crate::kit::{Folder, example, soon};
use actors_net::{Client, ClientTls, Dial};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::codec::LinesCodec;

/// An example that runs.
struct Program {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(name: &'static str, args: &[&str]) -> Self {
        let mut command = Command::new(example(name));
        command.args(args).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("it runs");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        Self {
            child,
            stdout: BufReader::new(stdout).lines(),
            stderr: BufReader::new(stderr).lines(),
        }
    }

    async fn address(&mut self) -> String {
        after("listening at ", &mut self.stdout).await
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it was not waited for");
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an id"), signal).expect("it runs");
    }

    async fn ends_well(mut self) {
        let status = soon(self.child.wait()).await.expect("it ends");
        assert!(status.success(), "{status}");
    }
}

/// The rest of the first line that begins so, or has this in it.
async fn after(what: &str, lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    loop {
        let line = soon(lines.next_line()).await.expect("UTF-8");
        let line = line.unwrap_or_else(|| panic!("it has ended without: {what}"));
        if let Some((_, rest)) = line.split_once(what) {
            return rest.to_owned();
        }
    }
}

/// Somebody who speaks in lines.
struct Peer {
    hears: Lines<BufReader<OwnedReadHalf>>,
    says: OwnedWriteHalf,
}

impl Peer {
    async fn at(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (read, says) = stream.into_split();
        let hears = BufReader::new(read).lines();
        Self { hears, says }
    }

    async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.says.write_all(line.as_bytes()).await.expect("open");
    }

    /// The next line. `None`: it was the last one.
    async fn hear(&mut self) -> Option<String> {
        soon(self.hears.next_line()).await.ok().flatten()
    }

    async fn hears(&mut self, line: &str) {
        assert_eq!(self.hear().await.as_deref(), Some(line));
    }
}

#[actors_core::test]
async fn tcp_echo_gives_lines_back_and_lets_them_finish() {
    let mut program = Program::start("tcp_echo", &["127.0.0.1:0"]);
    let address = program.address().await;
    let mut peer = Peer::at(&address).await;
    for line in ["hello", "", "ä"] {
        peer.say(line).await;
        peer.hears(line).await;
    }
    program.signal(Signal::INT);
    assert_eq!(peer.hear().await, None, "it is closed");
    drop(peer);
    after("the listener stopped", &mut program.stdout).await;
    program.ends_well().await;
}

fn client(address: &str, certificate: &Path) -> Client<String, String> {
    let tls = ClientTls::trusting(certificate).expect("it was made");
    let dial = Dial::new(address).tls(tls.server_name("localhost"));
    Client::new(dial.keep_while_down(), LinesCodec::new)
}

#[actors_core::test]
async fn tls_echo_makes_a_certificate_and_takes_another_one() {
    let (here, there) = (Folder::new(), Folder::new());
    let args = |folder: &Path| {
        [
            "127.0.0.1:0".into(),
            "--make".into(),
            folder.display().to_string(),
        ]
    };
    let start = |folder: &Path| {
        let args = args(folder);
        Program::start("tls_echo", &args.each_ref().map(String::as_str))
    };
    let mut program = start(&here);
    let certificate = PathBuf::from(after("trust ", &mut program.stdout).await);
    let address = program.address().await;
    let first = client(&address, &certificate);
    assert_eq!(
        soon(first.ask("hello".into())).await.expect("an answer"),
        "hello"
    );

    // In the clear, nobody answers.
    let mut peer = Peer::at(&address).await;
    peer.say("hello").await;
    peer.say("hello").await;
    while let Some(line) = peer.hear().await {
        assert!(!line.contains("hello"), "{line}");
    }

    // Another certificate, without a restart.
    let mut other = start(&there);
    let new = PathBuf::from(after("trust ", &mut other.stdout).await);
    for file in ["certificate.pem", "key.pem"] {
        fs::copy(there.join(file), here.join(file)).expect("it can be copied");
    }
    program.signal(Signal::HUP);
    after("were read again", &mut program.stderr).await;
    let second = client(&address, &new);
    assert_eq!(
        soon(second.ask("hello".into())).await.expect("an answer"),
        "hello"
    );
    assert_eq!(
        soon(first.ask("still".into())).await.expect("an answer"),
        "still"
    );
    program.signal(Signal::INT);
    drop((first, second));
    program.ends_well().await;
}

#[actors_core::test]
async fn in_the_chat_rooms_hear_what_is_said_and_nobody_else() {
    let mut program = Program::start("chat", &["127.0.0.1:0"]);
    let address = program.address().await;
    let mut ann = Peer::at(&address).await;
    ann.hears("* welcome, guest-1; see /help").await;
    let mut bob = Peer::at(&address).await;
    bob.hears("* welcome, guest-2; see /help").await;
    ann.say("hello?").await;
    ann.hears("! you are in no room; /join one").await;
    ann.say("/nick ann").await;
    ann.hears("* you are ann").await;
    bob.say("/nick ann").await;
    bob.hears("! somebody else has that name").await;
    bob.say("/nick b\u{7}b").await;
    bob.hears("! a name has up to 20 letters, digits, hyphens and underscores")
        .await;
    ann.say("/join tea").await;
    ann.hears("* ann has joined tea").await;
    bob.say("/join tea").await;
    for peer in [&mut ann, &mut bob] {
        peer.hears("* guest-2 has joined tea").await;
    }
    bob.say("/nick bob").await;
    ann.hears("* guest-2 is now bob").await;
    // The answer and what the room hears come on two ways.
    let mut both = [bob.hear().await.unwrap(), bob.hear().await.unwrap()];
    both.sort();
    assert_eq!(both, ["* guest-2 is now bob", "* you are bob"]);
    bob.say("/who").await;
    bob.hears("* here: ann, bob").await;

    let mut eve = Peer::at(&address).await;
    eve.hears("* welcome, guest-3; see /help").await;
    eve.say("/join coffee").await;
    eve.hears("* guest-3 has joined coffee").await;
    eve.say("/rooms").await;
    eve.hears("* rooms: coffee (1), tea (2)").await;
    for n in 0..100 {
        ann.say(&format!("sip \u{1b}[2J{n}")).await;
    }
    for n in 0..100 {
        for peer in [&mut ann, &mut bob] {
            peer.hears(&format!("<ann> sip [2J{n}")).await;
        }
    }
    // Who leaves, and who is gone.
    bob.say("/leave").await;
    bob.hears("* you are in no room").await;
    ann.hears("* bob has left tea").await;
    bob.say("/join coffee").await;
    bob.hears("* bob has joined coffee").await;
    // Of the tea Eve has heard nothing.
    eve.hears("* bob has joined coffee").await;
    drop(bob);
    eve.hears("* bob has left coffee").await;
    eve.say("/quit").await;
    eve.hears("* goodbye").await;
    assert_eq!(eve.hear().await, None);
    program.signal(Signal::TERM);
    assert_eq!(ann.hear().await, None);
    drop(ann);
    program.ends_well().await;
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_chat_who_does_not_read_is_sent_away_and_holds_nobody_up() {
    let mut program = Program::start("chat", &["127.0.0.1:0", "--patience", "2000"]);
    let address = program.address().await;
    let mut ann = Peer::at(&address).await;
    ann.hear().await.expect("a welcome");
    ann.say("/join tea").await;
    ann.hears("* guest-1 has joined tea").await;
    let mut bob = Peer::at(&address).await;
    bob.hear().await.expect("a welcome");
    bob.say("/join tea").await;
    ann.hears("* guest-2 has joined tea").await;
    // From now on Bob reads nothing, until his socket and his patience are full.
    let line = "x".repeat(1000);
    let heard = format!("<guest-1> {line}");
    loop {
        ann.say(&line).await;
        match ann.hear().await.expect("she is there") {
            said if said == heard => {}
            other => {
                assert_eq!(other, "* guest-2 has left tea");
                break;
            }
        }
    }
    ann.hears(&heard).await;
    program.signal(Signal::TERM);
    drop((ann, bob));
    program.ends_well().await;
}
