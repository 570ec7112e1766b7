//! Forward order: what a kernel's fragments cost, from one sender or from many that interleave.
//!
//! Each sender sends its datagrams in order, first fragment first, and senders take turns frame by frame: so
//! with 4096 of them as many datagrams are incomplete at once, which is the worst that so many can do. Slots
//! are separate, the policy is the default one, and both sides have [`BOUND`] bytes for what they receive.
//!
//! All get the same frames. By default LM proves a datagram by its headers and its UDP checksum, which reads
//! every byte; `rte_ip_frag` never looks at it. So there are two pairs of the same work: datagrams without a
//! UDP checksum, which neither side reads, and `chain + sums`, which sums with LM's own code. Both sides sum
//! a frame when it comes, as long as it is in the cache.

use std::fmt::Write as _;
use std::ptr;
use std::time::{Duration, Instant};

use lm_engine::{AdoptedReceiver, Arrived, Message, ReceiverConfig};
use lm_landing::{LandingPool, PoolConfig, RegionKind, SlotLayout, Writes};
use lm_proto::layout::Geometry;
use lm_proto::reassembler::Limits;
use lm_proto::wire::{ETHERNET, Flow, HEADERS, IPV4, Ipv4, PROTO_UDP};
use pmd_e1000::device::traits_of;
use rte::Eal;
use rte::mempool::Mempool;

use crate::ffi::{BURST, Driver, Mode, Peer, Peers, Queue, Sink, cycles, gauge};
use crate::report::{Row, Sample, quiet};
use crate::traffic::{FLOW, Traffic, cut_for, pattern};
use crate::variant::Failure;

/// Bytes that each side has for what it receives: region, or mbufs.
const BOUND: usize = 64 << 20;
/// Bytes of region as long as nothing more is needed; it grows by as much, up to the bound.
const SMALL: usize = 4 << 20;
const SENDERS: [usize; 4] = [1, 16, 256, 4096];
const SIZES: [usize; 3] = [7168, 16_384, 65_507];
/// Descriptors of the ring.
const RING: u16 = 256;
/// Bytes that a frame takes at most, on either side: a slot with what lies between two, an mbuf with its
/// room.
const SLOT: usize = 2048 + 128;
const MBUF: usize = 2048 + 128 + 128 + 64;
/// Frames of a block that are measured, about; as many come before that warm up.
const BLOCK: usize = 20_480;
/// Bodies that differ, when every byte is compared.
const DISTINCT: usize = 4;

/// What is done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// LM: the pieces where they landed; one slice.
    Pieces,
    Contiguous,
    Peer(Peer),
}

/// A line of the table: who, and whether the datagrams have a UDP checksum.
struct Line {
    name: &'static str,
    kind: Kind,
    summed: bool,
}

const fn line(name: &'static str, kind: Kind, summed: bool) -> Line {
    Line { name, kind, summed }
}

const LINES: [Line; 8] = [
    line("LM, pieces", Kind::Pieces, true),
    line("LM, contiguous", Kind::Contiguous, true),
    line("ip_frag, chain", Kind::Peer(Peer::StreamChain), true),
    line("ip_frag, chain + sums", Kind::Peer(Peer::StreamChainSum), true),
    line("ip_frag, chain + copy", Kind::Peer(Peer::StreamCopy), true),
    line("ip_frag, chain + copy + sums", Kind::Peer(Peer::StreamCopySum), true),
    line("no checksum: LM, pieces", Kind::Pieces, false),
    line("no checksum: ip_frag, chain", Kind::Peer(Peer::StreamChain), false),
];

/// The frames of so many senders, which interleave.
struct Stream {
    senders: usize,
    size: usize,
    /// Frames of each body, in order, and the payloads.
    bodies: Vec<Vec<Vec<u8>>>,
    payloads: Vec<Vec<u8>>,
    /// What comes next: identification, fragment, sender.
    next: (u16, usize, usize),
}

/// Addresses whose two halves add up to the same, so that the UDP checksum is one.
fn flow(sender: usize) -> Flow {
    let sender = sender as u32;
    Flow { src: (0x0a00 + sender) << 16 | (0x8000 - sender), ..FLOW }
}

