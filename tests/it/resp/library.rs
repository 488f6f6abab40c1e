//! The library `redis`, which programs use, finds in both servers the same.
use super::servers::Server;
use redis::{Commands, Connection, RedisResult, Value};
use std::collections::{BTreeMap, BTreeSet};

fn connect(server: &Server, protocol: &str) -> Connection {
    let url = format!("redis://{}/?protocol={protocol}", server.address);
    let client = redis::Client::open(url).expect("a URL");
    client.get_connection().expect("somebody listens")
}

/// Uses all kinds of values; gives what came of it.
fn work(connection: &mut Connection) -> RedisResult<Vec<String>> {
    let mut seen = Vec::new();
    let mut see = |what: &dyn std::fmt::Debug| seen.push(format!("{what:?}"));
    see(&connection.set::<_, _, ()>("count", 41)?);
    see(&connection.incr::<_, _, i64>("count", 1)?);
    see(&connection.get::<_, Option<i64>>("count")?);
    see(&connection.get::<_, Option<i64>>("missing")?);
    see(&connection.set_nx::<_, _, bool>("count", 1)?);
    see(&connection.expire::<_, bool>("count", 1_000)?);
    see(&connection.persist::<_, bool>("count")?);
    see(&connection.rpush::<_, _, i64>("list", &["a", "b", "c"])?);
    see(&connection.lrange::<_, Vec<String>>("list", 0, -1)?);
    see(&connection.lpop::<_, Vec<String>>("list", std::num::NonZeroUsize::new(2))?);
    see(&redis::cmd("HSET")
        .arg("hash")
        .arg(&[("x", 1), ("y", 2)])
        .query::<i64>(connection)?);
    see(&connection.hgetall::<_, BTreeMap<String, i64>>("hash")?);
    see(&connection.sadd::<_, _, i64>("set", &["one", "two"])?);
    see(&connection.smembers::<_, BTreeSet<String>>("set")?);
    see(&connection.sismember::<_, _, bool>("set", "two")?);
    see(&connection.mset::<_, _, ()>(&[("k1", 1), ("k2", 2), ("k3", 3)])?);
    see(&connection.mget::<_, Vec<Option<i64>>>(&["k1", "no", "k3"])?);
    see(&connection.del::<_, i64>(&["k1", "k2", "no"])?);
    let mut pipe = redis::pipe();
    pipe.set("p", 1).ignore().incr("p", 5).get("p").get("list");
    see(&pipe
        .query::<(i64, i64, Value)>(connection)
        .map_err(|error| error.to_string()));
    let mut pipe = redis::pipe();
    for n in 0..1_000 {
        pipe.set(format!("many:{n}"), n)
            .ignore()
            .get(format!("many:{n}"));
    }
    see(&pipe.query::<Vec<i64>>(connection)?);
    see(&connection.get::<_, i64>("list").err());
    see(&redis::cmd("NOSUCH").arg(1).query::<()>(connection).err());
    see(&redis::cmd("DBSIZE").query::<i64>(connection)?);
    see(&redis::cmd("FLUSHALL").query::<()>(connection)?);
    see(&connection.exists::<_, bool>("count")?);
    Ok(seen)
}

fn compare(protocol: &str) {
    let Some(servers) = Server::both(&[]) else {
        return;
    };
    let mut connections = servers.each_ref().map(|server| connect(server, protocol));
    let [ours, theirs] = connections.each_mut().map(work);
    let [ours, theirs] = [ours, theirs].map(|seen| seen.expect("it does not fail"));
    assert_eq!(ours, theirs);
    let info: redis::InfoDict = redis::cmd("INFO").query(&mut connections[0]).expect("INFO");
    assert_eq!(
        info.get::<String>("redis_mode").as_deref(),
        Some("standalone")
    );
    assert_eq!(info.get::<i64>("connected_clients"), Some(1));
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn a_client_library_sees_the_same_as_of_redis() {
    compare("resp2");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn a_client_library_sees_the_same_as_of_redis_by_resp3() {
    compare("resp3");
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn a_client_library_subscribes() {
    let server = Server::ours(&[]);
    let mut listener = connect(&server, "resp2");
    let mut publisher = connect(&server, "resp2");
    let mut subscribed = listener.as_pubsub();
    subscribed
        .subscribe(&["one", "two"])
        .expect("it subscribes");
    for (channel, text) in [("one", "first"), ("two", "second")] {
        let to: i64 = publisher.publish(channel, text).expect("it publishes");
        assert_eq!(to, 1);
        let message = subscribed.get_message().expect("a message");
        assert_eq!(message.get_channel_name(), channel);
        assert_eq!(message.get_payload::<String>().expect("a text"), text);
    }
}
