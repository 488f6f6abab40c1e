//! Actors that own a subprocess: its output, its input, its end; and nothing of it is left behind.
use crate::kit::{self, Log};
use crate::processes;
use actors_core::{Actor, Addr, Context, Handler, Message, SpawnError, SpawnOptions, StopReason};
use actors_net::{CloseInput, Output, Process, ProcessError, ProcessExit, ProcessId, Write};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Keeps what it is sent.
#[derive(Actor, Clone, Default)]
struct Pad {
    lines: Arc<Mutex<Vec<String>>>,
    came: Arc<Notify>,
    /// Each line waits for this, if there is one.
    gate: Option<kit::Gate>,
}

#[derive(Message)]
struct Line(&'static str, Output<String>);

impl Handler<Line> for Pad {
    async fn handle(&mut self, Line(source, line): Line, _: &mut Context<Self>) {
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        let line = match line {
            Output::Item(line) => format!("{source}: {line}"),
            Output::End => format!("{source} ends"),
            other => format!("{source}: {other:?}"),
        };
        self.lines.lock().expect("nobody panics").push(line);
        self.came.notify_one();
    }
}

impl Pad {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics").clone()
    }

    /// Waits until this line has come.
    async fn wait_for(&self, line: &str) {
        while !self.lines().iter().any(|known| known == line) {
            self.came.notified().await;
        }
    }
}

fn pad() -> (Addr<Pad>, Pad) {
    let pad = Pad::default();
    (pad.clone().spawn(), pad)
}

/// A shell that runs this, with its output on the pad.
fn shell(script: &str, pad: &Addr<Pad>) -> Process {
    Process::new("sh")
        .args(["-c", script])
        .input()
        .stdout_lines(pad.recipient(), |line| Line("out", line))
        .stderr_lines(pad.recipient(), |line| Line("err", line))
}

fn exit(reason: StopReason) -> ProcessExit {
    match reason {
        StopReason::Failed(error) => *error.downcast_ref().expect("it is an exit"),
        reason => panic!("{reason:?}"),
    }
}

fn watched(id: u32) -> OwnedFd {
    let id = Pid::from_raw(i32::try_from(id).expect("small")).expect("not zero");
    pidfd_open(id, PidfdFlags::empty()).expect("it runs")
}

fn has_ended(process: &OwnedFd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    poll(&mut fds, Some(&at_once)).expect("it can be watched") == 1
}

async fn ended(process: OwnedFd) {
    let waits = move || {
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        poll(&mut fds, None).expect("it can be watched")
    };
    tokio::task::spawn_blocking(waits).await.expect("no panic");
}

#[actors_core::test]
async fn lines_of_both_outputs_come_before_the_end() {
    let (addr, pad) = pad();
    let script = "echo one; echo two; printf three; echo four >&2";
    let process = shell(script, &addr).spawn();
    assert!(process.stopped().await.is_normal());
    addr.stop();
    addr.stopped().await;
    let lines = pad.lines();
    let of = |source: &str| {
        let lines = lines.iter().filter(|line| line.starts_with(source));
        lines.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        of("out"),
        ["out: one", "out: two", "out: three", "out ends"]
    );
    assert_eq!(of("err"), ["err: four", "err ends"]);
}

#[actors_core::test]
async fn the_exit_is_the_stop_reason() {
    let run = |script: &str| {
        let process = Process::new("sh").args(["-c", script]).spawn();
        async move { process.stopped().await }
    };
    assert!(run("exit 0").await.is_normal());
    let code = exit(run("exit 3").await);
    assert_eq!((code.code(), code.signal()), (Some(3), None));
    let signal = exit(run("kill -9 $$").await);
    assert_eq!((signal.code(), signal.signal()), (None, Some(9)));
    assert_eq!(signal.to_string(), "the process was killed by signal 9");
    let grep = Process::new("grep")
        .args(["x", "/dev/null"])
        .accept(1)
        .spawn();
    assert!(grep.stopped().await.is_normal());
}

#[actors_core::test]
async fn a_program_that_is_not_there_fails_to_start() {
    let none = Process::new("/no/such/program");
    let error = SpawnOptions::new()
        .start(none)
        .await
        .expect_err("it is not there");
    let SpawnError::StartFailed(StopReason::Failed(error)) = error else {
        panic!("{error:?}");
    };
    let error = error.downcast_ref::<ProcessError>().expect("it says why");
    assert_eq!(error.to_string(), "`/no/such/program` could not be started");
    assert!(matches!(error, ProcessError::Start { .. }));
}