/// The sender with this address.
fn sender(address: u32) -> usize {
    (address >> 16).wrapping_sub(0x0a00) as usize
}

impl Stream {
    fn new(senders: usize, size: usize, summed: bool, distinct: usize) -> Self {
        let payloads: Vec<_> = (0..distinct).map(|body| pattern(size, body as u64)).collect();
        let bodies = payloads.iter().map(|payload| cut_for(payload, flow(0), 0, summed)).collect();
        Self { senders, size, bodies, payloads, next: (0, 0, 0) }
    }

    fn fragments(&self) -> usize {
        self.bodies[0].len()
    }

    /// Frames of one datagram of each sender.
    fn cycle(&self) -> usize {
        self.senders * self.fragments()
    }

    fn payload(&self, sender: usize) -> &[u8] {
        &self.payloads[sender % self.payloads.len()]
    }

    /// The card receives the next `frames`.
    fn dma(&mut self, queue: &mut Queue, frames: usize, flush: bool) {
        let (n, stride) = (self.fragments(), Geometry::ETHERNET.stride());
        for _ in 0..frames {
            let (id, fragment, sender) = self.next;
            let frame = &self.bodies[sender % self.bodies.len()][fragment];
            let mut headers: [u8; HEADERS] = *frame.first_chunk().expect("a frame has headers");
            let Flow { src, dst, .. } = flow(sender);
            let ip = Ipv4 {
                src,
                dst,
                id,
                protocol: PROTO_UDP,
                ttl: 64,
                more: fragment + 1 < n,
                offset: (fragment * stride) as u32,
                header_len: IPV4 as u8,
                payload_len: (frame.len() - HEADERS) as u16,
            };
            let (_, at) = headers.split_at_mut(ETHERNET);
            ip.emit(at.try_into().expect("20 bytes"));
            queue.dma_as(&headers, frame, flush);
            self.next = match (sender + 1 < self.senders, fragment + 1 < n) {
                (true, _) => (id, fragment, sender + 1),
                (false, true) => (id, fragment + 1, 0),
                (false, false) => (id.wrapping_add(1), 0, 0),
            };
        }
    }
}

/// What one side counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Got {
    frames: u64,
    datagrams: u64,
    bytes: u64,
    bad: u64,
    sum: u64,
}

/// LM, or its peer.
enum Side {
    Lm(Box<AdoptedReceiver>),
    Peer(Peers, Mempool),
}

/// A side with its queue, which goes before its pool.
struct End {
    queue: Queue,
    side: Side,
    /// The most slots that were held.
    held: u64,
}

impl End {
    fn lm(eal: &Eal) -> Result<Self, Failure> {
        let config = PoolConfig {
            name: "b_senders".to_owned(),
            descriptors: RING,
            spare_mbufs: 128,
            region: SMALL,
            max_region: BOUND,
            kind: RegionKind::Mirrored,
            stride: Geometry::ETHERNET.stride(),
            room: 2048,
            layout: SlotLayout::Separate,
            socket: None,
            writes: Writes { at_any_time: true, ..Writes::default() },
        };
        let pool = LandingPool::create(eal, &config)?;
        // As much as the region allows.
        let limits = Limits { window: Limits::MAX_WINDOW, ..Limits::default() };
        let config = ReceiverConfig { limits, ..ReceiverConfig::default() };
        let receiver = AdoptedReceiver::new(eal, pool, traits_of("net_e1000_igb", "")?, &config)?;
        let pool = receiver.pool().as_ptr();
        Self::new(pool, Side::Lm(Box::new(receiver)))
    }

    fn peer(eal: &Eal) -> Result<Self, Failure> {
        let mbufs = (BOUND / MBUF) as u32;
        let pool = Mempool::pktmbuf(eal, "b_ip_frag", mbufs, 256, 0, 2048 + 128, None)?;
        let peers = Peers::new(eal, 8192, 4).ok_or("no memory for the peers")?;
        Self::new(pool.as_ptr(), Side::Peer(peers, pool))
    }

