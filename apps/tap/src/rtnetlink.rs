//! [`Rtnetlink`]: asks the kernel for addresses and routes, and changes them (rtnetlink(7)).
//!
//! The crate `lm-takeover` uses it for the card that it moves and for lmd's interface.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::netlink::{message, messages};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
/// A request that replaces what is there, or makes it.
pub const NLM_F_SET: u16 = 0x100 | 0x400;
/// A request that makes a route behind those of the same prefix and metric, which may be by other interfaces.
pub const NLM_F_BESIDE: u16 = 0x400 | 0x800;
/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The kernel's answers come in lots of at most this size.
const LONGEST: usize = 1 << 16;

/// A socket for requests that are answered.
pub struct Rtnetlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Rtnetlink {
    /// A socket in this network name space.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        // SAFETY: takes no pointer; the result is checked.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let time = libc::timeval { tv_sec: PATIENCE.as_secs() as libc::time_t, tv_usec: 0 };
        let len = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: the structure lives through the call, and its length is the one that is said.
        let ret = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const time).cast(), len)
        };
        if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { socket, sequence: 0 }) }
    }

    /// All that there is of one kind: the type and the body of each message.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dump(&mut self, kind: u16, body: &[u8]) -> io::Result<Vec<(u16, Vec<u8>)>> {
        self.send(kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
        let mut found = Vec::new();
        loop {
            let lot = self.receive()?;
            for message in messages(&lot).filter(|message| message.sequence == self.sequence) {
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
        self.send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body)?;
        loop {
            let lot = self.receive()?;
            let mut ours = messages(&lot).filter(|message| message.sequence == self.sequence);
            if let Some(answer) = ours.find(|message| message.kind == NLMSG_ERROR) {
                return error_of(answer.body);
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message(kind, flags, self.sequence, body);
        // SAFETY: the bytes live through the call, and are as many as is said.
        let n = unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; LONGEST];
        loop {
            // SAFETY: the buffer lives through the call, and has as many bytes as is said.
            let n =
                unsafe { libc::recv(self.socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if let Ok(n) = usize::try_from(n) {
                buffer.truncate(n);
                return Ok(buffer);
            }
            let e = io::Error::last_os_error();
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e);
            }
        }
    }
}

fn error_of(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b).wrapping_neg()) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTM_GETADDR: u16 = 22;

    #[test]
    fn the_loopback_has_its_addresses() {
        let mut socket = Rtnetlink::open().expect("a socket");
        for _ in 0..2 {
            let all = socket.dump(RTM_GETADDR, &[0; 8]).expect("addresses");
            assert!(all.iter().all(|(kind, body)| *kind == 20 && body.len() >= 8), "{all:?}");
        }
        let why = socket.change(RTM_GETADDR + 1000, 0, &[]).expect_err("no such request");
        assert!(why.raw_os_error().is_some(), "{why}");
    }
}
