//! The table: a line for each row and condition, as soon as it is measured.
use super::measure::{Cores, Pairs, can_pin};
use super::options::Plan;
use super::row::{Row, Target};

pub(crate) fn print(subject: &str, plan: &Plan) -> Result<(), String> {
    print_head(subject, plan);
    let pinned = plan.pinned && can_pin();
    for row in &plan.rows {
        for (cores, wanted) in [(Cores::Free, plan.free), (Cores::One, pinned)] {
            if wanted {
                let pairs = Pairs::measure(row, cores, plan.reps, plan.smoke)?;
                print_line(row, cores, &pairs);
            }
        }
    }
    if plan.pinned && !pinned {
        println!("\nNot measured on one core: there is no `taskset` that works here.");
    }
    Ok(())
}

fn print_head(subject: &str, plan: &Plan) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{subject}, 2 workers, {cores} cores; medians of {} pairs.\n\
         A ratio below 1 means that ours costs less. The spread is that of the pairs' ratios.\n",
        plan.reps
    );
    println!(
        "{:<38} {:<9} {:<5} {:>5}  {:<12} {:<11} {:<4} {:>10} {:>10}",
        "row", "mailbox", "cores", "ratio", "spread", "target", "", "ours", "reference"
    );
}

fn print_line(row: &Row, cores: Cores, pairs: &Pairs) {
    let (least, greatest) = pairs.spread();
    let (target, reached) = match (row.target, cores) {
        (Target::Ratio { free, .. }, Cores::Free) => {
            (format!("<= {free:.2}"), Some(pairs.ratio() <= free))
        }
        (Target::Ratio { pinned, .. }, Cores::One) => {
            (format!("<= {pinned:.2}"), Some(pairs.ratio() <= pinned))
        }
        (Target::AtMost(most), _) => {
            let target = format!("<= {most} {}", row.unit);
            (target, Some(pairs.ours() <= most))
        }
        (Target::None, _) => (String::new(), None),
    };
    println!(
        "{:<38} {:<9} {:<5} {:>5.2}  {:<12} {:<11} {:<4} {:>10} {:>10}",
        row.title,
        row.mailbox,
        match cores {
            Cores::Free => "free",
            Cores::One => "one",
        },
        pairs.ratio(),
        format!("{least:.2}..{greatest:.2}"),
        target,
        match reached {
            Some(true) => "ok",
            Some(false) => "MISS",
            None => "",
        },
        amount(pairs.ours(), row.unit),
        amount(pairs.reference(), row.unit),
    );
}

fn amount(value: f64, unit: &str) -> String {
    if value < 100.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}
