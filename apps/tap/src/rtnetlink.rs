//! [`Rtnetlink`]: asks the kernel for addresses and routes, and changes them (rtnetlink(7)).
//!
//! The crate `lm-takeover` uses it for the card that it moves and for lmd's interface.

use std::io;
use std::time::Duration;

use crate::netlink::messages;
use crate::numbers::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use crate::socket::{LONGEST, Socket, error_of};

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket for requests that are answered.
pub struct Rtnetlink {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Rtnetlink {
    /// A socket in this network name space.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::that_waits(PATIENCE)?, buffer: vec![0; LONGEST] })
    }

    /// All that there is of one kind: the type and the body of each message.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dump(&mut self, kind: u16, body: &[u8]) -> io::Result<Vec<(u16, Vec<u8>)>> {
        self.socket.send(kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
        let mut found = Vec::new();
        loop {
            let lot = self.socket.receive(&mut self.buffer)?;
            for message in messages(lot).filter(|message| message.sequence == self.socket.sequence()) {
                match message.kind {
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => error_of(message.body)?,
                    kind => found.push((kind, message.body.to_vec())),
                }
            }
        }
    }

    /// Has something changed, and waits for the answer.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn change(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.socket.send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body)?;
        loop {
            let lot = self.socket.receive(&mut self.buffer)?;
            let mut ours = messages(lot).filter(|message| message.sequence == self.socket.sequence());
            if let Some(answer) = ours.find(|message| message.kind == NLMSG_ERROR) {
                return error_of(answer.body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::{RTM_GETADDR, RTM_NEWADDR};

    #[test]
    fn the_loopback_has_its_addresses() {
        let mut socket = Rtnetlink::open().expect("a socket");
        for _ in 0..2 {
            let all = socket.dump(RTM_GETADDR, &[0; 8]).expect("addresses");
            assert!(all.iter().all(|(kind, body)| *kind == RTM_NEWADDR && body.len() >= 8), "{all:?}");
        }
        let why = socket.change(RTM_GETADDR + 1000, 0, &[]).expect_err("no such request");
        assert!(why.raw_os_error().is_some(), "{why}");
    }
}
