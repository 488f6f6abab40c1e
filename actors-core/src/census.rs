//! The census: the actors of this process that have not ended, by their ids.
//!
//! Ids are given one after another, so a page has slots for so many of them. The thread that spawns or ends
//! an actor has mostly done so with another one of the same page just before, and remembers that page. What
//! is noted of an actor stays where it is, however many there are.
use crate::cell::Cell;
use crate::id::ActorId;
use crate::mailbox::{Keep, Lock};
use dashmap::DashMap;
use std::array;
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::LocalKey;

/// With the lock and the count they fill a cache line.
const SLOTS: usize = 6;
const LINES: usize = 8;

/// The pages that have an actor that has not ended, or an id that is still to come.
///
/// An actor that outlives all others of its page keeps that: 640 bytes, less than it takes itself.
static PAGES: LazyLock<DashMap<u64, Arc<Page>, BuildHasherDefault<NumberHasher>>> =
    LazyLock::new(DashMap::default);

struct Page {
    number: u64,
    lines: [Line; LINES],
    /// So many of the lines have ids that were not taken out.
    left: AtomicUsize,
}

#[repr(align(64))]
struct Line(Lock<Slots>);

struct Slots {
    actors: [Option<Keep<Cell>>; SLOTS],
    /// So many of the ids were not taken out: of actors that have not ended, and of those to come.
    left: usize,
}

impl Page {
    fn new(number: u64) -> Self {
        let slots = || Slots {
            actors: [const { None }; SLOTS],
            left: SLOTS,
        };
        Self {
            number,
            lines: array::from_fn(|_| Line(Lock::new(slots()))),
            left: AtomicUsize::new(LINES),
        }
    }

    /// Works on what there is of an id.
    fn with<R>(
        &self,
        place: &Place,
        f: impl FnOnce(&mut Option<Keep<Cell>>, &mut usize) -> R,
    ) -> R {
        let mut slots = self.lines[place.line].0.lock();
        let Slots { actors, left } = &mut *slots;
        f(&mut actors[place.slot], left)
    }
}

/// Where an id has its slot.
struct Place {
    page: u64,
    line: usize,
    slot: usize,
}

impl Place {
    /// Ids that follow each other are in different lines: mostly one thread spawns the one actor while another
    /// thread ends the other.
    fn of(id: ActorId) -> Self {
        const IN_PAGE: u64 = (SLOTS * LINES) as u64;
        let before = id.get() - 1;
        let (page, at) = (before / IN_PAGE, (before % IN_PAGE) as usize);
        Self {
            page,
            line: at % LINES,
            slot: at / LINES,
        }
    }
}

type Recent = RefCell<Option<Arc<Page>>>;

thread_local! {
    /// Where this thread last put an actor in, and where it took one out.
    static PUT_IN: Recent = const { RefCell::new(None) };
    static TAKEN_OUT: Recent = const { RefCell::new(None) };
}

/// Calls `f` with the page of this number, which is there or still to be made. `f` does not come back here.
fn with_page<R>(recent: &'static LocalKey<Recent>, number: u64, f: impl Fn(&Page) -> R) -> R {
    let found = recent.try_with(|recent| {
        let mut recent = recent.borrow_mut();
        match &*recent {
            Some(page) if page.number == number => f(page),
            _ => f(recent.insert(page(number))),
        }
    });
    // At its end a thread remembers nothing.
    found.unwrap_or_else(|_| f(&page(number)))
}

#[cold]
fn page(number: u64) -> Arc<Page> {
    if let Some(page) = PAGES.get(&number) {
        return Arc::clone(&page);
    }
    let page = PAGES.entry(number);
    Arc::clone(&page.or_insert_with(|| Arc::new(Page::new(number))))
}

/// Makes the actor findable by its id, until that is taken out.
pub(crate) fn put_in(keep: &Keep<Cell>) {
    let place = Place::of(keep.beside().id);
    with_page(&PUT_IN, place.page, |page| {
        page.with(&place, |actor, _left| *actor = Some(keep.clone()));
    });
}

/// Each id is taken out once, also one of which no actor came.
pub(crate) fn take_out(id: ActorId) {
    let place = Place::of(id);
    let (_actor, is_page_done) = with_page(&TAKEN_OUT, place.page, |page| {
        let (actor, is_line_done) = page.with(&place, |actor, left| {
            *left -= 1;
            (actor.take(), *left == 0)
        });
        let is_page_done = is_line_done && page.left.fetch_sub(1, Ordering::Relaxed) == 1;
        (actor, is_page_done)
    });
    if is_page_done {
        PAGES.remove(&place.page);
    }
}

/// The actor of this id, unless it has ended.
pub(crate) fn find(id: ActorId) -> Option<Keep<Cell>> {
    let place = Place::of(id);
    let page = PAGES.get(&place.page)?;
    page.with(&place, |actor, _left| actor.clone())
}

/// All actors that have not ended. Not one moment's picture: others start and end meanwhile.
pub(crate) fn all() -> Vec<Keep<Cell>> {
    let mut all = Vec::new();
    for_each(|keep| all.push(keep.clone()));
    all
}

/// How many there are.
pub(crate) fn count() -> usize {
    let mut count = 0;
    for_each(|_| count += 1);
    count
}

/// Calls `f` with each actor that has not ended. It must not spawn or end one, nor keep others waiting.
pub(crate) fn for_each(mut f: impl FnMut(&Keep<Cell>)) {
    for page in PAGES.iter() {
        for Line(slots) in &page.lines {
            slots.lock().actors.iter().flatten().for_each(&mut f);
        }
    }
}

/// Spreads the numbers of pages, which are consecutive, over all bits.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a page hashes as one number");
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(all(test, not(actors_loom)))]
mod tests {
    use super::*;
    use crate::cell::Details;
    use crate::mailbox::{Rx, Tx, mailbox};
    use crate::policy::{Capacity, Overflow};
    use std::thread;

    fn actor() -> (Tx<(), Cell>, Rx<(), Cell>) {
        let id = ActorId::next();
        let cell = Cell::new(id, || "actor", Details::default());
        mailbox(id.get(), Capacity::Unbounded, Overflow::Reject, cell)
    }

    fn is_found(id: ActorId) -> bool {
        find(id).is_some_and(|keep| keep.beside().id == id)
    }

    fn come_and_go() {
        const ACTORS: usize = if cfg!(miri) { 60 } else { 1_000 };
        let actors: Vec<_> = (0..ACTORS).map(|_| actor()).collect();
        let id = |(_tx, rx): &(_, Rx<(), Cell>)| rx.keep().beside().id;
        for actor in &actors {
            assert!(!is_found(id(actor)));
            put_in(actor.1.keep());
            assert!(is_found(id(actor)));
        }
        assert!(count() >= ACTORS);
        for (at, actor) in actors.iter().enumerate() {
            if at % 2 == 0 {
                take_out(id(actor));
            }
        }
        for (at, actor) in actors.iter().enumerate() {
            assert_eq!(is_found(id(actor)), at % 2 != 0);
        }
        for actor in actors.iter().skip(1).step_by(2) {
            take_out(id(actor));
        }
        assert!(!actors.iter().map(id).any(is_found));
    }

    /// (`tests/allocations.rs` sees that pages go.)
    #[test]
    fn each_is_found_until_it_is_taken_out() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(come_and_go);
            }
        });
    }
}
