//! `NetAddr`: where one end of a connection is.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Where one end of a connection is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetAddr {
    /// An internet address and a port.
    Ip(SocketAddr),
    /// A Unix socket; the end that connects mostly has no path.
    Unix(Option<PathBuf>),
    /// Something else, such as a pipe or memory, by its name.
    Other(Arc<str>),
}

impl NetAddr {
    /// The internet address and the port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// Who is counted as one peer: an IPv4 address, or 2^64 IPv6 addresses, which is what one
    /// customer has.
    pub(crate) fn origin(&self) -> Option<IpAddr> {
        match self.ip()?.ip().to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Some(v4),
        }
    }
}

impl fmt::Display for NetAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddr> for NetAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

#[cfg(unix)]
impl From<tokio::net::unix::SocketAddr> for NetAddr {
    fn from(address: tokio::net::unix::SocketAddr) -> Self {
        Self::Unix(address.as_pathname().map(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> String {
        let address: SocketAddr = address.parse().unwrap();
        NetAddr::from(address).origin().unwrap().to_string()
    }

    #[test]
    fn who_is_one_peer() {
        assert_eq!(origin("10.1.2.3:4"), "10.1.2.3");
        assert_eq!(origin("[::ffff:10.1.2.3]:4"), "10.1.2.3");
        assert_eq!(origin("[2001:db8:1:2:3:4:5:6]:7"), "2001:db8:1:2::");
        assert_eq!(NetAddr::Unix(None).origin(), None);
    }
}
