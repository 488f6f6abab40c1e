//! `git log --oneline | grep WORD | wc -l`, built of three process actors; compared with the shell's.
//!
//! `cargo run --example subprocess_pipeline [WORD]`, inside of a git repository.
use actors_core::{Actor, Addr, Context, Error, handlers};
use actors_net::{CloseInput, Output, Process, Write};
use std::process::Command;

/// What stands between two processes: the lines of one are the input of the next.
#[derive(Actor)]
struct Link {
    next: Addr<Process>,
}

#[handlers]
impl Link {
    async fn pass(&mut self, line: Output<String>, ctx: &mut Context<Self>) {
        match line {
            // Waits while the next one is busy; then the one before is not read either.
            Output::Item(line) => {
                if self.next.send(Write::from(line + "\n")).await.is_err() {
                    ctx.stop();
                }
            }
            _ => {
                // An error: it has ended already.
                let _ = self.next.send(CloseInput).await;
                ctx.stop();
            }
        }
    }
}

/// Keeps the last line.
#[derive(Actor, Default)]
struct Last {
    line: String,
}

#[handlers]
impl Last {
    fn got(&mut self, line: Output<String>) {
        if let Output::Item(line) = line {
            self.line = line;
        }
    }

    fn line(&mut self) -> String {
        self.line.trim().to_owned()
    }
}

#[actors_core::main]
async fn main() -> Result<(), Error> {
    let word = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "mailbox".to_owned());

    // From the last one to the first.
    let last = Last::default().spawn();
    let count = Process::new("wc").arg("-l").input();
    let count = count
        .stdout_lines(last.recipient(), |line| Got { line })
        .spawn();
    let to_count = Link {
        next: count.clone(),
    }
    .spawn();
    let grep = Process::new("grep").arg("-e").arg(&word).accept(1).input();
    let grep = grep
        .stdout_lines(to_count.recipient(), |line| Pass { line })
        .spawn();
    let to_grep = Link { next: grep.clone() }.spawn();
    let log = Process::new("git").args(["log", "--oneline"]);
    let log = log
        .stdout_lines(to_grep.recipient(), |line| Pass { line })
        .spawn();

    for process in [log, grep, count] {
        let reason = process.stopped().await;
        if !reason.is_normal() {
            return Err(format!("{}: {reason}", process.name()).into());
        }
    }
    let ours = last.line().await?;

    let shell = Command::new("sh")
        .args(["-c", "git log --oneline | grep -e \"$0\" | wc -l", &word])
        .output()?;
    let shells = String::from_utf8(shell.stdout)?.trim().to_owned();
    println!("commits that speak of `{word}`: {ours}, and by the shell {shells}");
    if ours != shells {
        return Err("they differ".into());
    }
    Ok(())
}
