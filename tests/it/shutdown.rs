//! P12, P13: a tree stops in order, each actor within its limit, and in time whatever handlers do.
use crate::kit::{Log, Note, Worker, run, soon};
use actors_core::{
    Actor, Addr, AskError, Backoff, ChildOptions, Context, Intensity, StopReason, Strategy,
    Supervisor, SupervisorOptions, actors, handlers,
};
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn worker(app: &Supervisor) -> Addr<Worker> {
    app.child("worker", Worker::default)
}

/// Blocks threads until it is opened.
#[derive(Clone, Default)]
struct Dam(Arc<(Mutex<bool>, Condvar)>);

impl Dam {
    fn hold(&self) {
        let (open, changed) = &*self.0;
        let open = open.lock().unwrap();
        let _open = changed.wait_while(open, |open| !*open).unwrap();
    }

    fn open(&self) {
        let (open, changed) = &*self.0;
        *open.lock().unwrap() = true;
        changed.notify_all();
    }
}

/// Whatever the test does, the threads go on.
impl Drop for Dam {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) <= 1 {
            self.open();
        }
    }
}

/// A message whose handler blocks its thread, and says when it does.
fn block(dam: &Dam) -> (crate::kit::Run<()>, mpsc::Receiver<()>) {
    let dam = dam.clone();
    let (blocks, is_blocked) = mpsc::channel();
    let handler = run(async move {
        let _ = blocks.send(());
        dam.hold();
    });
    (handler, is_blocked)
}

/// All threads of the runtime are held by handlers, and one of the actors is a plain grandchild.
#[test]
fn handlers_that_block_for_ever_do_not_hold_it_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dam = Dam::default();
    runtime.block_on(async {
        let app = Supervisor::new("app");
        let fine = worker(&app);
        let below = app.subtree("below");
        let blocked = [worker(&app), worker(&below)];
        app.ready().await.unwrap();
        for worker in &blocked {
            let (handler, is_blocked) = block(&dam);
            worker.tell(handler).unwrap();
            is_blocked.recv().unwrap();
        }
        let deadline = Duration::from_millis(300);
        let began = Instant::now();
        let report = app.shutdown(deadline).await;
        let took = began.elapsed();
        assert!(took >= deadline, "{took:?}");
        assert!(took <= deadline + Duration::from_millis(100), "{took:?}");
        let running = report.aborted.iter().filter(|actor| actor.still_running);
        let running: Vec<_> = running.map(|actor| actor.actor.id()).collect();
        for worker in &blocked {
            assert!(running.contains(&worker.id()), "{report:?}");
            let named = report.aborted.iter();
            let mut named = named.filter(|actor| actor.actor.id() == worker.id());
            assert!(named.next().unwrap().message.unwrap().contains("Run"));
        }
        // No thread is left to run its last steps, or it has ended.
        assert!(fine.tell(Note(1)).is_err());
        dam.open();
        for worker in &blocked {
            soon(worker.stopped()).await;
        }
        soon(app.stopped()).await;
    });
}

/// A hook that does not end.
struct Lingers;

impl Actor for Lingers {
    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        pending().await
    }
}

#[actors_core::test(start_paused = true)]
async fn each_has_its_own_limit_and_is_named() {
    let app = Supervisor::new("app");
    let below = app.subtree("below");
    let options = |limit| ChildOptions::new().stop_timeout(limit);
    below.child_with("first", options(2 * SECOND), || Lingers);
    app.child_with("second", options(3 * SECOND), || Lingers);
    let fine = worker(&app);
    soon(app.ready()).await.unwrap();
    let began = tokio::time::Instant::now();
    let report = soon(app.shutdown(60 * SECOND)).await;
    // One after the other.
    assert_eq!(began.elapsed().as_secs(), 5);
    let names: Vec<_> = report.aborted.iter().map(|a| a.actor.name()).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(report.aborted.iter().all(|actor| !actor.still_running));
    assert!(!report.is_clean());
    assert!(soon(fine.stopped()).await.is_normal());
    // The tree itself has ended as it should.
    assert!(soon(app.stopped()).await.is_normal());
}

#[actors_core::test(start_paused = true)]
async fn at_the_deadline_all_that_is_left_is_killed() {
    let app = Supervisor::new("app");
    let options = ChildOptions::new().stop_timeout(3600 * SECOND);
    let first = worker(&app);
    let lingers = app.child_with("lingers", options, || Lingers);
    soon(app.ready()).await.unwrap();
    let began = tokio::time::Instant::now();
    let report = soon(app.shutdown(2 * SECOND)).await;
    assert!(began.elapsed() <= 2 * SECOND + Duration::from_millis(100));
    let names: Vec<_> = report.aborted.iter().map(|a| a.actor.name()).collect();
    assert_eq!(
        names,
        ["app", "worker", "lingers"],
        "all that had not ended"
    );
    assert!(matches!(soon(first.stopped()).await, StopReason::Killed));
    soon(lingers.stopped()).await;
    soon(app.stopped()).await;
}

