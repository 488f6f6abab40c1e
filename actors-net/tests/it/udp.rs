//! Datagrams.
use crate::kit::soon;
use actors_core::{Actor, Context, Error, Handler};
use actors_net::{Datagram, Udp};
use tokio::net::UdpSocket;

struct Echo(Udp);

impl Actor for Echo {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        self.0.attach(ctx);
        Ok(())
    }
}

impl Handler<Datagram> for Echo {
    async fn handle(&mut self, datagram: Datagram, _: &mut Context<Self>) {
        let _ = self.0.send(&datagram.bytes, datagram.from).await;
    }
}

#[actors_core::test]
async fn each_datagram_goes_back_to_where_it_came_from() {
    let socket = Udp::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let echo = Echo(socket).spawn();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.connect(address).await.unwrap();
        peers.push(peer);
    }
    // Also an empty one, and one of the largest that there are.
    for size in [5, 0, 1, 65_507] {
        for (n, peer) in peers.iter().enumerate() {
            let bytes = vec![u8::try_from(n).unwrap(); size];
            peer.send(&bytes).await.unwrap();
            let mut back = vec![9; 70_000];
            let got = soon(peer.recv(&mut back)).await.unwrap();
            assert_eq!(&back[..got], &bytes);
        }
    }
    // Nobody is there to answer to: the socket goes on.
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    gone.send_to(b"hello", address).await.unwrap();
    drop(gone);
    let mut back = [0; 9];
    peers[0].send(b"still").await.unwrap();
    let got = soon(peers[0].recv(&mut back)).await.unwrap();
    assert_eq!(&back[..got], b"still");
    echo.stop();
    assert!(soon(echo.stopped()).await.is_normal());
}
