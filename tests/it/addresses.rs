//! P14: an address tells the truth about its actor, and never reaches another one.
use crate::gate::Gate;
use actors_core::{
    Actor, Addr, AskError, Context, Recipient, SpawnError, SpawnOptions, StopReason, TellError,
    handlers, lookup,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Actor, Default)]
struct Echo;

#[handlers]
impl Echo {
    fn repeat(&mut self, n: u64) -> u64 {
        n
    }

    async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    fn panic(&mut self) {
        panic!("as told");
    }

    fn fail(&mut self, ctx: &mut Context<Self>) {
        ctx.fail("as told");
    }

    fn stop_yourself(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[derive(Actor)]
struct Other;

fn registered(name: &'static str) -> Result<Addr<Echo>, SpawnError> {
    SpawnOptions::new().registered(name).spawn(Echo)
}

/// How an actor is brought to its end.
type End = fn(&Addr<Echo>);
/// Whether that is the reason it gives.
type Reason = fn(&StopReason) -> bool;

#[actors_core::test]
async fn stopped_gives_the_reason_to_all_who_wait() {
    let cases: [(End, Reason); 6] = [
        (|addr| addr.stop(), StopReason::is_normal),
        (|addr| addr.stop_now(), StopReason::is_normal),
        (
            |addr| addr.tell(StopYourself).expect("there is room"),
            StopReason::is_normal,
        ),
        (
            |addr| addr.kill(),
            |reason| matches!(reason, StopReason::Killed),
        ),
        (
            |addr| addr.tell(Fail).expect("there is room"),
            |reason| matches!(reason, StopReason::Failed(error) if error.to_string() == "as told"),
        ),
        (
            |addr| addr.tell(Panic).expect("there is room"),
            |reason| matches!(reason, StopReason::Panicked(text) if &**text == "as told"),
        ),
    ];
    for (n, (end, is_right)) in cases.into_iter().enumerate() {
        let addr = Echo.spawn();
        addr.repeat(1).await.expect("it lives");
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                tokio::spawn({
                    let addr = addr.clone();
                    async move { addr.stopped().await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(addr.is_alive());
        end(&addr);
        for waiter in waiting {
            let reason = waiter.await.expect("it does not panic");
            assert!(is_right(&reason), "case {n}: {reason:?}");
        }
        let reason = addr.stopped().await;
        assert!(is_right(&reason), "case {n}, asked late: {reason:?}");
        let recipient: Recipient<Repeat> = addr.recipient();
        assert!(
            is_right(&recipient.stopped().await),
            "case {n}, by a recipient"
        );
        assert!(!addr.is_alive() && !recipient.is_alive());
    }
}

#[actors_core::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_is_free_when_stopped_returns() {
    const NAME: &str = "addresses-again";
    // The newest actor whose `stopped` has returned, and whether the test is over.
    let ended = Arc::new((AtomicU64::new(0), AtomicBool::new(false)));
    let seeking = tokio::spawn({
        let ended = Arc::clone(&ended);
        async move {
            let mut found = 0_u64;
            while !ended.1.load(Ordering::Relaxed) {
                let before = ended.0.load(Ordering::Acquire);
                if let Some(addr) = lookup::<Echo>(NAME) {
                    assert!(addr.id().get() > before, "{addr:?} had ended");
                    found += 1;
                }
                tokio::task::yield_now().await;
            }
            found
        }
    });
    let mut first: Option<Addr<Echo>> = None;
    for n in 0..1000 {
        let addr = registered(NAME).unwrap_or_else(|error| panic!("turn {n}: {error}"));
        assert_eq!(lookup(NAME), Some(addr.clone()));
        assert!(matches!(registered(NAME), Err(SpawnError::NameTaken(name)) if name == NAME));
        assert_eq!(addr.repeat(n).await.expect("it lives"), n);
        if n % 3 == 0 {
            addr.kill();
        } else {
            addr.stop();
        }
        addr.stopped().await;
        ended.0.store(addr.id().get(), Ordering::Release);
        assert_eq!(lookup::<Echo>(NAME), None, "turn {n}");
        if let Some(first) = &first {
            assert_ne!(*first, addr);
            assert!(matches!(first.repeat(0).await, Err(AskError::Closed)));
        }
        first.get_or_insert(addr);
    }
    ended.1.store(true, Ordering::Relaxed);
    seeking.await.expect("it found no dead actor");
}

#[actors_core::test]
async fn name_belongs_to_one_live_actor() {
    const NAME: &str = "addresses-one";
    let addr = registered(NAME).expect("the name is free");
    let error = registered(NAME).expect_err("the name is taken");
    assert!(matches!(&error, SpawnError::NameTaken(name) if name == NAME));
    let error = SpawnOptions::new()
        .registered(NAME)
        .spawn(Other)
        .expect_err("whatever the type");
    assert!(matches!(&error, SpawnError::NameTaken(name) if name == NAME));
    let only_named = SpawnOptions::new().name(NAME).spawn(Other);
    only_named
        .expect("a name for people may be used twice")
        .stop();
    assert_eq!(lookup::<Other>(NAME), None, "of another type");
    assert_eq!(lookup::<Echo>(NAME), Some(addr.clone()));
    assert_eq!(lookup::<Echo>("addresses-nobody"), None);

    // While it stops it is not found, and its name is not free.
    let gate = Gate::default();
    addr.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    addr.stop();
    assert_eq!(lookup::<Echo>(NAME), None);
    registered(NAME).expect_err("it has not ended");
    gate.open();
    addr.stopped().await;
    registered(NAME).expect("the name is free again").stop();
}

#[actors_core::test]
async fn old_address_does_not_reach_the_new_actor() {
    const NAME: &str = "addresses-old";
    let old = registered(NAME).expect("the name is free");
    let (weak, recipient) = (old.downgrade(), old.recipient::<Repeat, _>());
    old.stop();
    old.stopped().await;
    let new = registered(NAME).expect("the name is free again");
    assert_ne!(old, new);
    assert_ne!(old.id(), new.id());
    assert!(matches!(old.repeat(1).await, Err(AskError::Closed)));
    assert!(matches!(old.tell(Repeat { n: 2 }), Err(TellError::Closed(m)) if m.n == 2));
    assert_eq!(
        old.send(Repeat { n: 3 })
            .await
            .expect_err("closed")
            .into_message()
            .n,
        3
    );
    assert!(matches!(
        recipient.ask(Repeat { n: 4 }).await,
        Err(AskError::Closed)
    ));
    assert!(weak.upgrade().is_none());
    old.kill();
    assert_eq!(new.repeat(5).await.expect("it is another one"), 5);
    assert_eq!(new.mailbox_stats().accepted, 1);
}

#[actors_core::test]
async fn addresses_are_equal_by_actor() {
    let (one, two) = (Echo.spawn(), Echo.spawn());
    let again = one.downgrade().upgrade().expect("it lives");
    assert_eq!(one, one.clone());
    assert_eq!(one, again);
    assert_ne!(one, two);
    assert_eq!(one.downgrade().id(), one.id());
    assert_eq!(one.downgrade().clone().id(), one.id());
    let addrs = HashSet::from([one.clone(), two.clone(), again]);
    assert_eq!(addrs.len(), 2);

    let recipients: [Recipient<Repeat>; 3] = [one.recipient(), one.recipient(), two.recipient()];
    assert_eq!(recipients[0], recipients[1]);
    assert_eq!(recipients[0], recipients[0].clone());
    assert_ne!(recipients[0], recipients[2]);
    assert_eq!(recipients[2].id(), two.id());
    assert_eq!(recipients.into_iter().collect::<HashSet<_>>().len(), 2);

    assert_eq!(one.name(), "Echo");
    assert_eq!(format!("{one:?}"), format!("Addr(Echo{})", one.id()));
    assert!(one.id() < two.id(), "ids grow");
}

#[actors_core::test]
async fn weak_address_of_a_stopping_actor_is_none() {
    let addr = Echo.spawn();
    let gate = Gate::default();
    addr.tell(Hold { gate: gate.clone() })
        .expect("there is room");
    gate.reached().await;
    let weak = addr.downgrade();
    assert_eq!(weak.upgrade(), Some(addr.clone()));
    addr.stop();
    assert!(weak.upgrade().is_none(), "it accepts nothing any more");
    assert!(!addr.is_alive());
    gate.open();
    assert!(addr.stopped().await.is_normal());
}
