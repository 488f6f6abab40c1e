//! The worker's side: a process that was started to run jobs for another one.
use crate::host::host;
use crate::permits::Permitted;
use crate::task::Entry;
use crate::wire::{self, Setup};
use actors_core::__private::look;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_current_process_group, setrlimit};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Tells a process that it was started as a worker; its standard input is the channel then.
pub(crate) const VARIABLE: &str = "ACTORS_NET_WORKER";

static CALLED: AtomicBool = AtomicBool::new(false);

/// Lets a [`ProcessPool`](crate::ProcessPool) start this program again for its workers. To be called
/// first in `main`.
///
/// In a process that was started as a worker it serves jobs until it is not needed any more, and
/// does not return. Everywhere else it returns at once. What `main` does before this call, every
/// worker does, too.
///
/// ```
/// use actors_net::{Pool, ProcessPool, task};
///
/// #[task]
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// fn main() -> Result<(), actors_net::Error> {
///     actors_net::init();
///     let pool = ProcessPool::new(1)?;
///     assert_eq!(pool.apply(add::job(1, 2))?, 3);
///     Ok(())
/// }
/// ```
///
/// In tests there is no `main` to write it in; see
/// [`ProcessPoolOptions::args`](crate::ProcessPoolOptions::args).
pub fn init() {
    CALLED.store(true, Ordering::Relaxed);
    if let Some(channel) = channel() {
        let code = match serve(&channel) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("a worker process lost its channel: {error}");
                1
            }
        };
        process::exit(code);
    }
}

/// Whether this process may start itself again.
pub(crate) fn is_initialized() -> bool {
    CALLED.load(Ordering::Relaxed)
}

/// The channel to the process whose worker this is, if it is one.
///
/// The variable alone says too little: what a worker starts inherits it.
fn channel() -> Option<UnixStream> {
    std::env::var_os(VARIABLE)?;
    // The copy is closed when another program is started.
    let input = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let channel = UnixStream::from(input);
    channel.peer_addr().ok()?;
    let null = File::open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(channel)
}

fn serve(channel: &UnixStream) -> io::Result<()> {
    let permitted = Permitted::receive(channel)?;
    watch_the_parent(channel)?;
    let mut input = BufReader::with_capacity(64 << 10, channel);
    let mut buffer = Vec::new();
    let Some((wire::SETUP, payload)) = wire::read(&mut input, &mut buffer, u32::MAX)? else {
        return Ok(());
    };
    let setup = Setup::read(payload).map_err(io::Error::other)?;
    limit(&setup)?;
    if let Some((name, init)) = &setup.actor {
        return host(channel, name, init, setup.limit);
    }
    // Comes at once, also to a process that is stopped. Not for actors: it is the thread that it
    // watches, and only a pool has one that stays.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let tasks = tasks();
    let ready = prepare(&setup, &tasks);
    (&mut &*channel).write_all(&wire::frame(wire::READY, &ready).map_err(io::Error::other)?)?;
    if ready.is_err() {
        return Ok(());
    }
    while let Some((kind, payload)) = wire::read(&mut input, &mut buffer, setup.limit)? {
        let (kind, ahead) = wire::unmark(kind);
        let mut answer = match !ahead || permitted.take()? {
            true => answer(kind, payload, &tasks),
            false => wire::bytes(wire::PASSED, &[]),
        };
        if answer.len() - wire::LENGTH > setup.limit as usize {
            let text = format!(
                "the result takes {} bytes, and the limit is {}",
                answer.len(),
                setup.limit
            );
            answer = wire::bytes(wire::LOST, text.as_bytes());
        }
        // Before the next job begins, so that it is known which one ran.
        (&mut &*channel).write_all(&answer)?;
        // What a large job took is not kept.
        buffer.shrink_to(1 << 20);
        if input.buffer().is_empty() {
            // Where its time is limited, it is for the jobs.
            if setup.cpu.is_some() || !look(|| has_more(channel, Some(&Timespec::default()))) {
                // Who waits in a read is woken also when the other side has read the answer.
                has_more(channel, None);
            }
        }
    }
    Ok(())
}

/// Whether there is something to read, if only that there will be no more; waits so long for it.
fn has_more(channel: &UnixStream, wait: Option<&Timespec>) -> bool {
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    poll(&mut fds, wait).is_ok_and(|ready| ready > 0)
}

/// All tasks of this program, by name.
fn tasks() -> HashMap<&'static str, Result<&'static Entry, String>> {
    let mut tasks = HashMap::new();
    for entry in inventory::iter::<Entry> {
        let name = entry.name();
        tasks
            .entry(name)
            .and_modify(|known| {
                *known = Err(format!(
                    "there are two tasks named `{name}`; name one by `#[task(name = \"..\")]`"
                ));
            })
            .or_insert(Ok(entry));
    }
    tasks
}

type Tasks = HashMap<&'static str, Result<&'static Entry, String>>;

fn answer(kind: u8, payload: &[u8], tasks: &Tasks) -> Vec<u8> {
    let refuse = |text: &str| wire::bytes(wire::REFUSED, text.as_bytes());
    let Ok((task, args)) = wire::read_job(payload) else {
        return refuse("a job could not be read");
    };
    match tasks.get(task) {
        Some(Ok(entry)) => entry.run(kind, args),
        Some(Err(text)) => refuse(text),
        None => refuse(&format!("the worker's program has no task named `{task}`")),
    }
}

/// Applies the limits.
fn limit(setup: &Setup) -> io::Result<()> {
    let limit = |resource, to: Option<u64>| match to {
        None => Ok(()),
        Some(_) => {
            let maximum = getrlimit(resource).maximum;
            let current = to.into_iter().chain(maximum).min();
            let maximum = current;
            setrlimit(resource, Rlimit { current, maximum })
        }
    };
    limit(Resource::Cpu, setup.cpu)?;
    limit(Resource::As, setup.memory)?;
    Ok(())
}

/// Runs the initializer.
fn prepare(setup: &Setup, tasks: &Tasks) -> Result<(), String> {
    let Some((task, args)) = &setup.initializer else {
        return Ok(());
    };
    let answer = match tasks.get(&**task) {
        Some(Ok(entry)) => entry.run(wire::JOB, args),
        Some(Err(text)) => return Err(text.clone()),
        None => return Err(format!("the worker's program has no task named `{task}`")),
    };
    match answer.get(wire::LENGTH..).and_then(<[u8]>::split_first) {
        Some((&wire::DONE, _)) => Ok(()),
        Some((&wire::PANICKED, text)) => Err(format!(
            "the initializer panicked: {}",
            String::from_utf8_lossy(text)
        )),
        Some((_, text)) => Err(String::from_utf8_lossy(text).into_owned()),
        None => Ok(()),
    }
}

/// Ends this process, and what it has started, when the parent has gone: also when that was killed,
/// and whatever a job is doing here.
fn watch_the_parent(channel: &UnixStream) -> io::Result<()> {
    let channel = channel.try_clone()?;
    thread::Builder::new()
        .name("parent watch".to_owned())
        .spawn(move || {
            loop {
                // No events are asked for: a hang-up is told all the same.
                let mut fds = [PollFd::new(&channel, PollFlags::empty())];
                let polled = poll(&mut fds, None);
                if polled.is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
                    let _ = kill_current_process_group(Signal::KILL);
                    process::abort();
                }
            }
        })?;
    Ok(())
}
