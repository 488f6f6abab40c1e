//! Requests and their answers: the same load for our client and for one by hand.
use crate::reference;
use crate::rows::Who;
use actors_net::{Dial, Limits};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio_util::codec::LinesCodec;

/// Somebody who asks.
#[derive(Clone)]
pub(crate) enum Client {
    Ours(actors_net::Client<String, String>),
    Tokio(reference::Client),
}

impl Client {
    pub(crate) async fn connect(who: Who, server: SocketAddr) -> Result<Self, String> {
        Ok(match who {
            Who::Ours => {
                let limits = Limits::new().first_frame_timeout(None).idle_timeout(None);
                let dial = Dial::new(server.to_string())
                    .limits(limits)
                    .keep_while_down();
                Self::Ours(actors_net::Client::new(dial, LinesCodec::new))
            }
            Who::Tokio => {
                let client = reference::Client::connect(server).await;
                Self::Tokio(client.map_err(|error| error.to_string())?)
            }
        })
    }

    async fn ask(&self, line: String) -> Result<String, String> {
        match self {
            Self::Ours(client) => client.ask(line).await.map_err(|error| error.to_string()),
            Self::Tokio(client) => client.ask(line).await.ok_or_else(|| "no answer".into()),
        }
    }
}

fn line(number: usize) -> String {
    format!("{number:0>99}")
}

async fn ask(client: &Client, number: usize) -> Result<(), String> {
    let line = line(number);
    let answer = client.ask(line.clone()).await?;
    assert_eq!(answer, line, "the answer is of this request");
    Ok(())
}

/// Asks so many times, so many at a time. Gives thousands per second.
pub(crate) async fn at_once(client: Client, tasks: usize, requests: usize) -> Result<f64, String> {
    let mut began = Instant::now();
    let each = (requests / tasks).max(1);
    // Warm, and known to work.
    for each in [each / 10, each] {
        began = Instant::now();
        let mut asking = JoinSet::new();
        for task in 0..tasks {
            let client = client.clone();
            asking.spawn(async move {
                for n in 0..each {
                    ask(&client, task * each + n).await?;
                }
                Ok::<_, String>(())
            });
        }
        while let Some(done) = asking.join_next().await {
            done.map_err(|error| error.to_string())??;
        }
    }
    Ok((each * tasks) as f64 / began.elapsed().as_secs_f64() / 1e3)
}

/// Asks one after the other. Gives the median of the microseconds that it took.
pub(crate) async fn one_by_one(client: Client, requests: usize) -> Result<f64, String> {
    let asking = tokio::spawn(async move {
        for n in 0..requests / 10 {
            ask(&client, n).await?;
        }
        let mut times = Vec::with_capacity(requests);
        for n in 0..requests {
            let began = Instant::now();
            ask(&client, n).await?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok::<_, String>(times[times.len() / 2])
    });
    let median = asking.await.map_err(|error| error.to_string())??;
    Ok(median.as_secs_f64() * 1e6)
}