#[actors_core::test(start_paused = true)]
async fn who_is_killed_by_somebody_else_meanwhile_is_not_named() {
    let app = Supervisor::new("app");
    let options = ChildOptions::new().stop_timeout(3600 * SECOND);
    let lingers = app.child_with("lingers", options, || Lingers);
    soon(app.ready()).await.unwrap();
    let mut shutdown = pin!(app.shutdown(60 * SECOND));
    let still = tokio::time::timeout(SECOND, &mut shutdown).await;
    assert!(still.is_err(), "it waits for the child");
    lingers.kill();
    let report = soon(shutdown).await;
    assert!(report.is_clean(), "{report:?}");
    assert!(matches!(soon(lingers.stopped()).await, StopReason::Killed));
}

#[actors_core::test(start_paused = true)]
async fn accepted_mail_is_handled_first() {
    let log = Log::default();
    let app = Supervisor::new("app");
    let of_child = log.clone();
    let worker = app.child("worker", move || Worker {
        log: of_child.clone(),
    });
    soon(app.ready()).await.unwrap();
    for n in 0..100 {
        worker.tell(Note(n)).unwrap();
    }
    let report = soon(app.shutdown(SECOND)).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(log.len(), 100);
    assert_eq!(worker.mailbox_stats().dead_letters, 0);
    // Again: it has ended.
    assert!(soon(app.shutdown(SECOND)).await.is_clean());
}

#[actors_core::test]
async fn job_on_a_thread_for_blocking_does_not_hold_it_up() {
    let dam = Dam::default();
    let app = Supervisor::new("app");
    let worker = worker(&app);
    let holds = dam.clone();
    let reply = worker
        .ask(run(async move {
            tokio::task::spawn_blocking(move || holds.hold())
                .await
                .unwrap();
        }))
        .post()
        .unwrap();
    soon(app.ready()).await.unwrap();
    let report = soon(app.shutdown(Duration::from_millis(50))).await;
    // The handler awaits, so it could be dropped.
    assert!(report.aborted.iter().all(|actor| !actor.still_running));
    assert!(report.aborted.iter().any(|a| a.actor.id() == worker.id()));
    assert!(soon(reply).await.unwrap_err().may_have_run());
    dam.open();
}

/// Asks whoever started it, when that is stopping.
struct Asks {
    parent: Addr<Parent>,
    answers: Arc<Mutex<Vec<bool>>>,
}

impl Actor for Asks {
    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        let answer = self.parent.ask(Question).await;
        assert!(matches!(answer, Err(AskError::Closed)), "{answer:?}");
        self.answers.lock().unwrap().push(answer.is_ok());
    }
}

struct Parent {
    answers: Arc<Mutex<Vec<bool>>>,
}

impl Actor for Parent {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), actors_core::Error> {
        let crew = ctx.supervise("crew");
        let (parent, answers) = (ctx.addr(), self.answers.clone());
        crew.child("asks", move || Asks {
            parent: parent.clone(),
            answers: answers.clone(),
        });
        crew.ready().await?;
        Ok(())
    }
}

#[handlers]
impl Parent {
    fn question(&mut self) {}
}

#[actors_core::test(start_paused = true)]
async fn child_asks_its_stopping_parent() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let app = Supervisor::new("app");
    let of_parent = answers.clone();
    let parent = app.child("parent", move || Parent {
        answers: of_parent.clone(),
    });
    soon(app.ready()).await.unwrap();
    let began = tokio::time::Instant::now();
    let report = soon(app.shutdown(SECOND)).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(tokio::time::Instant::now(), began, "nobody waits");
    assert_eq!(*answers.lock().unwrap(), [false]);
    soon(parent.stopped()).await;
}

/// The ids of the tree that live.
fn live(root: &Supervisor) -> usize {
    let actors = actors();
    let mut family = vec![root.id()];
    for actor in &actors {
        // By id, so parents come first.
        if actor.parent.is_some_and(|parent| family.contains(&parent)) {
            family.push(actor.id);
        }
    }
    let lives = |id| actors.iter().any(|actor| actor.id == id);
    family.into_iter().filter(|id| lives(*id)).count()
}

/// Pauses in its hook, so that a shutdown has many steps.
#[derive(Default)]
struct Pauses {
    child: Option<Addr<Worker>>,
}

impl Actor for Pauses {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), actors_core::Error> {
        self.child = Some(ctx.spawn(Worker::default()));
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>, _: &StopReason) {
        tokio::task::yield_now().await;
    }
}

