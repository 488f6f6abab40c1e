//! What is told in logs and errors: who and why, and nothing of what was said.
use crate::kit::{Peer, serve, soon};
use crate::papers::Authority;
use crate::places::{Kind, Place};
use actors_core::{Actor, Context, Handler};
use actors_net::{Client, ClientTls, Dial, Frame, Limits, Link, LinkEvent, ServerTls};
use std::io;
use std::sync::{Arc, Mutex};
use tokio_util::codec::LinesCodec;
use tracing_subscriber::fmt::MakeWriter;

/// All that is logged on this thread.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Logs {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("it is text")
    }
}

const SECRET: &str = "xyzzy-plugh";

/// Says its secret when it is connected, and ends when the connection does.
struct Teller {
    link: Option<Link<String>>,
    dial: Option<Dial>,
}

impl Actor for Teller {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), actors_core::Error> {
        let dial = self.dial.take().expect("started once");
        self.link = Some(dial.attach(ctx, LinesCodec::new));
        Ok(())
    }
}

impl Handler<Frame<String>> for Teller {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        assert!(line.starts_with(SECRET) || line == "bye", "{line}");
    }
}

impl Handler<LinkEvent> for Teller {
    async fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        tracing::info!(?event, "told");
        match (event, &self.link) {
            (LinkEvent::Up { .. }, Some(link)) => {
                let said = link.send(format!("{SECRET} and then")).await;
                tracing::info!(?said, ?link, "said");
                // More than a server takes.
                let said = link.send(SECRET.repeat(10_000)).await;
                tracing::info!(?said, "said");
            }
            (LinkEvent::Down { .. }, _) => ctx.stop(),
            _ => {}
        }
    }
}

/// In a process of its own: what other tests log meanwhile decides which of our events are wanted.
#[test]
fn nothing_that_was_said_is_in_logs_and_errors() {
    let told = std::process::Command::new(std::env::current_exe().expect("this runs"))
        .args(["--exact", "secrets::in_a_process_of_its_own", "--ignored"])
        .output()
        .expect("it can be started again");
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[actors_core::test(start_paused = true)]
#[ignore = "run by the test above"]
async fn in_a_process_of_its_own() {
    let logs = Logs::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(logs.clone())
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);

    // By a dialling actor, until it has said too much.
    let (binding, place) = Kind::Memory.bind();
    let server = serve(binding, Limits::new());
    let Place::Memory(door) = &place else {
        panic!("it is one in memory")
    };
    let teller = Teller {
        link: None,
        dial: Some(Dial::via(door.clone())),
    };
    soon(teller.spawn().stopped()).await;
    let error = server.error().await;
    tracing::info!(?error, "ended");

    // By strangers: in garbage, and in a handler that fails, panics or waits while its mail is lost.
    for said in ["\u{fffd}", "fail\n", "panic\n", "wait\n"] {
        let mut peer = Peer::at(&place).await;
        let (link, actor) = server.opened().await;
        peer.say(&format!("note\nwait{SECRET}\n{said}{SECRET}\n"))
            .await;
        if said == "\u{fffd}" {
            peer.write(b"\xff\n").await.unwrap();
        }
        assert!(peer.line().await.contains(SECRET));
        if said == "wait\n" {
            actor.kill();
        }
        drop(peer);
        let error = format!(
            "{:?} {:?}",
            soon(link.closed()).await,
            actor.stopped().await
        );
        assert!(!error.contains(SECRET), "{error}");
        tracing::info!(error, "ended");
    }

    // By one who asks, and one who has a key.
    let client = Client::<String, String>::new(Dial::via(door.clone()), LinesCodec::new);
    server.listener.kill();
    soon(server.listener.stopped()).await;
    let error = soon(client.ask(SECRET.into())).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    let ca = Authority::new();
    let paper = ca.sign("localhost");
    let key = std::fs::read_to_string(&paper.key).unwrap();
    let (binding, place) = Kind::Memory.bind();
    let tls = ServerTls::from_pem_files(&paper.certificate, &paper.key).unwrap();
    let server = serve(binding.tls(tls), Limits::new());
    let Place::Memory(door) = place else {
        panic!("it is one in memory")
    };
    for name in ["localhost", "example.org"] {
        let tls = ClientTls::trusting(ca.certificate()).unwrap();
        let tls = tls.identity(&paper.certificate, &paper.key).unwrap();
        let dial = Dial::via(door.clone()).tls(tls.server_name(name));
        let teller = Teller {
            link: None,
            dial: Some(dial),
        };
        soon(teller.spawn().stopped()).await;
    }
    server.listener.kill();
    soon(server.listener.stopped()).await;

    let text = logs.text();
    // They are there, and say who and why.
    for word in ["down", "memory", "FrameTooLarge", "not let in"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        assert!(!text.contains(line), "{text}");
    }
}
