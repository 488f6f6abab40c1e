//! A subscriber that is too slow is told how many events it has missed. In a process of its own,
//! since all subscribers of a process would miss some.
use actors_core::{Actor, Event, SpawnOptions, events};

#[derive(Actor)]
struct Brief;

#[actors_core::test]
async fn slow_subscriber_is_told_what_it_has_missed() {
    const LIVES: u64 = 2_000;
    let mut slow = events();
    for _ in 0..LIVES {
        let brief = SpawnOptions::new().start(Brief).await.expect("it starts");
        brief.stop();
        brief.stopped().await;
    }
    let Event::Missed(missed) = slow.recv().await else {
        panic!("the first thing it learns is that it missed something");
    };
    let mut seen = 0;
    while let Some(event) = slow.try_recv() {
        assert!(!matches!(event, Event::Missed(_)), "told once");
        seen += 1;
    }
    assert!(seen >= 1024, "{seen} were kept");
    // Each life has a beginning and an end.
    assert_eq!(missed + seen, 2 * LIVES);
    let brief = Brief.spawn();
    brief.stop();
    assert!(matches!(slow.recv().await, Event::Started { actor, .. } if actor.id() == brief.id()));
}
