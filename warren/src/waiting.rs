//! Waiting until something has come about, with a bar for whoever watches.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{sleep, timeout};

use crate::failure::{Exit, Failure};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether to wait, and how long.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Return only once it has come about
    #[arg(long)]
    pub wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    pub wait_for: u64,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many are done …
    pub done: usize,
    /// … of so many.
    pub of: usize,
}

/// Looks again and again until all is done. A registrar that is away for a moment is waited for too.
///
/// # Errors
/// What looking fails with for good, or that the time is up.
pub async fn until<L>(args: &WaitArgs, what: &str, look: impl Fn() -> L) -> Result<(), Failure>
where
    L: Future<Output = Result<Progress, Failure>>,
{
    let bar = bar(what);
    let limit = Duration::from_secs(args.wait_for);
    let outcome = timeout(limit, watch(&bar, look)).await;
    bar.finish_and_clear();
    outcome.unwrap_or_else(|_| {
        let what = format!("{what}: not done after {} s", args.wait_for);
        Err(Failure::new(Exit::TimedOut, what)
            .fix("it goes on by itself; look again later, or wait longer with --wait-for"))
    })
}

async fn watch<L>(bar: &ProgressBar, look: impl Fn() -> L) -> Result<(), Failure>
where
    L: Future<Output = Result<Progress, Failure>>,
{
    loop {
        match look().await {
            Ok(Progress { done, of }) => {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
                if done >= of {
                    return Ok(());
                }
            }
            Err(failure) if matches!(failure.exit, Exit::Unavailable | Exit::TimedOut) => {}
            Err(failure) => return Err(failure),
        }
        sleep(PAUSE).await;
    }
}

/// A bar on a terminal, and nothing elsewhere.
pub fn bar(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let template = "{msg} {bar:30} {pos}/{len} after {elapsed}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::cell::Cell;

    fn run(seconds: u64, looks: &[Result<(usize, usize), Exit>]) -> (Result<(), Exit>, usize) {
        let args = WaitArgs { wait: true, wait_for: seconds };
        let count = Cell::new(0);
        let look = || {
            let index = count.get();
            count.set(index + 1);
            let seen = looks.get(index).or(looks.last()).copied().unwrap();
            async move {
                seen.map(|(done, of)| Progress { done, of }).map_err(|exit| Failure::new(exit, "x"))
            }
        };
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        let outcome = runtime.block_on(until(&args, "waiting", look));
        (outcome.map_err(|failure| failure.exit), count.get())
    }

    #[test]
    fn it_waits_over_a_registrar_that_is_away_and_ends_when_all_is_done() {
        let looks = [Ok((0, 2)), Err(Exit::Unavailable), Ok((2, 2))];
        assert_eq!(run(60, &looks), (Ok(()), 3));
    }

    #[test]
    fn what_cannot_come_about_is_not_waited_for() {
        assert_eq!(run(60, &[Ok((0, 1)), Err(Exit::NotFound)]), (Err(Exit::NotFound), 2));
        assert_eq!(run(0, &[Ok((0, 1))]).0, Err(Exit::TimedOut));
    }
}
