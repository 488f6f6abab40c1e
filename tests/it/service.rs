//! `run_until_signal`: what becomes of a process that gets signals, each case in one of its own.
#![cfg(unix)]
use actors_core::{
    Actor, Addr, ChildOptions, Context, Error, Intensity, Restart, ServiceError, StopReason,
    Supervisor, SupervisorOptions, handlers,
};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

const CASE: &str = "ACTORS_SERVICE_CASE";
/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(3600);

/// Tells of its life on the standard output.
struct Part(&'static str);

impl Actor for Part {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), Error> {
        match self.0 {
            "fails" => return Err("no luck".into()),
            "never-starts" => {
                println!("starting {}", self.0);
                std::future::pending().await
            }
            _ => println!("started {}", self.0),
        }
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        if self.0 == "hangs" {
            println!("hangs");
            std::future::pending::<()>().await;
        }
        println!("stopped {}", self.0);
    }
}

#[handlers]
impl Part {
    fn block(&mut self) {
        println!("blocks {}", self.0);
        loop {
            thread::park();
        }
    }

    fn panic(&mut self) {
        panic!("as told");
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

fn part(below: &Supervisor, name: &'static str) -> Addr<Part> {
    let options = ChildOptions::new().stop_timeout(LONG);
    below.child_with(name, options, move || Part(name))
}

#[actors_core::main(worker_threads = 2)]
async fn case() -> Result<(), Error> {
    let case = env::var(CASE)?;
    let app = SupervisorOptions::new().intensity(Intensity::new(0, LONG));
    let app = app.start("app")?;
    let mut deadline = LONG;
    match case.as_str() {
        "orderly" => {
            part(&app, "store");
            let workers = app.subtree("workers");
            part(&workers, "worker-1");
            part(&workers, "worker-2");
            part(&app, "front");
        }
        "early" => {
            part(&app, "part");
        }
        "hangs" => {
            part(&app, "hangs");
        }
        "never-starts" => {
            deadline = Duration::from_millis(50);
            part(&app, "never-starts");
        }
        "blocks" => {
            deadline = Duration::from_millis(50);
            // More than there are threads.
            let parts = ["one", "two", "three"].map(|name| part(&app, name));
            app.ready().await?;
            for part in parts {
                part.tell(Block)?;
            }
        }
        "fails" => {
            part(&app, "good");
            part(&app, "fails");
        }
        "gives-up" => {
            let part = part(&app, "part");
            app.ready().await?;
            part.tell(Panic)?;
        }
        "finishes" => {
            let options = ChildOptions::new()
                .restart(Restart::Transient)
                .significant();
            part(&app, "other");
            let part = app.child_with("part", options, || Part("part"));
            app.ready().await?;
            part.tell(Finish)?;
        }
        other => panic!("no case {other}"),
    }
    // From here on it listens to signals; one that comes earlier ends the process.
    let ended = app.run_until_signal(deadline);
    println!("listening");
    if case == "early" {
        kill_process(getpid(), Signal::TERM)?;
    }
    let ended = ended.await;
    if env::var_os("THEN_STAY").is_some() {
        println!("stays");
        loop {
            thread::park();
        }
    }
    ended
}

/// No test by itself: what the tests start in a process of its own.
#[test]
fn in_a_process() {
    if env::var_os(CASE).is_none() {
        return;
    }
    // One that hangs fails its test, and does not hold it up.
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(60));
        println!("this hangs");
        process::exit(99);
    });
    let ended = case();
    println!();
    match ended {
        Ok(()) => process::exit(0),
        Err(error) => {
            let kind = match error.downcast_ref::<ServiceError>() {
                Some(ServiceError::StartFailed(_)) => "start failed",
                Some(ServiceError::Ended(_)) => "ended",
                Some(ServiceError::Aborted(_)) => "aborted",
                _ => "other",
            };
            println!("{kind}: {error}");
            process::exit(7);
        }
    }
}

struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(case: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().expect("this runs"));
        command.args(["--exact", "service::in_a_process", "--nocapture"]);
        command.env(CASE, case).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, output }
    }

    /// Reads until this line has come and the process listens to signals; gives the other lines.
    fn until_listening(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut listens, mut came) = (false, false);
        while !(listens && came) {
            let line = self.next_line();
            match () {
                () if line.ends_with("listening") => listens = true,
                () if line.ends_with(last) => came = true,
                () => lines.push(line),
            }
        }
        lines
    }

    /// Reads up to this line, and gives those before it.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_line();
            if line.ends_with(last) {
                return lines;
            }
            lines.push(line);
        }
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("it writes UTF-8");
        assert!(read > 0, "it ended");
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), self.child.id().to_string()]);
        assert!(kill.status().expect("there is a `kill`").success());
    }

    /// Waits for its end; gives the rest of what it has written.
    fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        let status = self.child.wait().expect("it can be waited for");
        (status, rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where a test fails, nothing is to be left.
        let _ = self.child.kill();
    }
}

