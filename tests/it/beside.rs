//! What runs beside an actor keeps out of its way: streams that have nothing, callbacks.
use actors_core::{Actor, Ask, Context, SpawnOptions, handlers};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context as Cx, Poll};
use tokio::sync::oneshot;

/// Says when it is first polled, and has nothing ever after.
struct Silent(Option<oneshot::Sender<()>>);

impl Stream for Silent {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Option<()>> {
        if let Some(polled) = self.0.take() {
            polled.send(()).expect("the test waits");
        }
        Poll::Pending
    }
}

#[derive(Actor)]
struct Listener;

#[handlers]
impl Listener {
    fn listen(&mut self, stream: Silent, ctx: &mut Context<Self>) {
        ctx.attach(stream, |()| Item);
    }

    fn item(&mut self) {}

    fn answer(&mut self) -> u32 {
        42
    }
}

#[actors_core::test]
async fn a_stream_that_has_nothing_takes_no_room() {
    let listener = SpawnOptions::new()
        .capacity(1)
        .spawn(Listener)
        .expect("it starts");
    let (polled, is_polled) = oneshot::channel();
    listener
        .listen(Silent(Some(polled)))
        .await
        .expect("it listens");
    is_polled.await.expect("the stream is attached");
    let reply = listener.answer().post().expect("its one place is free");
    assert_eq!(reply.await.expect("it lives"), 42);
}

#[test]
fn a_callback_can_wait_for_a_future_that_wakes_itself() {
    let mut left = 3;
    let ask = Ask::from_future(poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(Ok(42));
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let (done, is_done) = mpsc::channel();
    ask.post()
        .expect("there is no mailbox")
        .on_ready(move |result| {
            done.send(result.expect("it is answered"))
                .expect("the test waits");
        });
    assert_eq!(is_done.recv().expect("it was called"), 42);
}

#[test]
fn a_panic_of_what_a_callback_waits_for_is_caught() {
    let ask: Ask<'static, u32> = Ask::from_future(async { panic!("bang") });
    let (done, is_done) = mpsc::channel();
    ask.post()
        .expect("there is no mailbox")
        .on_ready(move |result| {
            let _ = done.send(result);
        });
    is_done
        .recv()
        .expect_err("there is no result, and the callback is gone");
}
