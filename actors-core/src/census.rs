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
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::LocalKey;

/// With the lock and the count they fill a cache line.
const SLOTS: usize = 6;
const LINES: usize = 8;

/// The pages of which not all ids were taken out.
///
/// An actor that outlives all others of its page keeps the page: 640 bytes, less than it takes itself. A
/// thread keeps the two pages that it remembers.
static PAGES: LazyLock<DashMap<u64, Arc<Page>, BuildHasherDefault<NumberHasher>>> =
    LazyLock::new(|| {
        // Each shard has its first memory at once, and not between that of the first actors.
        const SHARDS: usize = 256;
        let some = 3 * SHARDS;
        DashMap::with_capacity_and_hasher_and_shard_amount(
            some,
            BuildHasherDefault::default(),
            SHARDS,
        )
    });

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

    fn put_in(&self, place: &Place, actor: &Keep<Cell>) {
        self.lines[place.line].0.lock().actors[place.slot] = Some(actor.clone());
    }

    /// Whose the id was, if anybody's, and whether it was the last one of the page.
    fn take_out(&self, place: &Place) -> (Option<Keep<Cell>>, bool) {
        let mut slots = self.lines[place.line].0.lock();
        slots.left -= 1;
        let (actor, is_line_done) = (slots.actors[place.slot].take(), slots.left == 0);
        drop(slots);
        // `Relaxed`: only the number matters. What is in the slots is guarded by their locks.
        let is_done = is_line_done && self.left.fetch_sub(1, Ordering::Relaxed) == 1;
        (actor, is_done)
    }

    fn find(&self, place: &Place) -> Option<Keep<Cell>> {
        self.lines[place.line].0.lock().actors[place.slot].clone()
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

/// Calls `f`, which does not come back here, with the page of this number. Only for an id that was not taken
/// out: a page that has gone would be made again, and stay.
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

#[inline(never)]
fn page(number: u64) -> Arc<Page> {
    if let Some(page) = PAGES.get(&number) {
        return Arc::clone(&page);
    }
    let page = PAGES.entry(number);
    Arc::clone(&page.or_insert_with(|| Arc::new(Page::new(number))))
}

/// An id that was given to an actor which is still to be put in. When dropped, no actor comes.
pub(crate) struct Newcomer(ActorId);

impl Newcomer {
    pub(crate) fn new() -> Self {
        Self(ActorId::next())
    }

    pub(crate) fn id(&self) -> ActorId {
        self.0
    }

    /// Makes the actor, which has this id, findable by it until it is [taken out](take_out).
    pub(crate) fn put_in(self, actor: &Keep<Cell>) {
        let place = Place::of(self.0);
        mem::forget(self);
        with_page(&PUT_IN, place.page, |page| page.put_in(&place, actor));
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        take_out(self.0);
    }
}

/// Each id is taken out once.
pub(crate) fn take_out(id: ActorId) {
    let place = Place::of(id);
    let (_actor, is_page_done) = with_page(&TAKEN_OUT, place.page, |page| page.take_out(&place));
    if is_page_done {
        PAGES.remove(&place.page);
    }
}

/// The actor of this id, unless it has ended.
pub(crate) fn find(id: ActorId) -> Option<Keep<Cell>> {
    let place = Place::of(id);
    PAGES.get(&place.page)?.find(&place)
}

/// All actors that have not ended. Not one moment's picture: others start and end meanwhile.
pub(crate) fn all() -> impl Iterator<Item = Keep<Cell>> {
    let actors = |Line(slots): &Line| slots.lock().actors.clone();
    let of_page = move |page: Arc<Page>| page.lines.each_ref().map(actors);
    pages().into_iter().flat_map(of_page).flatten().flatten()
}

/// How many there are.
pub(crate) fn count() -> usize {
    let actors = |Line(slots): &Line| slots.lock().actors.iter().flatten().count();
    let of_page = |page: Arc<Page>| page.lines.iter().map(actors).sum::<usize>();
    pages().into_iter().map(of_page).sum()
}

/// Not in the locks of the map, for which others would wait.
fn pages() -> Vec<Arc<Page>> {
    PAGES.iter().map(|page| Arc::clone(&page)).collect()
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
    use crate::mailbox::{Rx, mailbox};
    use crate::policy::{Capacity, Overflow};
    use std::sync::mpsc;
    use std::thread;

    const ACTORS: usize = if cfg!(miri) { 6 } else { 2_000 };
    /// For Miri, one of them takes half a minute.
    const LOOKS: usize = if cfg!(miri) { 0 } else { 100 };

    #[test]
    fn a_line_is_a_cache_line() {
        const { assert!(size_of::<Line>() == 64) };
    }

    /// Takes its id out when dropped.
    struct Dweller(Rx<(), Cell>);

    impl Dweller {
        fn new() -> Self {
            let newcomer = Newcomer::new();
            let id = newcomer.id();
            let cell = Cell::new(id, || "dweller", None);
            let (_tx, rx) = mailbox(id.get(), Capacity::Unbounded, Overflow::Reject, cell);
            assert!(find(id).is_none());
            newcomer.put_in(rx.keep());
            let dweller = Self(rx);
            assert!(dweller.is_found());
            dweller
        }

        fn id(&self) -> ActorId {
            self.0.keep().beside().id
        }

        fn is_found(&self) -> bool {
            find(self.id()).is_some_and(|keep| keep.beside().id == self.id())
        }
    }

    impl Drop for Dweller {
        fn drop(&mut self) {
            take_out(self.id());
        }
    }

    /// Each thread takes out what the one before it has put in, while somebody looks at all.
    #[test]
    fn each_is_found_until_it_is_taken_out_by_any_thread() {
        const THREADS: usize = 3;
        let (senders, mut receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::channel()).unzip();
        receivers.rotate_left(1);
        thread::scope(|scope| {
            for (next, before) in senders.into_iter().zip(receivers) {
                scope.spawn(move || {
                    for _ in 0..ACTORS {
                        next.send(Dweller::new()).expect("it takes as many");
                        drop(before.recv().expect("it sends as many"));
                    }
                });
            }
            for _ in 0..LOOKS {
                let mut ids: Vec<_> = all().map(|keep| keep.beside().id).collect();
                let found = ids.len();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len(), found);
            }
        });
    }

    #[test]
    fn one_thread_takes_out_the_last_id_of_a_page() {
        const THREADS: u64 = 4;
        let page = Page::new(0);
        let last = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (page, last) = (&page, &last);
                scope.spawn(move || {
                    let ids = (1..=(SLOTS * LINES) as u64).filter(|id| id % THREADS == thread);
                    for id in ids.filter_map(ActorId::from_number) {
                        let (_nobody, is_done) = page.take_out(&Place::of(id));
                        last.fetch_add(usize::from(is_done), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(last.into_inner(), 1);
    }
}
