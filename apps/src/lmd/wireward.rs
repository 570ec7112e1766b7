//! [`Wireward`]: takes what the kernel sends to the wire.
//!
//! [`super::daemon`] calls [`Wireward::turn`] in each turn of its loop. One frame is read after the other,
//! and the next one only when the wire has taken the last one. What the wire does not take waits in the
//! kernel's queue of the interface, which is bounded. Every frame that is dropped is counted.

use std::collections::VecDeque;
use std::io::IoSlice;

use lm_crossing::cut::cut;
use lm_crossing::mss;
use lm_crossing::outward::{self, Out, Wire};
use lm_crossing::pair::{Paired, Pairing};
use lm_crossing::too_big::{Rate, answer, answer6};
use lm_crossing::view::Ipv4View;
use lm_crossing::virtio::{self, Header};
use lm_engine::{SendBuffer, Sender, WouldBlock};
use lm_node::Outlet;
use lm_node::config::PortConfig;
use lm_proto::alf::Ends;
use lm_proto::order::{Mark, Order, Stations};
use lm_proto::wire::{ETHERNET, FCS, Mac, VLAN};
use lm_tap::Tap;
use rte::mempool::{Mempool, PoolError};
use rte::{Eal, Mbuf};

use super::cutter::{Cut, Cutter, MOST_HEADERS};
use super::deferred::{Deferred, Way};
use super::tally::Tally;

/// mbufs of each kind at least.
const MBUFS: u32 = 2047;
/// mbufs beside those that a ring may keep: what one packet is cut into, twice.
const BESIDE: u32 = 256;
/// Bytes of an mbuf beside its room: its own 128, and what a pool puts around it.
const MBUF: usize = 256;
/// Frames that one turn reads at most.
const TURN: usize = 32;
/// Bytes after which one turn reads no more, so that what comes from the wire does not wait for long.
const BYTES: usize = 256 << 10;
/// Frames that are dropped at once when the link goes down: the interface's queue holds 1000.
const DRAINED: usize = 2000;
/// The longest frame that is read: the longest packet behind its link header with two tags.
const LONGEST: usize = virtio::LEN + 65_535 + ETHERNET + 2 * VLAN;

/// What waits for room on the wire.
enum Waiting {
    Frame(Mbuf),
    Datagram(SendBuffer, Ends),
}

/// Moves frames from the kernel's interface to the wire.
pub(crate) struct Wireward {
    wire: Wire,
    frames: Mempool,
    waiting: VecDeque<Waiting>,
    pairing: Pairing,
    rate: Rate,
    /// Identification of the next packet that is cut here.
    id: u16,
    /// Where frames are read to.
    read: Vec<u8>,
    /// A frame for which buffers were short. It is tried again in the next turn.
    held: Option<(Header, Vec<u8>)>,
    /// mbufs for one packet's fragments; empty between two packets.
    made: Vec<Mbuf>,
    /// Cuts long TCP.
    cutter: Cutter,
    /// The interface is down, so nothing can be read.
    is_interface_down: bool,
    /// The interface's MAC address.
    mac: Mac,
    /// The stations that are known to be LM nodes.
    stations: Stations,
    /// In which order fragments go to everybody, if that is fixed.
    order: Option<Order>,
    /// What waits for its receiver's leave.
    deferred: Deferred<SendBuffer>,
}

/// mbufs of each kind.
fn mbufs(config: &PortConfig) -> u32 {
    MBUFS.max(u32::from(config.txd.unwrap_or_default()) + BESIDE)
}

/// Room of an mbuf for a frame, headroom included.
fn room(mtu: u16) -> u16 {
    128 + mtu + (14 + 2 * VLAN + FCS) as u16
}

