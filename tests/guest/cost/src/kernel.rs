//! Linux: a UDP socket over its own driver of the same card.
//!
//! **Receiving.** Most of it happens in interrupts while the sender is at work, so a round is measured in
//! three parts:
//!
//! 1. datagrams are sent to the socket's card, then a loop of fixed length runs: sender, loop and kernel;
//! 2. the same to an address that no card has, so that the card drops it: sender and loop;
//! 3. the datagrams are taken from the socket, which never waits: system calls, copies and checksums.
//!
//! The cost is the first less the second, and the third. No wake-up of a sleeping receiver is in it.
//!
//! **Sending.** `send` on a connected socket whose buffer takes a round, so that it never waits.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use lm_proto::alf::ChecksumMode;

use crate::sender::{ADDRESS, Source, UDP_PORT, byte};
use crate::{Failure, NOBODY, Options, Outlet, Receiver, spun, ticks};

/// Bytes of a socket's buffer, more than a round takes.
const ROOM: libc::c_int = 8 << 20;

fn set(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> Result<(), Failure> {
    // SAFETY: a socket of ours, and an option of this type and length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(format!("option {option} of a socket: {}", std::io::Error::last_os_error()).into())
    }
}

pub(crate) struct Socket {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Socket {
    pub(crate) fn open(size: usize) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, UDP_PORT))?;
        socket.set_nonblocking(true)?;
        set(&socket, libc::SO_RCVBUFFORCE, ROOM)?;
        Ok(Self { socket, buffer: vec![0; size + 1] })
    }

    fn drain(&mut self) -> Result<(usize, usize), Failure> {
        let (mut got, mut wrong) = (0, 0);
        loop {
            match self.socket.recv(&mut self.buffer) {
                Ok(n) => {
                    let m = &self.buffer[..n];
                    wrong += usize::from(m.first() != Some(&byte(0)) || m.last() != Some(&byte(n - 1)));
                    got += 1;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok((got, wrong)),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Receiver for Socket {
    fn mac(&self) -> Option<[u8; 6]> {
        None
    }

    fn round(&mut self, source: &mut Source, datagrams: usize) -> Result<u64, Failure> {
        let nobody = spun(|| source.send(datagrams, Some(NOBODY)))?;
        if self.drain()?.0 != 0 {
            return Err("something came that was for nobody".into());
        }
        let all = spun(|| source.send(datagrams, None))?;
        let begin = ticks();
        let (got, wrong) = self.drain()?;
        let taken = ticks() - begin;
        if (got, wrong) != (datagrams, 0) {
            return Err(format!("{got} of {datagrams} datagrams came, {wrong} of them wrong").into());
        }
        Ok(all.saturating_sub(nobody) + taken)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Sends the same payload again and again.
pub(crate) struct Outgoing {
    socket: UdpSocket,
    payload: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn open(o: &Options) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        set(&socket, libc::SO_SNDBUFFORCE, ROOM)?;
        set(&socket, libc::SO_NO_CHECK, libc::c_int::from(o.checksum == ChecksumMode::Zero))?;
        socket.connect((o.to.unwrap_or(ADDRESS), UDP_PORT))?;
        Ok(Self { socket, payload: (0..o.size).map(byte).collect() })
    }
}

impl Outlet for Outgoing {
    fn send(&mut self, datagrams: usize) -> Result<(), Failure> {
        for _ in 0..datagrams {
            self.socket.send(&self.payload)?;
        }
        Ok(())
    }

    /// The script that binds the card looks there.
    fn frames(&self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}
