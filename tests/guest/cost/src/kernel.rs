//! The receiver in Linux: a UDP socket over its own driver of the same card.
//!
//! Most of it happens in interrupts while the sender is at work, so a round is measured in three parts:
//!
//! 1. datagrams are sent to the socket's card, then a loop of fixed length runs: sender, loop and kernel;
//! 2. the same to an address that no card has, so that the card drops it: sender and loop;
//! 3. the datagrams are taken from the socket, which never waits: system calls, copies and checksums.
//!
//! The cost is the first less the second, and the third. No wake-up of a sleeping receiver is in it.

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::sender::{Source, UDP_PORT, byte};
use crate::{Failure, Receiver, ticks};

/// Nobody's hardware address.
const NOBODY: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
/// Iterations: some milliseconds, longer than any interrupt is held back.
const LOOP: u64 = 3_000_000;

pub(crate) struct Socket {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Socket {
    pub(crate) fn open(size: usize) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, UDP_PORT))?;
        socket.set_nonblocking(true)?;
        let bytes: libc::c_int = 8 << 20;
        // SAFETY: a socket of ours, and an option of this type and length.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const bytes).cast(),
                size_of_val(&bytes) as libc::socklen_t,
            )
        };
        if done != 0 {
            return Err(format!("SO_RCVBUFFORCE: {}", std::io::Error::last_os_error()).into());
        }
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

fn send_and_spin(source: &mut Source, datagrams: usize, to: Option<[u8; 6]>) -> Result<u64, Failure> {
    let begin = ticks();
    source.send(datagrams, to)?;
    for i in 0..LOOP {
        black_box(i);
    }
    Ok(ticks() - begin)
}

impl Receiver for Socket {
    fn mac(&self) -> Option<[u8; 6]> {
        None
    }

    fn round(&mut self, source: &mut Source, datagrams: usize) -> Result<u64, Failure> {
        let nobody = send_and_spin(source, datagrams, Some(NOBODY))?;
        if self.drain()?.0 != 0 {
            return Err("something came that was for nobody".into());
        }
        let all = send_and_spin(source, datagrams, None)?;
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