fn last_line(output: &str) -> &str {
    output.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn a_signal_stops_the_tree_phase_by_phase() {
    for signal in ["TERM", "INT"] {
        let mut running = Running::start("orderly", &[]);
        let started = running.until_listening("started front");
        let started: Vec<&str> = started
            .iter()
            .filter_map(|line| line.split_once("started ").map(|(_, name)| name))
            .collect();
        assert_eq!(started, ["store", "worker-1", "worker-2"]);
        running.signal(signal);
        let (status, rest) = running.end();
        let stopped: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
        let expected = ["front", "worker-2", "worker-1", "store"];
        assert_eq!(stopped, expected.map(|name| format!("stopped {name}")));
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut running = Running::start("hangs", &[]);
    running.until_listening("started hangs");
    running.signal("TERM");
    running.until("hangs");
    let began = Instant::now();
    running.signal("TERM");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(7), "{rest}");
    let last = last_line(&rest);
    assert!(
        last.starts_with("aborted: actors had to be killed"),
        "{rest}"
    );
    assert!(last.contains("hangs#"), "{rest}");
    assert!(began.elapsed() < LONG / 60);
}

#[test]
fn handlers_that_block_all_threads_hold_nothing_up() {
    let mut running = Running::start("blocks", &[]);
    let (mut blocked, mut listens) = (Vec::new(), false);
    while blocked.len() < 2 || !listens {
        let line = running.next_line();
        listens |= line.ends_with("listening");
        if let Some((_, name)) = line.split_once("blocks ") {
            blocked.push(name.to_owned());
        }
    }
    running.signal("TERM");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(7), "{rest}");
    let last = last_line(&rest);
    assert!(
        last.starts_with("aborted: actors had to be killed"),
        "{rest}"
    );
    for name in blocked {
        assert!(last.contains(&format!("{name}#")), "{rest}");
    }
    assert!(last.contains("service::Block"), "{rest}");
}

#[test]
fn a_signal_comes_while_it_starts() {
    let mut running = Running::start("never-starts", &[]);
    running.until_listening("starting never-starts");
    running.signal("TERM");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(7), "{rest}");
    assert!(last_line(&rest).contains("never-starts#"), "{rest}");
}

#[test]
fn a_signal_comes_before_it_is_awaited() {
    let (status, rest) = Running::start("early", &[]).end();
    assert_eq!(status.code(), Some(0), "{status}: {rest}");
}

#[test]
fn what_does_not_start_or_gives_up_is_an_error() {
    let (status, rest) = Running::start("fails", &[]).end();
    assert_eq!(status.code(), Some(7), "{rest}");
    assert!(
        rest.contains("started good") && rest.contains("stopped good"),
        "{rest}"
    );
    let last = last_line(&rest);
    assert!(
        last.starts_with("start failed: the service did not start"),
        "{rest}"
    );
    assert!(
        last.ends_with("did not start: it failed: no luck"),
        "{rest}"
    );
    let (status, rest) = Running::start("gives-up", &[]).end();
    assert_eq!(status.code(), Some(7), "{rest}");
    let last = last_line(&rest);
    assert!(
        last.starts_with("ended: the service ended by itself"),
        "{rest}"
    );
    assert!(last.ends_with("it panicked: as told"), "{rest}");
}

#[test]
fn a_tree_that_ends_normally_needs_no_signal() {
    let (status, rest) = Running::start("finishes", &[]).end();
    assert_eq!(status.code(), Some(0), "{rest}");
    assert!(rest.contains("stopped other"), "{rest}");
}

#[test]
fn afterwards_signals_do_what_they_always_do() {
    let mut running = Running::start("orderly", &[("THEN_STAY", "1")]);
    running.until_listening("started front");
    running.signal("TERM");
    running.until("stays");
    running.signal("TERM");
    let (status, rest) = running.end();
    assert_eq!(status.signal(), Some(15), "{rest}");
}

#[test]
fn systemd_is_told() {
    let path = env::temp_dir().join(format!("actors-notify-{}", process::id()));
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).expect("the path is free");
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("it is not zero");
    let told = || {
        let mut buffer = [0; 256];
        let n = socket.recv(&mut buffer).expect("it tells");
        String::from_utf8_lossy(&buffer[..n]).trim().to_owned()
    };
    let path_text = path.to_str().expect("it is UTF-8");
    let environment = [("NOTIFY_SOCKET", path_text), ("WATCHDOG_USEC", "20000")];
    let mut running = Running::start("orderly", &environment);
    assert_eq!(told(), "READY=1");
    // It was ready when it said so.
    running.until_listening("started front");
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    running.signal("TERM");
    let mut last = told();
    while last == "WATCHDOG=1" {
        last = told();
    }
    assert_eq!(last, "STOPPING=1");
    let (status, _) = running.end();
    assert_eq!(status.code(), Some(0));
    fs::remove_file(&path).expect("it is there");
}
