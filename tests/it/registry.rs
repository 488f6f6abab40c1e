//! P14: names. One live actor has a name, and it is free when that actor has ended.
use crate::kit::{Note, Rng, Worker, held, once, soon, stop};
use actors_core::{
    Actor, Addr, NamedActor, RegisterError, Registry, SpawnError, SpawnOptions, lookup, names,
    wait_for,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Actor)]
struct Other;

fn worker() -> Addr<Worker> {
    Worker::logged().0
}

fn claims(registry: &Registry) -> Vec<(String, u64)> {
    let claim = |claim: NamedActor| (claim.name, claim.id.get());
    registry.names().into_iter().map(claim).collect()
}

#[actors_core::test]
async fn who_waits_for_a_name_gets_who_takes_it() {
    let registry = Registry::new();
    let mut early = Box::pin(registry.wait_for::<Worker>("db"));
    let mut other_type = Box::pin(registry.wait_for::<Other>("db"));
    let mut other_name = Box::pin(registry.wait_for::<Worker>("cache"));
    assert!(once(&mut early).await.is_pending());
    assert!(once(&mut other_type).await.is_pending());
    assert!(once(&mut other_name).await.is_pending());
    assert_eq!(claims(&registry), [], "waiting claims nothing");

    let options = SpawnOptions::new().registered_in(&registry, "db");
    let db = options.clone().spawn(Worker::default());
    let db = db.expect("the name is free");
    assert_eq!(soon(early).await, db);
    assert_eq!(soon(registry.wait_for::<Worker>("db")).await, db, "at once");
    assert_eq!(soon(db.ask(Note(1))).await.expect("it lives"), 1);
    assert!(once(&mut other_type).await.is_pending());
    assert!(once(&mut other_name).await.is_pending());

    stop(&db).await;
    let mut late = Box::pin(registry.wait_for::<Worker>("db"));
    assert!(once(&mut late).await.is_pending(), "it has ended");
    let other = options.spawn(Other).expect("the name is free again");
    assert_eq!(soon(other_type).await, other);
    assert!(once(&mut late).await.is_pending(), "of another type");
    stop(&other).await;
}

#[actors_core::test]
async fn who_waits_does_not_get_one_that_is_stopping() {
    let registry = Registry::new();
    let old = worker();
    registry.register("db", &old).expect("the name is free");
    let gate = held(&old).await;
    old.stop();
    let mut waiting = Box::pin(registry.wait_for::<Worker>("db"));
    assert!(once(&mut waiting).await.is_pending());
    assert_eq!(registry.lookup::<Worker>("db"), None);
    let new = worker();
    let taken = registry.register("db", &new);
    assert_eq!(taken, Err(RegisterError::NameTaken("db".into())));
    assert_eq!(claims(&registry), [("db".into(), old.id().get())]);

    gate.open();
    soon(old.stopped()).await;
    registry.register("db", &new).expect("it is free now");
    assert_eq!(soon(waiting).await, new);
}

#[actors_core::test]
async fn who_waits_goes_on_when_one_is_refused() {
    let registry = Registry::new();
    let waits = registry.clone();
    let waiting = tokio::spawn(async move { waits.wait_for::<Worker>("db").await });
    tokio::task::yield_now().await;
    let gone = worker();
    stop(&gone).await;
    let refused = registry.register("db", &gone);
    assert_eq!(refused, Err(RegisterError::Closed));
    let live = worker();
    registry.register("db", &live).expect("the name is free");
    assert_eq!(soon(waiting).await.expect("it does not panic"), live);
}

#[actors_core::test]
async fn waiting_that_is_dropped_leaves_nothing() {
    let registry = Registry::new();
    for _ in 0..3 {
        let mut waiting = Box::pin(registry.wait_for::<Worker>("db"));
        assert!(once(&mut waiting).await.is_pending());
        assert!(once(&mut waiting).await.is_pending());
    }
    // Nobody is told in vain, and the next one gets it.
    let mut waiting = pin!(registry.wait_for::<Worker>("db"));
    assert!(once(&mut waiting).await.is_pending());
    {
        let mut dropped = Box::pin(registry.wait_for::<Worker>("db"));
        assert!(once(&mut dropped).await.is_pending());
    }
    let db = worker();
    registry.register("db", &db).expect("the name is free");
    assert_eq!(soon(waiting).await, db);
}

