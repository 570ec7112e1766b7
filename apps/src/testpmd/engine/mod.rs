//! Forwarding engines: each defines what is done in every turn of a link.
//!
//! - [`interface`]: the trait, and what an engine is made from;
//! - [`rx`]: receives, and drops what it received;
//! - [`tx`]: sends datagrams of known contents;
//! - [`ping`]: sends one, waits for its echo, compares and measures;
//! - [`echo`]: sends each datagram back to where it came from.
//!
//! To add an engine, write a file with a [`Kind`], and add it to [`KINDS`].

mod echo;
mod interface;
mod ping;
mod rx;
mod tx;

pub(crate) use self::interface::{Engine, Kind, Plan};

/// All of them.
pub(crate) static KINDS: &[Kind] = &[rx::KIND, tx::KIND, ping::KIND, echo::KIND];

/// The engine of this name.
pub(crate) fn kind(name: &str) -> Result<&'static Kind, String> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        format!("give one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_found_by_name() {
        for one in KINDS {
            assert_eq!(kind(one.name).expect("a name").name, one.name);
        }
        assert_eq!(kind("io").expect_err("testpmd's"), "give one of rx, tx, ping, echo");
    }
}