#[actors_core::test]
async fn input_goes_in_and_comes_out() {
    let (addr, pad) = pad();
    let cat = shell("cat", &addr).spawn();
    assert!(cat.ask(ProcessId).await.expect("it runs").is_some());
    cat.send(Write::from("one\n")).await.expect("it runs");
    cat.ask(Write::from("two\n"))
        .await
        .expect("it runs")
        .expect("it reads");
    pad.wait_for("out: two").await;
    cat.send(CloseInput).await.expect("it runs");
    let late = cat.ask(Write::from("three\n")).await;
    assert!(matches!(late, Ok(Err(ProcessError::InputClosed)) | Err(_)));
    assert!(cat.stopped().await.is_normal());
    addr.stop();
    addr.stopped().await;
    assert_eq!(pad.lines()[..2], ["out: one", "out: two"]);
    // Without an input there is nothing to write to, and it sees the end at once.
    let deaf = Process::new("cat").stdout_lines(pad_recipient(), |line| Line("out", line));
    assert!(deaf.spawn().stopped().await.is_normal());
}

fn pad_recipient() -> actors_core::Recipient<Line> {
    Pad::default().spawn().recipient()
}

#[actors_core::test]
async fn who_does_not_read_holds_up_who_writes() {
    let gate = kit::Gate::new();
    let pad = Pad {
        gate: Some(gate.clone()),
        ..Pad::default()
    };
    let addr = SpawnOptions::new().capacity(4).spawn(pad.clone());
    let addr = addr.expect("it can be spawned");
    let cat = Process::new("cat").input();
    let cat = cat.stdout_lines(addr.recipient(), |line| Line("out", line));
    let cat = cat.spawn();
    let line = format!("{}\n", "x".repeat(999));
    let mut write = cat
        .ask(Write::from(line.repeat(1_000)))
        .post()
        .expect("it runs");
    gate.entered().await;
    // A megabyte fits into no pipe.
    assert!(
        write.wait_timeout_in_task().await.is_none(),
        "it went where nobody reads"
    );
    gate.open();
    write.await.expect("it runs").expect("it reads");
    cat.send(CloseInput).await.expect("it runs");
    assert!(cat.stopped().await.is_normal());
    addr.stop();
    addr.stopped().await;
    assert_eq!(pad.lines().len(), 1_001);
}

/// A look at a reply after everything else had its turn.
trait Look {
    async fn wait_timeout_in_task(&mut self) -> Option<()>;
}

impl<R: Send + 'static> Look for actors_core::Reply<R> {
    async fn wait_timeout_in_task(&mut self) -> Option<()> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.is_ready().then_some(())
    }
}

#[actors_core::test]
async fn a_stop_is_a_polite_word_first() {
    let (addr, pad) = pad();
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do read line; done";
    let process = shell(script, &addr).spawn();
    pad.wait_for("out: ready").await;
    process.stop();
    assert!(process.stopped().await.is_normal());
    addr.stop();
    addr.stopped().await;
    assert!(
        pad.lines().contains(&"out: bye".to_owned()),
        "{:?}",
        pad.lines()
    );
}

#[actors_core::test]
async fn who_ignores_the_word_is_killed_with_all_that_it_started() {
    let (addr, pad) = pad();
    let script = "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; done";
    let process = shell(script, &addr).stop_timeout(Duration::from_millis(100));
    let process = process.spawn();
    while pad.lines().len() < 2 {
        pad.came.notified().await;
    }
    let ids = pad.lines().into_iter().map(|line| {
        let id = line.strip_prefix("out: ").expect("it came there").parse();
        watched(id.expect("a number"))
    });
    let ids: Vec<_> = ids.collect();
    assert!(!ids.iter().any(has_ended));
    process.stop();
    assert!(process.stopped().await.is_normal());
    for id in ids {
        ended(id).await;
    }
}

#[actors_core::test]
async fn a_killed_actor_takes_its_process_along() {
    let process = Process::new("sleep").arg("1000").spawn();
    let id = process
        .ask(ProcessId)
        .await
        .expect("it runs")
        .expect("it runs");
    let id = watched(id);
    process.kill();
    assert!(matches!(process.stopped().await, StopReason::Killed));
    ended(id).await;
}

#[actors_core::test]
async fn what_a_process_leaves_behind_ends_too() {
    let (addr, pad) = pad();
    // It holds the output open.
    let process = shell("sleep 1000 & echo $!", &addr).spawn();
    pad.wait_for("out ends").await;
    assert!(process.stopped().await.is_normal());
    let id = pad.lines()[0].strip_prefix("out: ").map(str::parse);
    let id = Pid::from_raw(id.expect("it came first").expect("a number"));
    // It may have gone already.
    if let Ok(left_behind) = pidfd_open(id.expect("not zero"), PidfdFlags::empty()) {
        ended(left_behind).await;
    }
}

#[actors_core::test]
async fn an_output_may_be_closed_early() {
    let (addr, pad) = pad();
    let process = shell("exec >&-; read line; exit 3", &addr).spawn();
    pad.wait_for("out ends").await;
    assert!(process.is_alive());
    process.send(Write::from("go\n")).await.expect("it runs");
    assert_eq!(exit(process.stopped().await).code(), Some(3));
}