#[actors_core::test]
async fn all_names_of_an_actor_are_free_when_it_has_ended() {
    let registry = Registry::new();
    let db = worker();
    for name in ["c", "a", "b"] {
        registry.register(name, &db).expect("the name is free");
        assert_eq!(registry.lookup(name), Some(db.clone()));
    }
    let again = registry.register("a", &db);
    assert_eq!(again, Err(RegisterError::NameTaken("a".into())));
    let id = db.id().get();
    assert_eq!(
        claims(&registry),
        [("a".into(), id), ("b".into(), id), ("c".into(), id)]
    );
    let infos = registry.names();
    assert!(infos[0].type_name.ends_with("kit::Worker"), "{infos:?}");
    db.kill();
    soon(db.stopped()).await;
    assert_eq!(claims(&registry), []);
    assert_eq!(registry.lookup::<Worker>("a"), None);
}

#[actors_core::test]
async fn one_that_has_stopped_gets_no_name() {
    let registry = Registry::new();
    let gone = worker();
    stop(&gone).await;
    let refused = registry.register("db", &gone);
    assert_eq!(refused, Err(RegisterError::Closed));
    let stopping = worker();
    let gate = held(&stopping).await;
    stopping.stop();
    let refused = registry.register("db", &stopping);
    assert_eq!(refused, Err(RegisterError::Closed));
    assert_eq!(claims(&registry), [], "a refusal takes no name");
    let live = worker();
    registry.register("db", &live).expect("the name is free");
    gate.open();
    soon(stopping.stopped()).await;
    assert_eq!(registry.lookup("db"), Some(live));
}

#[actors_core::test]
async fn registries_do_not_share_names() {
    const NAME: &str = "registry-shared";
    let (ours, theirs) = (Registry::new(), Registry::new());
    let at_ours = SpawnOptions::new().registered_in(&ours, NAME);
    let at_ours = at_ours.spawn(Other).expect("the name is free");
    let at_theirs = SpawnOptions::new().registered_in(&theirs, NAME);
    let at_theirs = at_theirs.spawn(Other).expect("the name is free");
    let of_process = SpawnOptions::new().registered(NAME);
    let of_process = of_process.spawn(Other).expect("the name is free");
    assert_eq!(ours.lookup(NAME), Some(at_ours.clone()));
    assert_eq!(
        ours.clone().lookup(NAME),
        Some(at_ours),
        "by another handle"
    );
    assert_eq!(theirs.lookup(NAME), Some(at_theirs));
    assert_eq!(lookup(NAME), Some(of_process.clone()));
    assert_eq!(Registry::process().lookup(NAME), Some(of_process.clone()));
    assert_eq!(soon(wait_for::<Other>(NAME)).await, of_process);
    let mut listed = names().into_iter().filter(|name| name.name == NAME);
    assert_eq!(listed.next().map(|name| name.id), Some(of_process.id()));
    assert_eq!(listed.next(), None);
    let taken = SpawnOptions::new().registered_in(&ours, NAME).spawn(Other);
    assert!(matches!(taken, Err(SpawnError::NameTaken(name)) if name == NAME));
    assert_eq!(ours.names().len(), 1, "a refusal changes nothing");
}

/// Actors take a name in turn, many tasks wait for it: each is answered, by none that had ended
/// before it asked.
#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_in_vain_and_nobody_gets_the_dead() {
    const WAITERS: usize = 8;
    const FINDS: u32 = 200;
    let mut rng = Rng::seeded();
    let registry = Registry::new();
    let newest_ended = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let waiting = Arc::new(AtomicU32::new(WAITERS as u32));
    let waiters: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (registry, ended) = (registry.clone(), Arc::clone(&newest_ended));
            let waiting = Arc::clone(&waiting);
            tokio::spawn(async move {
                for _ in 0..FINDS {
                    let before = ended.load(Ordering::Acquire);
                    let found = registry.wait_for::<Worker>("db").await;
                    assert!(found.id().get() > before, "{found:?} had ended");
                    tokio::task::yield_now().await;
                }
                waiting.fetch_sub(1, Ordering::Release);
            })
        })
        .collect();
    while waiting.load(Ordering::Acquire) > 0 {
        let db = worker();
        registry.register("db", &db).expect("the name is free");
        for _ in 0..rng.below(3) {
            tokio::task::yield_now().await;
        }
        match rng.below(2) {
            0 => db.stop(),
            _ => db.kill(),
        }
        soon(db.stopped()).await;
        newest_ended.store(db.id().get(), Ordering::Release);
        for _ in 0..rng.below(3) {
            tokio::task::yield_now().await;
        }
    }
    for waiter in waiters {
        soon(waiter).await.expect("it has found all");
    }
    assert_eq!(claims(&registry), []);
}