    fn new(pool: *mut dpdk_sys::rte_mempool, side: Side) -> Result<Self, Failure> {
        // SAFETY: the pool is dropped after the queue and used by this thread; both kinds have 2048 bytes of
        // room.
        let queue =
            unsafe { Queue::new(pool, RING.into(), Driver::Igb) }.ok_or("the ring cannot be filled")?;
        Ok(Self { queue, side, held: 0 })
    }

    /// Takes everything that was received: this is what is measured.
    #[inline(never)]
    fn run(&mut self, kind: Kind, got: &mut Got, stream: &Stream, compare: bool, empty: &Traffic) {
        match (&mut self.side, kind) {
            (Side::Peer(peers, _), Kind::Peer(peer)) => {
                let mut sink = Sink::new(Mode::Touch, empty);
                peer.run(peers, &mut self.queue, &mut sink);
                got.frames += sink.frames;
                got.datagrams += sink.datagrams;
                got.bytes += sink.bytes;
                got.bad += sink.bad;
                got.sum += sink.sum;
            }
            (Side::Lm(receiver), _) => {
                let contiguous = kind == Kind::Contiguous;
                let mut mbufs = [ptr::null_mut(); BURST];
                loop {
                    let n = self.queue.receive(&mut mbufs);
                    let mut take = |mut message: Arrived<'_>| {
                        got.datagrams += 1;
                        got.bytes += message.len() as u64;
                        if compare {
                            got.bad += u64::from(!is_right(&mut message, contiguous, stream));
                        } else if contiguous {
                            got.sum += u64::from(message.contiguous().first().copied().unwrap_or_default());
                        } else {
                            let first = message.pieces().next().and_then(|piece| piece.first().copied());
                            got.sum += u64::from(first.unwrap_or_default());
                        }
                    };
                    // SAFETY: just received, in order, from the queue that the receiver's pool feeds.
                    unsafe { receiver.process(&mbufs[..n], &mut take) };
                    got.frames += n as u64;
                    if n == 0 {
                        return;
                    }
                }
            }
            (Side::Peer(..), _) => unreachable!("a line of LM's has LM's end"),
        }
    }

    /// A block: all senders' datagrams, whole cycles of them; TSC cycles of a frame.
    fn block(
        &mut self,
        line: &Line,
        stream: &mut Stream,
        (frames, flush, compare): (usize, bool, bool),
        empty: &Traffic,
    ) -> Result<f64, Failure> {
        let frames = frames.div_ceil(stream.cycle()) * stream.cycle();
        let (mut left, mut spent, mut got) = (frames, 0, Got::default());
        while left > 0 {
            let now = left.min(RING.into());
            stream.dma(&mut self.queue, now, flush);
            let start = cycles();
            self.run(line.kind, &mut got, stream, compare, empty);
            spent += cycles() - start;
            left -= now;
            if compare && let Side::Lm(receiver) = &self.side {
                self.held = self.held.max(receiver.pool().held());
            }
        }
        let datagrams = (frames / stream.fragments()) as u64;
        let want = Got {
            frames: frames as u64,
            datagrams,
            bytes: datagrams * stream.size as u64,
            bad: 0,
            sum: got.sum,
        };
        if got == want {
            Ok(spent as f64 / frames as f64)
        } else {
            Err(format!(
                "{}, {} senders of {} bytes: {got:?}, not {want:?}",
                line.name, stream.senders, stream.size
            )
            .into())
        }
    }

    /// Everything goes back; whether it was all there, and what was counted says that nothing was lost.
    fn close(self) -> Result<String, Failure> {
        let Self { queue, side, held } = self;
        drop(queue);
        match side {
            Side::Peer(_, pool) => {
                let (all, size) = (pool.available(), pool.size());
                if all != size {
                    return Err(format!("ip_frag: {all} of {size} mbufs came back").into());
                }
                Ok(format!(
                    "ip_frag: {size} mbufs of {MBUF} bytes, {:.1} MB",
                    megabytes(size as usize * MBUF)
                ))
            }
            Side::Lm(receiver) => {
                let counters = receiver.counters();
                let drops: u64 = counters.drops().map(|(_, n)| n).sum();
                let region = receiver.pool().region();
                let copied = counters.copied_datagrams - counters.joined;
                let (pool, _) = receiver.close();
                if drops != 0 || copied != 0 || pool.held() != 0 || pool.available() != pool.size() {
                    return Err(format!(
                        "LM: {drops} drops, {copied} copied, {} slots still held, {} of {} mbufs",
                        pool.held(),
                        pool.available(),
                        pool.size()
                    )
                    .into());
                }
                Ok(format!(
                    "LM: region {:.1} MB; at most {held} slots waited, of {SLOT} bytes, {:.1} MB; {} datagrams \
                     delivered, {} in pieces, {} of those copied together as one slice was wanted, no other \
                     copied, none lost",
                    megabytes(region),
                    megabytes(held as usize * SLOT),
                    counters.datagrams,
                    counters.pieces,
                    counters.joined
                ))
            }
        }
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Whether every byte is its sender's, and came as was asked for.
fn is_right(message: &mut Message, contiguous: bool, stream: &Stream) -> bool {
    let payload = stream.payload(sender(message.flow().src));
    if contiguous {
        return message.contiguous() == payload && message.is_copied();
    }
    let (mut at, mut right) = (0, message.pieces().len() == stream.fragments() && !message.is_copied());
    for piece in message.pieces() {
        right &= payload.get(at..at + piece.len()) == Some(piece);
        at += piece.len();
    }
    right && at == payload.len()
}

/// Whether so many senders' datagrams of this size fit into the bound.
fn fits(senders: usize, size: usize) -> bool {
    let frames = senders * crate::traffic::fragments(size);
    (frames + 2 * usize::from(RING) + 1024) * MBUF.max(SLOT) <= BOUND
}

/// What one line takes at this size: the stock reassembler stops at eight fragments.
fn takes(line: &Line, size: usize) -> bool {
    !matches!(line.kind, Kind::Peer(_)) || crate::traffic::fragments(size) <= 8
}

/// How long, and what of it.
pub(crate) struct Options {
    pub time: Duration,
    pub blocks: Option<usize>,
    pub sizes: Vec<usize>,
}

/// Measures all of it, and says what came out.
pub(crate) fn run(eal: &Eal, options: &Options) -> Result<String, Failure> {
    let mut ends = [End::lm(eal)?, End::peer(eal)?];
    let empty = Traffic::new(crate::traffic::Cut::Plain, 64, 1, false);
    let mut rows: Vec<(usize, usize, Row)> = Vec::new();
    let (sets, sizes) =
        ([("hot", false), ("cold", true)], || SIZES.into_iter().filter(|size| options.sizes.contains(size)));
    for size in sizes() {
        for senders in SENDERS.into_iter().filter(|&senders| fits(senders, size)) {
            for (i, line) in LINES.iter().enumerate().filter(|(_, line)| takes(line, size)) {
                let mut stream = Stream::new(senders, size, line.summed, DISTINCT);
                let end = &mut ends[usize::from(matches!(line.kind, Kind::Peer(_)))];
                let twice = 2 * stream.cycle();
                end.block(line, &mut stream, (twice, false, true), &empty)?;
                for (set, _) in sets {
                    let fragments = stream.fragments();
                    let (variant, samples) = (line.name, Vec::new());
                    let row = Row { size, set, variant, read: false, fragments, samples, copied: None };
                    rows.push((senders, i, row));
                }
            }
        }
    }
    let start = Instant::now();
    let mut done = 0;
    while options.blocks.map_or(start.elapsed() < options.time, |n| done < n) || done == 0 {
        for (senders, i, row) in &mut rows {
            let line = &LINES[*i];
            let flush = sets.iter().any(|&(name, flush)| flush && name == row.set);
            let mut stream = Stream::new(*senders, row.size, line.summed, 1);
            let end = &mut ends[usize::from(matches!(line.kind, Kind::Peer(_)))];
            end.block(line, &mut stream, (BLOCK / 2, flush, false), &empty)?;
            let before = gauge();
            let cycles = end.block(line, &mut stream, (BLOCK, flush, false), &empty)?;
            row.samples.push(Sample { cycles, gauge: before.max(gauge()) });
        }
        done += 1;
    }
    let mut out = format!(
        "\nforward order, senders that interleave frame by frame: separate slots, default policy, ring {RING}, \
         {:.0} MB for what is received on either side\n",
        megabytes(BOUND)
    );
    let _ = writeln!(out, "{}", quiet(rows.iter_mut().map(|(.., row)| row).collect()));
    tables(&mut out, &rows, sets.map(|(name, _)| name));
    musts(&mut out, &rows);
    for end in ends {
        let _ = writeln!(out, "{}", end.close()?);
    }
    Ok(out)
}

fn find<'a>(rows: &'a [(usize, usize, Row)], key: (&str, usize, usize, &str)) -> Option<&'a Row> {
    let (set, size, senders, name) = key;
    let found =
        rows.iter().find(|(n, _, row)| (row.set, row.size, *n, row.variant) == (set, size, senders, name));
    found.map(|(.., row)| row)
}

