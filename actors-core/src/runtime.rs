//! What the `main` and `test` macros call: a runtime to run one future on.
#[cfg(feature = "test-kit")]
use crate::addr::ended_kept;
#[cfg(feature = "test-kit")]
use crate::census;
#[cfg(feature = "test-kit")]
use crate::witness::Witness;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// The kinds of tokio runtime.
#[derive(Clone, Copy, Debug)]
pub enum Flavor {
    /// One thread, with a `LocalSet`, so that local actors can be spawned.
    CurrentThread,
    /// Work-stealing.
    MultiThread,
}

/// How long the threads of a runtime may take to drop what was left: one that is blocked does not
/// hold up the end of the process.
const AT_END: Duration = Duration::from_secs(1);

/// A runtime for one future, and how it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    flavor: Flavor,
    worker_threads: Option<usize>,
    #[cfg(feature = "test-kit")]
    paused: bool,
    #[cfg(feature = "test-kit")]
    checks: Checks,
}

impl Launch {
    /// As `main` has it.
    pub fn new(flavor: Flavor, worker_threads: Option<usize>) -> Self {
        Self {
            flavor,
            worker_threads,
            #[cfg(feature = "test-kit")]
            paused: false,
            #[cfg(feature = "test-kit")]
            checks: Checks::default(),
        }
    }

    /// As a test has it: with the feature `test-kit`, it fails when an actor has panicked and
    /// nobody has learned of it.
    #[must_use]
    pub fn test(self) -> Self {
        #[cfg(feature = "test-kit")]
        return Self {
            checks: Checks {
                panics: true,
                ..self.checks
            },
            ..self
        };
        #[cfg(not(feature = "test-kit"))]
        self
    }

    /// Runs the future. What it leaves behind is dropped; who blocks its thread for ever is left to
    /// the end of the process.
    ///
    /// # Panics
    ///
    /// When the operating system refuses threads, and for what a test checks.
    pub fn block_on<F: Future>(self, main: F) -> F::Output {
        #[cfg(feature = "test-kit")]
        return self.checks.around(|| self.run(self.checks.inside(main)));
        #[cfg(not(feature = "test-kit"))]
        self.run(main)
    }

    fn run<F: Future>(self, main: F) -> F::Output {
        match self.flavor {
            Flavor::CurrentThread => {
                let mut builder = Builder::new_current_thread();
                #[cfg(feature = "test-kit")]
                builder.start_paused(self.paused);
                let runtime = build(&mut builder);
                let output = LocalSet::new().block_on(&runtime, main);
                runtime.shutdown_timeout(AT_END);
                output
            }
            Flavor::MultiThread => {
                let mut builder = Builder::new_multi_thread();
                if let Some(threads) = self.worker_threads {
                    builder.worker_threads(threads);
                }
                let runtime = build(&mut builder);
                let output = runtime.block_on(main);
                runtime.shutdown_timeout(AT_END);
                output
            }
        }
    }
}

#[cfg(feature = "test-kit")]
impl Launch {
    /// Time stands still until all wait for it.
    #[must_use]
    pub fn paused(self) -> Self {
        Self {
            paused: true,
            ..self
        }
    }

    /// Panics that nobody learns of are all right.
    #[must_use]
    pub fn allow_panics(self) -> Self {
        Self {
            checks: Checks {
                panics: false,
                ..self.checks
            },
            ..self
        }
    }

    /// The test fails when one of its actors does not end with it.
    #[must_use]
    pub fn no_actor_left(self) -> Self {
        Self {
            checks: Checks {
                leftovers: true,
                ..self.checks
            },
            ..self
        }
    }
}

fn build(builder: &mut Builder) -> Runtime {
    #[cfg(feature = "test-kit")]
    {
        let witness = Witness::current();
        builder.on_thread_start(move || {
            Witness::set_current(witness.clone());
        });
    }
    match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the tokio runtime did not start: {error}"),
    }
}

/// What a test is to find wrong beside what it asserts.
#[cfg(feature = "test-kit")]
#[derive(Clone, Copy, Debug, Default)]
struct Checks {
    panics: bool,
    leftovers: bool,
}

/// How long the actors of a test may take to end when it has.
#[cfg(feature = "test-kit")]
const LEFTOVERS_END: Duration = Duration::from_secs(5);

#[cfg(feature = "test-kit")]
impl Checks {
    /// Runs the test, and then looks at what was noted meanwhile.
    fn around<R>(self, test: impl FnOnce() -> R) -> R {
        /// Puts the witness back that was there before, however the test ends.
        struct Before(Option<Witness>);
        impl Drop for Before {
            fn drop(&mut self) {
                Witness::set_current(self.0.take());
            }
        }
        if !self.panics && !self.leftovers {
            return test();
        }
        let witness = Witness::new(self.leftovers);
        let before = Before(Witness::set_current(Some(witness.clone())));
        let output = test();
        drop(before);
        if self.panics {
            let unobserved = witness.unobserved().into_iter();
            let unobserved = unobserved.map(|(actor, panic)| format!("\n  {actor}: {panic}"));
            let unobserved = unobserved.collect::<String>();
            assert!(
                unobserved.is_empty(),
                "an actor panicked, and nobody has learned of it:{unobserved}\nAsk it something, \
                 await its `stopped()`, watch it, supervise it or read `events()`; or write \
                 `#[actors_core::test(allow_panics = true)]`."
            );
        }
        output
    }

    /// The test, and then the wait for its actors.
    async fn inside<R>(self, test: impl Future<Output = R>) -> R {
        let output = test.await;
        if self.leftovers {
            let left = leftovers().await;
            assert!(
                left.is_empty(),
                "actors are left over when the test ends: {}\nStop them, or drop what holds their \
                 addresses.",
                left.join(", ")
            );
        }
        output
    }
}

/// The actors of this test that do not end in time.
#[cfg(feature = "test-kit")]
async fn leftovers() -> Vec<String> {
    let Some(witness) = Witness::current() else {
        return Vec::new();
    };
    let deadline = tokio::time::Instant::now() + LEFTOVERS_END;
    let mut left = Vec::new();
    loop {
        // Those that end may have spawned others.
        let spawned = witness.take_spawned();
        if spawned.is_empty() {
            return left;
        }
        for id in spawned {
            let Some(keep) = census::find(id) else {
                continue;
            };
            let ended = tokio::time::timeout_at(deadline, ended_kept(keep.clone())).await;
            if ended.is_err() {
                left.push(keep.beside().actor_name().to_string());
            }
        }
    }
}
