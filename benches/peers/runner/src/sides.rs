//! Who is compared.

/// A framework, or one way to run it.
pub(crate) struct Side {
    /// What the tables and the command line call it.
    pub(crate) name: &'static str,
    /// Its crate here.
    pub(crate) package: &'static str,
    /// Its crate elsewhere, whose version is told.
    pub(crate) krate: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) kind: Kind,
    pub(crate) color: &'static str,
    /// Whether it is in the curves of how cost grows, unless told otherwise.
    pub(crate) grows: bool,
}

/// What a side is compared as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// Runs on all cores.
    ManyThreads,
    /// Runs on one thread, and pays for no synchronization.
    OneThread,
    Reference,
    /// No side, but a part that all have to do: the work, or tokio's.
    Part,
}

pub(crate) static SIDES: &[Side] = &[
    side(
        "ours",
        "peers-ours",
        "actors-core",
        "",
        Kind::Ours,
        "#1a1a1a",
    )
    .that_grows(),
    side(
        "ours, one thread",
        "peers-ours",
        "actors-core",
        "one thread",
        Kind::Ours,
        "#8c8c8c",
    ),
    side(
        "ours, inline asks",
        "peers-ours",
        "actors-core",
        "inline asks",
        Kind::Ours,
        "#b9b9b9",
    ),
    side(
        "kameo",
        "peers-kameo",
        "kameo",
        "",
        Kind::ManyThreads,
        "#d1495b",
    )
    .that_grows(),
    side(
        "ractor",
        "peers-ractor",
        "ractor",
        "",
        Kind::ManyThreads,
        "#edae49",
    )
    .that_grows(),
    side(
        "actix, one per core",
        "peers-actix",
        "actix",
        "one per core",
        Kind::ManyThreads,
        "#66a182",
    ),
    side(
        "actix, one arbiter",
        "peers-actix",
        "actix",
        "one arbiter",
        Kind::OneThread,
        "#2e6f57",
    )
    .that_grows(),
    side(
        "xtra",
        "peers-xtra",
        "xtra",
        "",
        Kind::ManyThreads,
        "#00798c",
    ),
    side(
        "coerce",
        "peers-coerce",
        "coerce",
        "",
        Kind::ManyThreads,
        "#8d6cab",
    ),
    side(
        "tokio task",
        "peers-reference",
        "tokio",
        "",
        Kind::Reference,
        "#3d6fd1",
    )
    .that_grows(),
    side(
        "plain calls",
        "peers-calls",
        "tokio",
        "",
        Kind::Part,
        "#000000",
    ),
    side(
        "bare tasks",
        "peers-tasks",
        "tokio",
        "",
        Kind::Part,
        "#000000",
    ),
];

const fn side(
    name: &'static str,
    package: &'static str,
    krate: &'static str,
    variant: &'static str,
    kind: Kind,
    color: &'static str,
) -> Side {
    Side {
        name,
        package,
        krate,
        variant,
        kind,
        color,
        grows: false,
    }
}

impl Side {
    const fn that_grows(mut self) -> Self {
        self.grows = true;
        self
    }
}

/// The one that the others are compared with.
pub(crate) fn ours() -> &'static Side {
    &SIDES[0]
}

/// The work without actors.
pub(crate) fn work() -> &'static Side {
    named("plain calls")
}

/// tokio's part without actors.
pub(crate) fn bare_tasks() -> &'static Side {
    named("bare tasks")
}

fn named(name: &str) -> &'static Side {
    let side = SIDES.iter().find(|side| side.name == name);
    side.expect("it is one of them")
}

/// Ours, as it is compared with what runs on one thread.
pub(crate) fn ours_on_one_thread() -> &'static Side {
    &SIDES[1]
}