#[actors_core::test]
async fn a_flood_stays_outside_and_can_be_stopped() {
    let gate = kit::Gate::new();
    let pad = Pad {
        gate: Some(gate.clone()),
        ..Pad::default()
    };
    let addr = SpawnOptions::new().capacity(4).spawn(pad);
    let addr = addr.expect("it can be spawned");
    let yes = Process::new("sh").args(["-c", "exec yes >&2"]);
    let yes = yes.stderr_lines(addr.recipient(), |line| Line("err", line));
    let yes = yes.stop_timeout(Duration::from_millis(50)).spawn();
    gate.entered().await;
    assert!(addr.mailbox_len() <= 5);
    yes.stop();
    assert!(yes.stopped().await.is_normal());
}

#[actors_core::test]
async fn when_nobody_listens_any_more_the_pipe_is_closed() {
    let (addr, pad) = pad();
    let yes = Process::new("yes");
    let yes = yes
        .stdout_lines(addr.recipient(), |line| Line("out", line))
        .spawn();
    pad.wait_for("out: y").await;
    addr.stop_now();
    assert_eq!(exit(yes.stopped().await).signal(), Some(13));
}

#[actors_core::test]
async fn a_process_that_does_not_read_keeps_nobody_from_stopping() {
    let process = Process::new("sleep").arg("1000").input().spawn();
    let megabyte = vec![b'x'; 1 << 20];
    let write = process
        .ask(Write::from(megabyte.clone()))
        .post()
        .expect("it runs");
    let next = process.ask(Write::from(megabyte)).post().expect("it runs");
    process.ask(ProcessId).post().expect("it runs").detach();
    process.stop();
    assert!(matches!(write.await, Ok(Err(ProcessError::InputClosed))));
    assert!(matches!(next.await, Ok(Err(ProcessError::InputClosed))));
    assert!(process.stopped().await.is_normal());
}

#[actors_core::test]
async fn what_is_written_to_the_dead_comes_back_as_an_error() {
    let process = Process::new("sh").args(["-c", "read line"]).input().spawn();
    let megabyte = vec![b'x'; 1 << 20];
    let mut text = megabyte.clone();
    text[0] = b'\n';
    let write = process.ask(Write::from(text)).await;
    assert!(matches!(write, Ok(Err(ProcessError::Gone))), "{write:?}");
    assert!(process.stopped().await.is_normal());
}

#[actors_core::test]
async fn frames_of_any_kind() {
    #[derive(Actor, Default)]
    struct Sizes(Log);
    #[derive(Message)]
    struct Size(u32);
    impl Handler<Size> for Sizes {
        async fn handle(&mut self, Size(size): Size, _: &mut Context<Self>) {
            self.0.add(size);
        }
    }
    let log = Log::default();
    let sizes = Sizes(log.clone()).spawn();
    let codec = tokio_util::codec::LengthDelimitedCodec::builder()
        .length_field_length(1)
        .max_frame_length(9)
        .new_codec();
    let script = r"printf '\003abc\000\001x\012'";
    let process =
        Process::new("sh")
            .args(["-c", script])
            .stdout_frames(codec, sizes.recipient(), |frame| match frame {
                Output::Item(bytes) => Size(u32::try_from(bytes.len()).expect("small")),
                Output::Failed(_) => Size(1_000),
                _ => Size(2_000),
            });
    assert!(process.spawn().stopped().await.is_normal());
    sizes.stop();
    sizes.stopped().await;
    assert_eq!(log.all(), [3, 0, 1, 1_000], "the last one is too long");
}

#[actors_core::test]
async fn without_addresses_it_goes_on_to_its_end() {
    let (addr, pad) = pad();
    let process = shell("echo done", &addr).spawn();
    drop(process);
    pad.wait_for("out: done").await;
}

#[test]
fn two_hundred_processes_leave_nothing() {
    if !processes::is_alone() {
        return processes::run_alone("subprocess::two_hundred_processes_leave_nothing");
    }
    let runtime = tokio::runtime::Runtime::new().expect("there can be one");
    runtime.block_on(async {
        let round = async || {
            for n in 0..100 {
                let (addr, pad) = pad();
                let process = shell("echo up; cat", &addr).spawn();
                pad.wait_for("out: up").await;
                match n % 3 {
                    0 => process.send(CloseInput).await.expect("it runs"),
                    1 => process.stop(),
                    _ => process.kill(),
                }
                process.stopped().await;
                kit::stop(&addr).await;
            }
        };
        round().await;
        let open = processes::open_files();
        round().await;
        assert!(
            processes::open_files() <= open + 3,
            "{} > {open}",
            processes::open_files()
        );
    });
    drop(runtime);
    // Those that were killed with their actor are waited for beside it.
    let runtime = tokio::runtime::Runtime::new().expect("there can be one");
    runtime.block_on(async {
        let last = Process::new("true").spawn();
        last.stopped().await;
    });
    let zombies = processes::zombies();
    assert!(zombies.len() <= 1, "{zombies:?}");
}
