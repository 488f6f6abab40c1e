//! Tasks of all kinds, wherever a function may stand.
#![forbid(unsafe_code)]
#![deny(warnings)]
use actors_core::{Pool, ThreadPool};
use actors_net::{Task, task};

/// With documentation.
#[task]
pub fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[task(name = "nothing")]
fn nothing() {}

#[task]
fn pattern((a, b): (u32, u32), mut c: u32, _: String) -> u32 {
    c += 1;
    a + b + c
}

mod inner {
    #[actors_net::task]
    pub(crate) fn r#match(n: u64) -> Result<u64, String> {
        Ok(n)
    }
}

fn main() {
    #[task]
    fn local(self_: u8) -> u8 {
        self_
    }
    let pool = ThreadPool::new(1).unwrap();
    assert_eq!(pool.apply(add::job(1, 2)).unwrap(), 3);
    assert_eq!(pool.apply(add::from((1, 2))).unwrap(), 3);
    pool.apply(nothing::job()).unwrap();
    assert_eq!(pool.apply(pattern::job((1, 2), 3, String::new())).unwrap(), 7);
    assert_eq!(pool.apply(inner::r#match::job(1)).unwrap(), Ok(1));
    assert_eq!(pool.apply(local::job(1)).unwrap(), 1);
    assert_eq!(nothing::NAME, "nothing");
    assert!(add::NAME.ends_with("::add"));
    assert_eq!(add(1, 1), 2);
}