fn tables(out: &mut String, rows: &[(usize, usize, Row)], sets: [&str; 2]) {
    for set in sets {
        let _ = writeln!(out, "\n{set}: TSC cycles per frame, median of blocks; senders");
        let _ = write!(out, "  {:<32}", "bytes");
        let columns: Vec<(usize, usize)> = SIZES
            .into_iter()
            .flat_map(|size| SENDERS.map(|senders| (size, senders)))
            .filter(|&(size, n)| rows.iter().any(|(senders, _, row)| (*senders, row.size) == (n, size)))
            .collect();
        columns.iter().for_each(|(size, n)| _ = write!(out, "{:>12}", format!("{size}/{n}")));
        out.push('\n');
        for line in &LINES {
            let _ = write!(out, "  {:<32}", line.name);
            for &(size, n) in &columns {
                let cell = find(rows, (set, size, n, line.name)).map(|row| format!("{:.1}", row.per_frame()));
                let _ = write!(out, "{:>12}", cell.unwrap_or_else(|| "-".to_owned()));
            }
            out.push('\n');
        }
    }
    out.push('\n');
}

/// The ratios that are asked for, those of the same work and that as it is.
fn musts(out: &mut String, rows: &[(usize, usize, Row)]) {
    let mut say =
        |what: &str, over: Option<&Row>, under: Option<&Row>, must: f64, goal: f64, where_: &str| {
            let Some((over, under)) = over.zip(under) else { return };
            let value = over.per_frame() / under.per_frame();
            let verdict = match value {
                value if value <= goal => "goal",
                value if value <= must => "must",
                _ => "missed",
            };
            let _ = writeln!(out, "{what:<52}{where_:<18}{value:>6.2}   ≤{must:<5} ≤{goal:<5} {verdict}");
        };
    let pairs = [
        ("pieces ÷ chain, neither sums", "no checksum: LM, pieces", "no checksum: ip_frag, chain"),
        ("pieces ÷ chain, both sum", "LM, pieces", "ip_frag, chain + sums"),
        ("pieces ÷ chain, as they are: LM alone sums", "LM, pieces", "ip_frag, chain"),
        ("contiguous ÷ chain + copy, both sum", "LM, contiguous", "ip_frag, chain + copy + sums"),
        ("contiguous ÷ chain + copy, as they are", "LM, contiguous", "ip_frag, chain + copy"),
    ];
    for (what, over, under) in pairs {
        for set in ["hot", "cold"] {
            for n in SENDERS {
                let row = |name| find(rows, (set, 7168, n, name));
                say(what, row(over), row(under), 1.0, 1.0, &format!("{set} {n}"));
            }
        }
    }
    for line in LINES.iter().filter(|line| line.kind == Kind::Pieces) {
        for set in ["hot", "cold"] {
            for size in SIZES {
                let row = |n| find(rows, (set, size, n, line.name));
                let Some((most, over)) = SENDERS.iter().rev().find_map(|&n| Some((n, row(n)?))) else {
                    continue;
                };
                let what = format!("{}, {most} senders ÷ 1", line.name);
                say(&what, Some(over), row(1), 2.0, 1.3, &format!("{set} {size}"));
            }
        }
    }
}
