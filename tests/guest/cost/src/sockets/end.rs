//! An end of the wire: a UDP socket in a network name space, and a thread that goes before all others.

use std::fs::File;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Bytes of a socket's buffers, more than a window takes.
static ROOM: libc::c_int = 16 << 20;

fn done(code: libc::c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// This thread goes to the name space of this file.
fn enter(space: &File) -> Result<()> {
    // SAFETY: an open file of ours. The call changes which interfaces this thread's new sockets see.
    done(unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) })
}

fn set(socket: &UdpSocket, option: libc::c_int) -> Result<()> {
    // SAFETY: a socket of ours, and options of this type and length.
    done(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const ROOM).cast(),
            size_of_val(&ROOM) as libc::socklen_t,
        )
    })
}

/// A socket in a name space; `-`: in that of this program.
pub(crate) fn open(space: &str, address: Ipv4Addr, port: u16, patience: Duration) -> Result<UdpSocket> {
    let socket = if space == "-" {
        UdpSocket::bind((address, port))
    } else {
        let home = File::open("/proc/thread-self/ns/net")?;
        enter(&File::open(format!("/run/netns/{space}"))?)?;
        let socket = UdpSocket::bind((address, port));
        enter(&home)?;
        socket
    }?;
    set(&socket, libc::SO_RCVBUFFORCE)?;
    set(&socket, libc::SO_SNDBUFFORCE)?;
    socket.set_read_timeout(Some(patience))?;
    Ok(socket)
}

fn schedule(policy: libc::c_int, priority: libc::c_int) -> Result<()> {
    // SAFETY: all zeroes is a value of this type.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    // SAFETY: 0 is this thread, and the parameter lives until the call returns.
    done(unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) })
}

/// From now on this thread runs whenever it can.
pub(crate) fn prefer() -> Result<()> {
    schedule(libc::SCHED_FIFO, 1)
}

/// From now on this thread runs only when no other one can.
pub(crate) fn yield_to_all() -> Result<()> {
    schedule(libc::SCHED_IDLE, 0)
}
