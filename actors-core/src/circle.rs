//! Circles of actors that wait for each other.
use crate::census;
use crate::error::{ActorName, DeadlockPath};
use crate::id::ActorId;
use crate::mailbox::Wait;
use std::collections::HashSet;
use std::iter;

/// One actor on the way along who waits for whom.
struct Step {
    actor: u64,
    /// Its waits that were not followed yet.
    waits: Vec<Wait>,
    /// The wait that is being followed.
    followed: Option<Wait>,
}

impl Step {
    fn new(actor: u64) -> Self {
        Self {
            actor,
            waits: waits_of(actor),
            followed: None,
        }
    }

    /// Whether the wait that was followed is still the same.
    fn still_holds(&self) -> bool {
        let Some(followed) = self.followed else {
            return false;
        };
        let no_room = || {
            let target = ActorId::from_number(followed.target);
            let ticket = followed.ticket;
            let target = target.and_then(census::find);
            target.is_some_and(|target| !target.queue().has_room_for(ticket))
        };
        waits_of(self.actor).contains(&followed) && (followed.ticket == 0 || no_room())
    }
}

fn waits_of(actor: u64) -> Vec<Wait> {
    let actor = ActorId::from_number(actor).and_then(census::find);
    let waits = actor
        .as_ref()
        .and_then(|keep| keep.queue().turn().waits_if_any());
    waits.map(|waits| waits.all()).unwrap_or_default()
}

/// The circle that closes when the actor `me` waits for `other`, if there is one.
///
/// Follows who waits for whom, depth first. Others go on meanwhile, so a circle that was found is
/// walked once more: where each wait was seen twice, all of them held at the moment between.
pub(crate) fn find(me: u64, other: u64) -> Option<DeadlockPath> {
    if other == me {
        return Some(path_of([me]));
    }
    let mut way = vec![Step::new(other)];
    let mut seen = HashSet::new();
    while let Some(step) = way.last_mut() {
        step.followed = step.waits.pop();
        let Some(Wait { target: next, .. }) = step.followed else {
            way.pop();
            continue;
        };
        if next == me {
            if way.iter().all(Step::still_holds) {
                return Some(path_of(
                    iter::once(me).chain(way.iter().map(|step| step.actor)),
                ));
            }
        } else if next != 0 && next != other && seen.insert(next) {
            way.push(Step::new(next));
        }
    }
    None
}

fn path_of(actors: impl IntoIterator<Item = u64>) -> DeadlockPath {
    DeadlockPath::new(actors.into_iter().filter_map(name).collect())
}

fn name(actor: u64) -> Option<ActorName> {
    let keep = census::find(ActorId::from_number(actor)?)?;
    Some(keep.beside().actor_name())
}
