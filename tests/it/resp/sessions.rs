//! `redis-cli` and `redis-benchmark` against both servers: what they print is the same.
use super::servers::Server;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What people type, all commands at least once. What has no order has one item.
const SESSION: &str = r#"
PING
PING hello
ECHO "two words"
ECHO "\x41\n\"quoted\""
ECHO 'single \' quote'
ECHO ""
SET a 1
GET a
GET missing
SET a 2 NX
SET a 2 XX GET
SET a 3 EX 1000 PX 5
SET a 3 EX 1000
TTL a
SET a 4 KEEPTTL
TTL a
PERSIST a
TTL a
TTL missing
SET a 5 EX 0
SET a 5 PX x
SETNX a 6
SETNX b 6
GETSET b 7
GETDEL b
GETDEL b
APPEND text abc
APPEND text def
STRLEN text
GET text
INCR a
INCRBY a 10
DECR a
DECRBY a 20
INCR text
INCRBY a 9223372036854775807
INCRBY a 9223372036854775807
MSET k1 v1 k2 v2 k3 v3 k4 v4
MGET k1 missing k2 k3 k4 list
MSET k1
DEL k1 k2 missing
EXISTS k3 k3 missing
TYPE k3
TYPE missing
EXPIRE k3 1000
EXPIRE k3 1000 NX
EXPIRE k3 2000 GT
EXPIRE k3 10 GT LT
EXPIRE k3 10 foo
PEXPIRE k3 100000000000
EXPIRE k3 -1
EXISTS k3
LPUSH list a b c
RPUSH list d
LRANGE list 0 -1
LRANGE list 1 2
LPOP list
RPOP list 2
LPOP list 5
LPOP list
LPOP list 1
LLEN list
RPUSH list x
GET list
LPUSH a x
HSET hash f v
HSET hash f w g x
HSET hash f
HGET hash f
HGET hash missing
HDEL hash g missing
HGETALL hash
HLEN hash
HGETALL missing
SADD set one
SADD set one
SMEMBERS set
SISMEMBER set one
SISMEMBER set two
SCARD set
SREM set one two
SCARD set
SADD hash x
DBSIZE
SELECT 3
DBSIZE
SET there yes
SELECT 16
SELECT x
SELECT 0
GET there
PUBLISH nobody hello
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CLIENT SETNAME "not me"
CLIENT nothing
CONFIG GET databases
CONFIG GET no-such-setting
COMMAND INFO no-such-command
NOSUCH command with "some arguments"
GET
GET a b
FLUSHALL SOON
FLUSHALL
DBSIZE
"#;

/// Runs a program of Redis; `None`, and said so, where it is not there.
fn run(program: &str, server: &Server, args: &[&str], input: &str) -> Option<Output> {
    let port = server.address.port().to_string();
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no {program} on this machine");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    Some(child.wait_with_output().expect("it ends"))
}

fn compare(args: &[&str]) {
    let Some([ours, theirs]) = Server::both(&[]) else {
        return;
    };
    let mut printed = Vec::new();
    for server in [&ours, &theirs] {
        let Some(output) = run("redis-cli", server, args, SESSION) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        printed.push(String::from_utf8(output.stdout).expect("UTF-8"));
    }
    let [ours, theirs] = [&printed[0], &printed[1]].map(|text| text.lines());
    for (number, (ours, theirs)) in ours.zip(theirs).enumerate() {
        assert_eq!(ours, theirs, "line {number} of\n{}", printed[0]);
    }
    assert_eq!(printed[0].len(), printed[1].len());
    assert!(printed[0].lines().count() > SESSION.lines().count());
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn redis_cli_shows_what_it_shows_of_redis() {
    compare(&["--no-raw"]);
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn redis_cli_shows_what_it_shows_of_redis_by_resp3() {
    compare(&["--no-raw", "-3"]);
}

#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn redis_benchmark_runs() {
    let server = Server::ours(&[]);
    for depth in ["1", "16"] {
        let args = [
            "-t",
            "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,lrange,mset",
            "-n",
            "2000",
            "-r",
            "100",
            "-P",
            depth,
            "-q",
        ];
        let Some(output) = run("redis-benchmark", &server, &args, "") else {
            return;
        };
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        for test in ["PING_MBULK", "SET", "HSET", "LRANGE_600", "MSET (10 keys)"] {
            assert!(printed.contains(test), "{test}: {printed}");
        }
        assert!(!printed.contains("rror"), "{printed}");
    }
}
