//! [`Rtnetlink`]: asks the kernel for addresses and routes, and changes them (rtnetlink(7)).
//!
//! The crate `lm-takeover` uses it for the card that it moves and for lmd's interface.

use std::io;
use std::time::Duration;

use crate::netlink::{Message, messages};
use crate::numbers::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use crate::socket::{LONGEST, Socket, error_of};

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a list is asked for that changes while it is given.
const LISTS: usize = 10;

/// A list that the kernel gives in several messages.
#[derive(Default)]
struct List {
    /// The type and the body of each message.
    found: Vec<(u16, Vec<u8>)>,
    is_complete: bool,
    has_changed: bool,
}

impl List {
    fn take(&mut self, message: &Message<'_>) -> io::Result<()> {
        self.has_changed |= message.flags & NLM_F_DUMP_INTR != 0;
        match message.kind {
            NLMSG_DONE => self.is_complete = true,
            NLMSG_ERROR => error_of(message.body)?,
            kind => self.found.push((kind, message.body.to_vec())),
        }
        Ok(())
    }
}

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

    /// All that there is of one kind: the type and the body of each message. If that changes while the kernel
    /// lists it, it is asked for anew.
    ///
    /// # Errors
    /// What the kernel says. EINTR: it changed each time, ten times in a row.
    pub fn dump(&mut self, kind: u16, body: &[u8]) -> io::Result<Vec<(u16, Vec<u8>)>> {
        for _ in 0..LISTS {
            self.socket.send(kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
            let mut list = List::default();
            while !list.is_complete {
                let lot = self.socket.receive(&mut self.buffer)?;
                for message in messages(lot).filter(|message| message.sequence == self.socket.sequence()) {
                    list.take(&message)?;
                }
            }
            if !list.has_changed {
                return Ok(list.found);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EINTR))
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
    fn a_list_that_changed_meanwhile_is_known() {
        const MULTI: u16 = 2;
        let of = |kinds: &[(u16, u16)]| {
            let mut list = List::default();
            for &(kind, flags) in kinds {
                list.take(&Message { kind, flags, sequence: 1, body: &[0; 4] }).expect("no error");
            }
            (list.found.len(), list.is_complete, list.has_changed)
        };
        assert_eq!(of(&[(RTM_NEWADDR, MULTI)]), (1, false, false));
        assert_eq!(of(&[(RTM_NEWADDR, MULTI), (NLMSG_DONE, MULTI)]), (1, true, false));
        for changed in 0..3 {
            let mut kinds = [(RTM_NEWADDR, MULTI), (RTM_NEWADDR, MULTI), (NLMSG_DONE, MULTI)];
            kinds[changed].1 |= NLM_F_DUMP_INTR;
            assert_eq!(of(&kinds), (2, true, true), "message {changed}");
        }
        let refused = (-libc::EPERM).to_ne_bytes();
        let message = Message { kind: NLMSG_ERROR, flags: 0, sequence: 1, body: &refused };
        assert_eq!(List::default().take(&message).expect_err("refused").raw_os_error(), Some(libc::EPERM));
    }

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
