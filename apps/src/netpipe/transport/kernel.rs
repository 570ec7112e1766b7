//! `udp` and `udp-busy`: kernel sockets, one that waits and one that is asked again and again.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use lm_proto::wire::MAX_PAYLOAD;
use rustix::net::sockopt;

use super::{Kind, Then, Transport, frames, on_wire};
use crate::netpipe::options::Options;

/// What the kernel may keep for us, so that streams are not lost for want of it.
const BUFFER: usize = 4 << 20;
/// A receive that waits looks around after so long.
const WAIT: Duration = Duration::from_millis(50);

pub(super) struct Kernel {
    kind: &'static Kind,
    socket: UdpSocket,
    buffer: Box<[u8]>,
    /// Bytes at its front that are to be sent back.
    waiting: Option<usize>,
    copied: u64,
    wire: String,
    mtu: u16,
}

impl Kernel {
    /// `udp` has the UDP ports that are given, `udp-busy` the next ones.
    pub(super) fn open(kind: &'static Kind, options: &Options) -> Result<Self, String> {
        let (ip, udp, k) = (options.kernel_ip(), options.port.tx_udp, u16::from(kind.is_polled));
        let at = |address, port: u16| SocketAddrV4::new(Ipv4Addr::from_bits(address), port.saturating_add(k));
        let (ours, theirs) = (at(ip.src, udp.src), at(ip.dst, udp.dst));
        let fail = |what: &str, e: io::Error| format!("{}: {what}: {e}", kind.name);
        let socket = UdpSocket::bind(ours).map_err(|e| {
            fail(&format!("{ours} cannot be had (choose --kernel-ip and --tx-udp of this machine)"), e)
        })?;
        socket.connect(theirs).map_err(|e| fail(&format!("no way to {theirs}"), e))?;
        socket.set_nonblocking(true).map_err(|e| fail("it cannot be made not to wait", e))?;
        socket.set_read_timeout(Some(WAIT)).map_err(|e| fail("no timeout", e))?;
        // The first wants a privilege, the second is cut to what the system allows.
        if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
        }
        Ok(Self {
            kind,
            socket,
            buffer: vec![0; MAX_PAYLOAD + 1].into(),
            waiting: None,
            copied: 0,
            wire: options.kernel_wire.clone(),
            mtu: options.port.mtu,
        })
    }
}

/// Whether it was sent, or is lost for good.
fn is_gone(sent: &io::Result<usize>) -> bool {
    match sent {
        Ok(_) => true,
        // Nobody listens there: the datagram is lost. All else is want of room.
        Err(e) => e.kind() == ErrorKind::ConnectionRefused,
    }
}

impl Transport for Kernel {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn wire(&self) -> String {
        self.wire.clone()
    }

    fn limit(&self) -> usize {
        MAX_PAYLOAD
    }

    fn wire_bytes(&self, payload: usize) -> usize {
        on_wire(frames(payload, self.mtu))
    }

    fn send(&mut self, payload: &[u8]) -> bool {
        is_gone(&self.socket.send(payload))
    }

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Then) -> usize {
        if let Some(n) = self.waiting.take() {
            if !is_gone(&self.socket.send(&self.buffer[..n])) {
                self.waiting = Some(n);
                return 0;
            }
            return 1;
        }
        let Ok(n) = self.socket.recv(&mut self.buffer) else { return 0 };
        self.copied += n as u64;
        if look(&self.buffer[..n]) == Then::Echo && !is_gone(&self.socket.send(&self.buffer[..n])) {
            self.waiting = Some(n);
        }
        1
    }

    fn flush(&mut self) {}

    fn copied(&self) -> u64 {
        self.copied
    }

    fn rest(&mut self, resting: bool) {
        let _ = self.socket.set_nonblocking(resting || self.kind.is_polled);
    }

    fn close(self: Box<Self>) {}
}