impl Wireward {
    /// For an interface with this MAC address, and a wire with the MTU and the order of this configuration.
    pub(crate) fn new(
        eal: &Eal,
        mac: Mac,
        config: &PortConfig,
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        let mtu = config.mtu;
        let (mbufs, room) = (mbufs(config), room(mtu));
        let frames = Mempool::pktmbuf(eal, "lmd_frames", mbufs, 64, 0, room, socket)?;
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            wire: Wire { mtu },
            frames,
            waiting: VecDeque::new(),
            pairing: Pairing::default(),
            rate: Rate::default(),
            // A number that differs after each start: fragments of an earlier run may still wait somewhere.
            id: seed.subsec_micros() as u16,
            read: vec![0; LONGEST],
            held: None,
            made: Vec::new(),
            cutter: Cutter::new(eal, mbufs, socket)?,
            is_interface_down: false,
            mac,
            stations: Stations::default(),
            order: config.order,
            deferred: Deferred::default(),
        })
    }

    /// The most memory that it takes.
    pub(crate) fn memory(config: &PortConfig) -> usize {
        // A frame's, its headers', and one that shows it.
        let each = 3 * MBUF + usize::from(room(config.mtu)) + usize::from(128 + MOST_HEADERS);
        Pairing::MEMORY + 2 * LONGEST + mbufs(config) as usize * each
    }

    /// How many mbufs are not in their pools.
    pub(crate) fn out(&self) -> u32 {
        self.frames.in_use() + self.cutter.out()
    }

    /// Whether something waits for room on the wire.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.held.is_some()
    }

    /// Whether something waits for its receiver's leave.
    pub(crate) fn is_deferring(&self) -> bool {
        self.deferred.len() > 0
    }

    /// Whether the interface is down, as far as is known: nothing can be read from it.
    pub(crate) fn is_interface_down(&self) -> bool {
        self.is_interface_down
    }

    /// Learns from a frame of the wire whether its sender is an LM node.
    pub(crate) fn hear(&mut self, frame: &[u8]) {
        self.stations.hear(frame);
    }

    /// How many stations have said that they are nodes of LM's.
    pub(crate) fn nodes(&self) -> usize {
        self.stations.nodes()
    }

    /// Learns that LM's tag came from this address.
    pub(crate) fn heard_tag(&mut self, address: u32) {
        self.stations.heard_tag(address);
    }

    /// The link is down: drops what waits, and what the kernel had given to the interface before it knew.
    /// Otherwise these frames would stay charged to the socket buffers of their senders.
    pub(crate) fn drain(&mut self, tap: &Tap, tally: &mut Tally) {
        self.clear(tally);
        // As many as the queue of an interface holds, and some that arrive meanwhile.
        for _ in 0..DRAINED {
            let Ok(Some(_)) = tap.read(&mut self.read) else { break };
            tally.no_link += 1;
        }
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self, tally: &mut Tally) {
        tally.no_link += self.waiting.len() as u64 + u64::from(self.held.is_some());
        tally.no_link += self.deferred.clear() as u64;
        self.waiting.clear();
        self.held = None;
    }

    /// Reads what the kernel sends and brings it to the wire, as far as there is room. Returns how many
    /// frames were read.
    pub(crate) fn turn(&mut self, tap: &Tap, outlet: &mut Outlet, now: u64, tally: &mut Tally) -> usize {
        self.pairing.expire(now);
        tally.pieces_lost = self.pairing.lost();
        tally.without_leave = self.deferred.without();
        if !self.flush(outlet, now) {
            return 0;
        }
        if let Some((header, mut frame)) = self.held.take() {
            self.take(header, &mut frame, tap, &mut outlet.sender, now, tally);
            self.flush(outlet, now);
        }
        let mut read = std::mem::take(&mut self.read);
        let (mut n, mut bytes) = (0, 0);
        while n < TURN && bytes < BYTES && !self.is_waiting() {
            let frame = tap.read(&mut read);
            self.is_interface_down = frame.is_err();
            let Ok(Some(len)) = frame else { break };
            (n, bytes) = (n + 1, bytes + len);
            let Some(header) = Header::parse(&read[..len]) else { continue };
            self.take(header, &mut read[virtio::LEN..len], tap, &mut outlet.sender, now, tally);
            self.flush(outlet, now);
        }
        self.read = read;
        n
    }

    /// Brings the datagrams that may go by now to the wire. Returns whether there was room for them.
    fn flush_deferred(&mut self, outlet: &mut Outlet, now: u64) -> bool {
        while let Some((buffer, way)) = self.deferred.next(now, |ends| outlet.leave(ends)) {
            if let Err(WouldBlock(buffer)) = self.send(buffer, &way, outlet) {
                self.deferred.put_back(buffer, &way);
                return false;
            }
        }
        true
    }

    /// Brings what waits for room to the wire. Returns whether all of it went, or waits for leave now.
    fn flush(&mut self, outlet: &mut Outlet, now: u64) -> bool {
        if !self.flush_deferred(outlet, now) {
            return false;
        }
        while let Some(waiting) = self.waiting.pop_front() {
            let back = match waiting {
                Waiting::Frame(frame) => outlet.sender.send_frame(frame).err().map(Waiting::Frame),
                Waiting::Datagram(buffer, ends) => {
                    let asks = outlet.admission.is_some() && self.suits(&ends) == Order::Reverse;
                    let leave = |ends| if asks { outlet.leave(ends) } else { Some(ends) };
                    let Some((buffer, way)) = self.deferred.ask(buffer, ends, now, leave) else {
                        if self.deferred.is_over() && !self.flush_deferred(outlet, now) {
                            return false;
                        }
                        continue;
                    };
                    self.send(buffer, &way, outlet).err().map(|WouldBlock(b)| Waiting::Datagram(b, ends))
                }
            };
            if let Some(back) = back {
                self.waiting.push_front(back);
                return false;
            }
        }
        true
    }

    /// The order of fragments that suits a station: reverse, if it is a node of LM's.
    fn suits(&self, ends: &Ends) -> Order {
        self.stations.order(ends.dst_mac, ends.flow.dst)
    }

    fn send(
        &mut self,
        buffer: SendBuffer,
        way: &Way,
        outlet: &mut Outlet,
    ) -> Result<(), WouldBlock<SendBuffer>> {
        outlet.sender.set_order(self.order.unwrap_or_else(|| self.suits(&way.to)));
        outlet.send(buffer, &way.to).map(|()| self.deferred.went(way))
    }

    /// Decides what becomes of a frame.
    fn take(
        &mut self,
        header: Header,
        frame: &mut [u8],
        tap: &Tap,
        sender: &mut Sender,
        now: u64,
        tally: &mut Tally,
    ) {
        match outward::outward(frame, &header, self.wire) {
            Out::AsItIs => self.as_it_is(header, frame, tally),
            Out::Datagram { .. } => self.datagram(header, frame, sender, tally),
            Out::Cut(ip) => self.cut(header, frame, &ip, tally),
            Out::Piece(ip) => match self.pairing.take(frame, &ip, now) {
                Paired::Kept => {}
                Paired::Whole(mut whole) => {
                    self.take(Header::default(), &mut whole, tap, sender, now, tally);
                }
                Paired::Lone => tally.pieces_lost += 1,
                Paired::No => self.cut(header, frame, &ip, tally),
            },
            Out::TooBig(ip) => self.tell(|mtu| answer(frame, &ip, mtu), tap, now, tally),
            Out::TooBig6 => self.tell(|mtu| answer6(frame, mtu), tap, now, tally),
            Out::Segments(ip) => self.segments(header, frame, &ip, tally),
            Out::Never => tally.never += 1,
        }
    }

    /// Tells the kernel that a packet was too long, unless it was told too often.
    fn tell(&mut self, answer: impl FnOnce(u16) -> Option<Vec<u8>>, tap: &Tap, now: u64, tally: &mut Tally) {
        tally.too_big += 1;
        if self.rate.take(now)
            && let Some(answer) = answer(self.wire.mtu)
        {
            let none = Header::default().bytes();
            tally.told += u64::from(tap.write(&[IoSlice::new(&none), IoSlice::new(&answer)]).is_ok());
        }
    }

    /// Keeps a frame for which buffers are short.
    fn hold(&mut self, header: Header, frame: &[u8]) {
        self.held = Some((header, frame.to_vec()));
    }

    fn as_it_is(&mut self, header: Header, frame: &mut [u8], tally: &mut Tally) {
        tally.clamped += u64::from(mss::clamp(frame, self.wire.mtu, header.checksum.is_some()));
        // The kernel's ARP frames say that lmd is a node of LM's.
        let marked = &mut Mark::on(frame, self.mac);
        let frame = marked.as_mut().map_or(frame, |marked| &mut marked[..]);
        let Some(mut mbuf) = self.frames.alloc() else { return self.hold(header, frame) };
        let room = u16::try_from(frame.len()).ok().and_then(|len| mbuf.append(len));
        let Some(to) = room.filter(|_| header.complete(frame)) else {
            tally.never += 1;
            return;
        };
        to.copy_from_slice(frame);
        tally.sent += 1;
        self.waiting.push_back(Waiting::Frame(mbuf));
    }

    fn datagram(&mut self, header: Header, frame: &[u8], sender: &mut Sender, tally: &mut Tally) {
        let ip = Ipv4View::of(frame);
        let Some(Out::Datagram { flow, service, start, end }) =
            ip.and_then(|ip| outward::datagram(frame, &ip))
        else {
            tally.never += 1;
            return;
        };
        let Some(mut buffer) = sender.buffer() else { return self.hold(header, frame) };
        buffer.fill(&frame[start..end]);
        buffer.set_service(service);
        let mac = |at: usize| std::array::from_fn(|i| frame[at + i]);
        tally.sent_whole += 1;
        self.waiting.push_back(Waiting::Datagram(buffer, Ends { src_mac: mac(6), dst_mac: mac(0), flow }));
    }

    fn segments(&mut self, header: Header, frame: &[u8], ip: &Ipv4View, tally: &mut Tally) {
        let Self { cutter, frames, waiting, wire, .. } = self;
        match cutter.cut((frame, ip), (header.segment, wire.mtu), frames, |segment| {
            waiting.push_back(Waiting::Frame(segment));
        }) {
            Cut::Done(None) => tally.sent_segmented += 1,
            Cut::Done(Some(rest)) => self.held = Some((header, rest)),
            Cut::Short => self.hold(header, frame),
            Cut::Never => tally.never += 1,
        }
    }

    fn cut(&mut self, header: Header, frame: &mut [u8], ip: &Ipv4View, tally: &mut Tally) {
        let mtu = usize::from(self.wire.mtu);
        let mut n = 0;
        if !cut(frame, ip, mtu, self.id, |_, _| n += 1) || !header.complete(frame) {
            tally.never += 1;
            return;
        }
        // All fragments or none: without one of them the others are useless.
        if !self.frames.alloc_many(n, &mut self.made) {
            return self.hold(Header::default(), frame);
        }
        let (made, waiting) = (&mut self.made, &mut self.waiting);
        let mut whole = true;
        let first = waiting.len();
        cut(frame, ip, mtu, self.id, |headers, payload| {
            let to = made.pop().and_then(|mut mbuf| {
                let to = mbuf.append((headers.len() + payload.len()) as u16)?;
                to[..headers.len()].copy_from_slice(headers);
                to[headers.len()..].copy_from_slice(payload);
                Some(mbuf)
            });
            whole &= to.is_some();
            waiting.extend(to.map(Waiting::Frame));
        });
        if !whole {
            waiting.truncate(first);
            tally.never += 1;
            return;
        }
        self.id = self.id.wrapping_add(1);
        tally.sent_cut += 1;
    }
}
