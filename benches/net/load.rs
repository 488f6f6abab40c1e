//! The load: the same for both sides.
use crate::process::Process;
use crate::rows::Who;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A server in a process of its own, killed when dropped.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(who: Who) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut child = Command::new(std::env::current_exe().map_err(text)?)
            .args(["--serve", who.name()])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(text)?;
        let address = line.trim().parse();
        let address = address.map_err(|_| format!("not an address: {line}"))?;
        let process = Process(child);
        Ok(Self { process, address })
    }

    /// How many bytes of memory the server has.
    pub(crate) fn resident(&self) -> Result<f64, String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()));
        let status = status.map_err(|error| error.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib = kib.and_then(|kib| kib.parse::<f64>().ok());
        Ok(1024.0 * kib.ok_or("no memory is told")?)
    }
}

/// Sends lines of 100 bytes, so many at a time, and reads as many. Gives thousands per second.
pub(crate) async fn echo(
    server: SocketAddr,
    connections: usize,
    depth: usize,
    lines: usize,
) -> Result<f64, String> {
    let mut peers = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(server).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        peers.push(stream);
    }
    // Warm, and known to work.
    talk(&mut peers, depth, lines / 10).await?;
    let began = Instant::now();
    let said = talk(&mut peers, depth, lines).await?;
    Ok(said as f64 / began.elapsed().as_secs_f64() / 1e3)
}

/// Opens so many connections, which say a line each and then nothing. They last as long as they are
/// held.
pub(crate) async fn idle(server: SocketAddr, connections: usize) -> Result<Vec<TcpStream>, String> {
    let mut peers = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(server).await;
        peers.push(stream.map_err(|error| error.to_string())?);
    }
    talk(&mut peers, 1, connections).await?;
    Ok(peers)
}

/// As many descriptors as this process and its children may have.
pub(crate) fn more_descriptors(wanted: usize) -> Result<(), String> {
    let most = getrlimit(Resource::Nofile).maximum;
    if most.is_some_and(|most| most < wanted as u64) {
        return Err(format!(
            "{wanted} descriptors are needed; `ulimit -Hn` allows fewer"
        ));
    }
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, all).map_err(|error| error.to_string())
}

async fn talk(peers: &mut Vec<TcpStream>, depth: usize, lines: usize) -> Result<usize, String> {
    let rounds = (lines / depth / peers.len()).max(1);
    let said = rounds * depth * peers.len();
    let mut tasks = JoinSet::new();
    for mut stream in peers.drain(..) {
        tasks.spawn(async move {
            let line = format!("{}\n", "x".repeat(99));
            let lines = line.repeat(depth);
            let mut back = vec![0; lines.len()];
            for _ in 0..rounds {
                stream.write_all(lines.as_bytes()).await?;
                stream.read_exact(&mut back).await?;
            }
            assert_eq!(back, lines.as_bytes(), "what comes back is what was sent");
            Ok::<_, std::io::Error>(stream)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let stream = done.map_err(|error| error.to_string())?;
        peers.push(stream.map_err(|error| error.to_string())?);
    }
    Ok(said)
}