#[actors_core::test(start_paused = true)]
async fn supervisor_killed_at_any_step_of_its_shutdown_leaves_no_orphan() {
    for step in 0..60 {
        let app = Supervisor::new("app");
        let below = app.subtree("below");
        let mut addrs = Vec::new();
        for supervisor in [&app, &below] {
            for _ in 0..2 {
                addrs.push(supervisor.child("pauses", Pauses::default));
            }
        }
        soon(app.ready()).await.unwrap();
        assert_eq!(live(&app), 10);
        app.stop();
        for _ in 0..step {
            tokio::task::yield_now().await;
        }
        match step % 3 {
            0 => app.kill(),
            1 => below.kill(),
            _ => {
                app.kill();
                below.kill();
            }
        }
        soon(app.stopped()).await;
        for addr in &addrs {
            soon(addr.stopped()).await;
        }
        soon(below.stopped()).await;
        soon(async {
            while live(&app) > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// In a group that restarts, one that blocks its thread is not waited for; it comes back when it
/// lets go.
#[test]
fn group_does_not_wait_for_one_that_blocks() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let dam = Dam::default();
    runtime.block_on(async {
        let options = SupervisorOptions::new()
            .strategy(Strategy::OneForAll)
            .backoff(Backoff::NONE)
            .intensity(Intensity::UNLIMITED);
        let app = options.start("app").unwrap();
        let fails = worker(&app);
        let limit = ChildOptions::new().stop_timeout(Duration::from_millis(10));
        let blocks = app.child_with("blocks", limit, Worker::default);
        app.ready().await.unwrap();
        let (handler, is_blocked) = block(&dam);
        blocks.tell(handler).unwrap();
        is_blocked.recv().unwrap();
        soon(fails.ask(run(async { panic!("boom") })))
            .await
            .unwrap_err();
        let waits = blocks.ask(Note(1)).post().unwrap();
        // The group is up again without it.
        assert_eq!(soon(fails.ask(Note(2))).await.unwrap(), 2);
        assert!(!waits.is_ready());
        dam.open();
        assert_eq!(soon(waits).await.unwrap(), 1);
        assert!(soon(app.shutdown(SECOND)).await.is_clean());
    });
}

/// One that blocks can be stopped for good, and is not waited for either.
#[test]
fn stop_child_does_not_wait_for_one_that_blocks() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dam = Dam::default();
    runtime.block_on(async {
        let app = Supervisor::new("app");
        let limit = ChildOptions::new().stop_timeout(Duration::from_millis(10));
        let blocks = app.child_with("blocks", limit, Worker::default);
        app.ready().await.unwrap();
        let (handler, is_blocked) = block(&dam);
        blocks.tell(handler).unwrap();
        is_blocked.recv().unwrap();
        assert!(!soon(app.stop_child(blocks.id())).await, "it goes on");
        dam.open();
        soon(blocks.stopped()).await;
        soon(app.shutdown(SECOND)).await;
    });
}

#[actors_core::test]
async fn dropped_half_way_the_tree_goes_on_stopping() {
    let app = Supervisor::new("app");
    let worker = worker(&app);
    soon(app.ready()).await.unwrap();
    {
        let mut shutdown = Box::pin(app.shutdown(60 * SECOND));
        assert!(crate::kit::once(&mut shutdown).await.is_pending());
    }
    assert!(soon(worker.stopped()).await.is_normal());
    assert!(soon(app.stopped()).await.is_normal());
}

#[actors_core::test(start_paused = true)]
async fn who_is_killed_is_named_with_what_it_handled_and_only_once() {
    let app = Supervisor::new("app");
    let options = || ChildOptions::new().stop_timeout(SECOND);
    let hangs = app.child_with("hangs", options(), Worker::default);
    soon(app.ready()).await.unwrap();
    hangs.tell(run(pending::<()>())).unwrap();
    let report = soon(app.shutdown(60 * SECOND)).await;
    let [aborted] = &report.aborted[..] else {
        panic!("{report:?}");
    };
    assert_eq!(aborted.actor.id(), hangs.id());
    assert!(aborted.message.unwrap().contains("Run"), "{report:?}");
    let again = soon(app.shutdown(60 * SECOND)).await;
    assert!(again.is_clean(), "{again:?}");
}

/// Starts another one that does not end, while it stops.
struct Late;

impl Actor for Late {
    async fn stopped(&mut self, ctx: &mut Context<Self>, _: &StopReason) {
        let late = ctx.spawn(Lingers);
        late.stop();
        soon(late.stopped()).await;
    }
}

#[actors_core::test(start_paused = true)]
async fn who_was_started_during_the_shutdown_is_named_too() {
    let app = Supervisor::new("app");
    app.child_with("late", ChildOptions::new().stop_timeout(SECOND), || Late);
    soon(app.ready()).await.unwrap();
    let report = soon(app.shutdown(60 * SECOND)).await;
    let names: Vec<_> = report.aborted.iter().map(|a| a.actor.name()).collect();
    assert_eq!(names, ["late", "Lingers"]);
}
