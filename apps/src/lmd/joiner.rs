//! [`Joiner`]: joins TCP segments from the wire to long packets for the kernel, by DPDK's `rte_gro`.
//!
//! [`super::kernelward`] calls it. Segments wait until the poll that received them ends, and no longer. Those
//! of one connection stay in their order. [`Run`] decides which segments are joined, because DPDK's library
//! compares less than it has to: it would lose a congestion mark, and let a pushed segment overtake those in
//! front of it.

use lm_crossing::run::{Run, Segment, connection};
use lm_crossing::segment::verify;
use lm_crossing::virtio::Header;
use rte::Mbuf;
use rte::tcp::join;

/// Connections whose segments wait at once.
const CONNECTIONS: usize = 8;
/// Segments of one packet.
pub(crate) const SEGMENTS: usize = 64;
/// Segments that wait at once.
const WAITING: usize = 128;

/// Segments that wait.
struct Open {
    connection: [u8; 12],
    run: Run,
    frames: Vec<Mbuf>,
}

/// Joins segments. It passes on all that it gets: a frame as it came, or a packet of several segments.
#[derive(Default)]
pub(crate) struct Joiner {
    open: Vec<Open>,
    waiting: usize,
    /// Memory that is used again for the next packets.
    spare: Vec<Vec<Mbuf>>,
}

impl Joiner {
    /// Takes a frame of TCP, and gives packets to `give`, with what the kernel is told about each. A frame
    /// that is no TCP over IPv4, or has a VLAN tag, is returned.
    pub(crate) fn take(&mut self, frame: Mbuf, mut give: impl FnMut(Mbuf, Header)) -> Result<(), Mbuf> {
        let Some(connection) = connection(frame.data()) else { return Err(frame) };
        let segment = Segment::of(frame.data());
        if let Some(i) = self.open.iter().position(|open| open.connection == connection) {
            let open = &mut self.open[i];
            if let Some(segment) = &segment
                && open.run.take(frame.data(), segment)
            {
                open.frames.push(frame);
                self.waiting += 1;
                let is_full = open.frames.len() >= SEGMENTS || self.waiting >= WAITING;
                if open.run.is_over() || is_full {
                    self.close(i, &mut give);
                }
                return Ok(());
            }
            self.close(i, &mut give);
        }
        let Some(segment) = segment else {
            give(frame, Header::default());
            return Ok(());
        };
        let run = Run::of(frame.data(), &segment);
        if run.is_over() {
            give(frame, Header::default());
            return Ok(());
        }
        while self.open.len() >= CONNECTIONS || self.waiting >= WAITING {
            self.close(0, &mut give);
        }
        let mut frames = self.spare.pop().unwrap_or_default();
        frames.push(frame);
        self.waiting += 1;
        self.open.push(Open { connection, run, frames });
        Ok(())
    }

    /// Gives all that waits.
    pub(crate) fn flush(&mut self, mut give: impl FnMut(Mbuf, Header)) {
        while !self.open.is_empty() {
            self.close(0, &mut give);
        }
    }

    /// Gives the segments of a connection.
    fn close(&mut self, i: usize, give: &mut impl FnMut(Mbuf, Header)) {
        let Open { run, mut frames, .. } = self.open.remove(i);
        self.waiting -= frames.len();
        // The kernel does not verify a joined packet, so each segment is verified here.
        let joins = frames.len() > 1 && frames.iter().all(|frame| verify(frame.data()));
        if joins {
            frames.last_mut().and_then(Mbuf::data_mut).into_iter().for_each(Run::unpush);
            join(&mut frames);
        }
        let n = frames.len();
        for (i, mut packet) in frames.drain(..).enumerate() {
            let (several, len) = (packet.nb_segs() > 1, packet.pkt_len() as usize);
            let mut header = Header::default();
            if let Some(data) = packet.data_mut().filter(|_| joins) {
                if several && let Some(told) = run.complete(data, len) {
                    header = told;
                }
                if i + 1 == n {
                    run.push(data);
                }
            }
            give(packet, header);
        }
        self.spare.push(frames);
    }
}
