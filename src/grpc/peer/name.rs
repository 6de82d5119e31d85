//! The names of servers, as the database keeps them.

use std::{fmt, net::SocketAddr, str::FromStr};

/// A server's address, and a number that is drawn for its process: another server that has
/// taken over the address is another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) address: SocketAddr,
    pub(super) process: u32,
}

/// A text that names no server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoName;

const PEER: &str = "peer ";

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PEER}{} {:08x}", self.address, self.process)
    }
}

impl FromStr for Name {
    type Err = NoName;

    fn from_str(name: &str) -> Result<Self, NoName> {
        let parts = name
            .strip_prefix(PEER)
            .and_then(|name| name.split_once(' '));
        let (address, process) = parts.ok_or(NoName)?;
        Ok(Self {
            address: address.parse().map_err(|_| NoName)?,
            process: u32::from_str_radix(process, 16).map_err(|_| NoName)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_is_not_cut_off_and_a_strangers_is_none() {
        let longest = Name {
            address: "[2001:1db8:1db8:1db8:1db8:1db8:1db8:1db8]:65535"
                .parse()
                .unwrap(),
            process: u32::MAX,
        };
        let name = longest.to_string();
        assert!(name.len() <= 63, "{name}");
        assert_eq!(name.parse(), Ok(longest));
        for stranger in [
            "pledgebook",
            "peer",
            "peer db:1 00",
            "psql",
            "peer 10.0.0.1:1 x",
        ] {
            assert_eq!(stranger.parse::<Name>(), Err(NoName));
        }
    }
}
