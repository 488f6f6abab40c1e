//! A timer for limits that move: it is not set anew whenever one does.
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Nothing is waited for until then.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// One that is not set.
pub(crate) fn alarm() -> Sleep {
    tokio::time::sleep(FAR)
}

/// Ready when it is so late.
pub(crate) fn poll_until(
    mut alarm: Pin<&mut Sleep>,
    until: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        // When it would ring too early, it is set anew once it has.
        if until < alarm.deadline() || alarm.is_elapsed() {
            alarm.as_mut().reset(until);
        }
        ready!(alarm.as_mut().poll(cx));
        if until <= Instant::now() {
            return Poll::Ready(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_limit_that_was_set() {
        let began = Instant::now();
        let mut alarm = pin!(alarm());
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut until = |seconds| {
            let mut context = Context::from_waker(std::task::Waker::noop());
            poll_until(alarm.as_mut(), at(seconds), &mut context)
        };
        assert!(until(5).is_pending());
        assert!(until(9).is_pending());
        assert!(until(3).is_pending());
        poll_fn(|cx| poll_until(alarm.as_mut(), at(7), cx)).await;
        assert_eq!(Instant::now(), at(7));
        poll_fn(|cx| poll_until(alarm.as_mut(), at(8), cx)).await;
        assert_eq!(Instant::now(), at(8));
        poll_fn(|cx| poll_until(alarm.as_mut(), at(2), cx)).await;
        assert_eq!(Instant::now(), at(8));
    }
}
