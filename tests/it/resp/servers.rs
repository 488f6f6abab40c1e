//! The servers: the example and a real Redis, each in a process of its own.
use super::client::Client;
use crate::kit::example;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The example, with more than one shard unless the arguments say otherwise.
    pub(crate) fn ours(args: &[&str]) -> Self {
        let mut command = Command::new(example("resp_server"));
        command.args(["--port", "0"]).args(args);
        let (child, address) = start(&mut command, |line| {
            line.strip_prefix("listening at ").map(str::to_owned)
        })
        .expect("the example starts");
        let address = address.parse().expect("an address");
        Self { child, address }
    }

    /// A real one. `None`, and said so: there is none on this machine.
    pub(crate) fn redis() -> Option<Self> {
        // Somebody else may take the port in between.
        for _ in 0..100 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = free.local_addr().expect("it is bound");
            drop(free);
            let mut command = Command::new("redis-server");
            command.args(["--port", &address.port().to_string()]);
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            match start(&mut command, |line| {
                line.contains("Ready to accept connections")
                    .then(String::new)
            }) {
                Ok((child, _)) => return Some(Self { child, address }),
                Err(Failed::Missing) => {
                    println!("skipped: there is no redis-server on this machine");
                    return None;
                }
                Err(Failed::Ended) => {}
            }
        }
        panic!("redis-server does not start");
    }

    /// Ours and a real one.
    pub(crate) fn both(args: &[&str]) -> Option<[Self; 2]> {
        Some([Self::ours(args), Self::redis()?])
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an id"), Signal::TERM).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
enum Failed {
    Missing,
    Ended,
}

/// Starts a program, and waits for the line that says that it is ready.
fn start(
    command: &mut Command,
    ready: impl Fn(&str) -> Option<String>,
) -> Result<(Child, String), Failed> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = match command.stderr(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Failed::Missing),
        Err(error) => panic!("{command:?}: {error}"),
    };
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let said = lines.find_map(|line| ready(&line.expect("UTF-8")));
    match said {
        Some(said) => {
            // What it says later is read, so that it does not wait for that.
            std::thread::spawn(move || lines.for_each(drop));
            Ok((child, said))
        }
        None => {
            let _ = child.wait();
            Err(Failed::Ended)
        }
    }
}
