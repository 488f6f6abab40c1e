//! The servers, each in a process of its own.
use crate::process::Process;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    /// The example, by its path.
    Ours(&'a Path),
    Redis,
}

/// A server, killed when dropped.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

/// Builds the example as users do; gives its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--release", "--quiet", "--example", "resp_server"]);
    cargo.arg("--message-format=json-render-diagnostics");
    let built = cargo.stderr(Stdio::inherit()).output();
    let built = built.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&built.stdout);
    let path = text.lines().find_map(|line| {
        let (_, path) = line.split_once(r#""executable":""#)?;
        Some(path.split_once('"')?.0.into())
    });
    path.ok_or_else(|| format!("the example does not build: {}", built.status))
}

impl Server {
    pub(crate) fn start(who: Who<'_>) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let free = TcpListener::bind("127.0.0.1:0").map_err(text)?;
        let port = free.local_addr().map_err(text)?.port();
        drop(free);
        let (mut command, ready) = match who {
            Who::Ours(path) => (Command::new(path), "listening at"),
            Who::Redis => {
                let mut command = Command::new("redis-server");
                command.args(["--save", "", "--appendonly", "no"]);
                (command, "Ready to accept connections")
            }
        };
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        let child = command.stdout(Stdio::piped()).spawn().map_err(text)?;
        let process = Process(child);
        let mut server = Self { process, port };
        let stdout = server.process.0.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        match lines.find(|line| line.contains(ready)) {
            Some(_) => Ok(server),
            None => Err("a server does not start".to_owned()),
        }
    }
}
