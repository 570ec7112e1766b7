//! The transports `udp` and `udp-busy`: kernel sockets, one that blocks and one that is polled.
//!
//! They need no EAL. Every received datagram counts as copied, because the kernel copies it into this
//! process. A datagram to which the peer's kernel answers that nobody listens is lost, and no error.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use lm_proto::wire::MAX_PAYLOAD;
use rustix::net::sockopt;

use super::interface::{Action, Kind, Open, Transport};
use super::settings::Settings;
use super::wire_bytes::{frames, on_wire};

/// A socket whose receive waits.
pub(super) static WAITING: Kind = Kind {
    name: "udp",
    help: "a kernel socket that waits",
    is_polled: false,
    open: Open::Kernel(|settings| Ok(Box::new(Kernel::open(&WAITING, settings)?))),
};

/// A socket whose receive never waits.
pub(super) static BUSY: Kind = Kind {
    name: "udp-busy",
    help: "a kernel socket that is asked again and again",
    is_polled: true,
    open: Open::Kernel(|settings| Ok(Box::new(Kernel::open(&BUSY, settings)?))),
};

/// Bytes of the socket's receive buffer, so that streams are not lost because it is too small.
const BUFFER: usize = 4 << 20;
/// A receive that waits returns after so long, so that signals are seen.
const WAIT: Duration = Duration::from_millis(50);

struct Kernel {
    kind: &'static Kind,
    socket: UdpSocket,
    buffer: Box<[u8]>,
    /// The echo at the front of the buffer, of so many bytes, for which the socket had no room.
    waiting: Option<usize>,
    copied: u64,
    wire: String,
    mtu: u16,
}

impl Kernel {
    /// `udp` has the UDP ports that are given, `udp-busy` the next ones.
    fn open(kind: &'static Kind, settings: &Settings) -> Result<Self, String> {
        let (flow, k) = (settings.kernel_flow, u16::from(kind.is_polled));
        let at = |address, port: u16| SocketAddrV4::new(Ipv4Addr::from_bits(address), port.saturating_add(k));
        let (ours, theirs) = (at(flow.src, flow.src_port), at(flow.dst, flow.dst_port));
        let fail = |what: &str, e: io::Error| format!("{}: {what}: {e}", kind.name);
        let socket = UdpSocket::bind(ours).map_err(|e| {
            let advice = "give an address and a free port of this machine by --kernel-ip and --tx-udp";
            fail(&format!("no socket can be bound to {ours} ({advice})"), e)
        })?;
        socket
            .connect(theirs)
            .map_err(|e| fail(&format!("the socket cannot be connected to {theirs}"), e))?;
        socket.set_nonblocking(true).map_err(|e| fail("the socket cannot be made non-blocking", e))?;
        socket.set_read_timeout(Some(WAIT)).map_err(|e| fail("the socket takes no receive timeout", e))?;
        // The first call needs a privilege. For the second one the system's limit holds.
        if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
        }
        Ok(Self {
            kind,
            socket,
            buffer: vec![0; MAX_PAYLOAD + 1].into(),
            waiting: None,
            copied: 0,
            wire: settings.kernel_wire.clone(),
            mtu: settings.port.mtu,
        })
    }
}

/// Whether nothing is left to do for a datagram: it was sent, or it is lost.
fn is_gone(sent: &io::Result<usize>) -> bool {
    match sent {
        Ok(_) => true,
        // Nobody listens there, so the datagram is lost. After any other error
        // it is tried again, as for a full buffer.
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

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        if let Some(n) = self.waiting.take() {
            if !is_gone(&self.socket.send(&self.buffer[..n])) {
                self.waiting = Some(n);
                return 0;
            }
            return 1;
        }
        let Ok(n) = self.socket.recv(&mut self.buffer) else { return 0 };
        self.copied += n as u64;
        if look(&self.buffer[..n]).is_echo() && !is_gone(&self.socket.send(&self.buffer[..n])) {
            self.waiting = Some(n);
        }
        1
    }

    fn flush(&mut self) {}

    fn copied(&self) -> u64 {
        self.copied
    }

    fn set_in_round(&mut self, in_round: bool) {
        let _ = self.socket.set_nonblocking(!in_round || self.kind.is_polled);
    }

    fn close(self: Box<Self>) {}
}
