//! A row of the table: what is measured, with which target.

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) mailbox: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    /// How many operations one point does.
    pub(crate) count: u64,
    pub(crate) ours: Point,
    pub(crate) reference: Point,
}

/// What is measured for one side: does so many operations and returns what one cost.
pub(crate) type Point = fn(u64) -> f64;

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Ours as a share of the reference, with all cores free and on one core.
    Ratio { free: f64, pinned: f64 },
    /// Ours by itself, in the row's unit.
    #[allow(dead_code, reason = "not every benchmark has such a row")]
    AtMost(f64),
    /// To compare other rows with.
    #[allow(dead_code, reason = "not every benchmark has such a row")]
    None,
}

/// Which side of a row.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Ours,
    Reference,
}

impl Row {
    /// Measures one side.
    pub(crate) fn point(&self, side: Who, smoke: bool) -> f64 {
        let count = if smoke { self.count / 100 } else { self.count };
        match side {
            Who::Ours => (self.ours)(count),
            Who::Reference => (self.reference)(count),
        }
    }
}

impl Who {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "ours" => Ok(Self::Ours),
            "reference" => Ok(Self::Reference),
            _ => Err(format!("there is ours and reference, but no {name}")),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Reference => "reference",
        }
    }
}
