//! Long TCP packets are cut, and their segments joined, as lmd does it: random streams come out with the same
//! bytes, in order, with good checksums, and every mbuf comes back. EAL starts once in a process, so this is
//! one test.

#[path = "../src/lmd/cutter.rs"]
mod cutter;
#[path = "../src/lmd/joiner.rs"]
mod joiner;

use std::collections::BTreeMap;

use cutter::{Cut, Cutter};
use joiner::Joiner;
use lm_crossing::run::connection;
use lm_crossing::segment::verify;
use lm_crossing::view::Ipv4View;
use lm_crossing::virtio::{Header, Segments};
use rte::mempool::Mempool;
use rte::{Eal, Mbuf};

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A packet that the kernel might send: its headers, and a part of a stream.
struct Long {
    /// The types of its tags, the outer one first.
    tags: Vec<u16>,
    /// Bytes of IPv4's options, and of TCP's.
    ip_options: usize,
    options: usize,
    port: u8,
    sequence: u32,
    flags: u8,
    dont: bool,
    id: u16,
}

impl Long {
    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for (i, tag) in self.tags.iter().enumerate() {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 5 + i as u8]);
        }
        frame.extend([8, 0]);
        let len = 40 + self.ip_options + self.options + payload.len();
        frame.extend([0x45 + (self.ip_options / 4) as u8, 2]);
        frame.extend((len as u16).to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend([if self.dont { 0x40 } else { 0 }, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(vec![1; self.ip_options]);
        frame.extend([0, self.port, 0x1f, 0x90]);
        frame.extend(self.sequence.to_be_bytes());
        frame.extend([0, 0, 0, 7, ((5 + self.options / 4) << 4) as u8, self.flags, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..self.options).map(|i| [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8][i % 12]));
        frame.extend(payload);
        frame
    }
}

fn bytes(packet: &Mbuf) -> Vec<u8> {
    packet.segments().flatten().copied().collect()
}

fn mbuf(pool: &Mempool, frame: &[u8]) -> Mbuf {
    let mut mbuf = pool.alloc().expect("an mbuf");
    mbuf.append(frame.len() as u16).expect("room").copy_from_slice(frame);
    mbuf
}

/// Where TCP's header begins, and where its payload does.
fn places(frame: &[u8]) -> (usize, usize) {
    let ip = Ipv4View::of(frame).expect("IPv4");
    (ip.payload, ip.payload + usize::from(frame[ip.payload + 12] >> 4) * 4)
}

/// Cuts a packet as often as it takes.
fn cut(cutter: &mut Cutter, frames: &Mempool, frame: Vec<u8>, mss: u16, mtu: u16) -> Vec<Vec<u8>> {
    let (mut rest, mut all) = (Some(frame), Vec::new());
    while let Some(frame) = rest {
        let ip = Ipv4View::of(&frame).expect("IPv4");
        let done = cutter.cut((&frame, &ip), (mss, mtu), frames, |segment| all.push(bytes(&segment)));
        let Cut::Done(left) = done else { panic!("{done:?} of {} bytes for {mss}, {mtu}", frame.len()) };
        rest = left;
    }
    all
}

/// Segments are what the headers of the long packet say, each with its own numbers and good checksums.
fn check(long: &Long, whole: &[u8], segments: &[Vec<u8>], mss: u16, mtu: u16) {
    let (tcp, start) = places(whole);
    let room = usize::from(mtu) - (start - 14 - 4 * long.tags.len());
    let each = room.min(mss.into());
    let parts: Vec<_> = whole[start..].chunks(each).collect();
    assert_eq!(segments.len(), parts.len());
    for (i, (segment, part)) in segments.iter().zip(&parts).enumerate() {
        assert_eq!(&segment[start..], *part, "{i}");
        assert!(verify(segment), "{i}");
        assert_eq!(segment[..14 + 4 * long.tags.len()], whole[..14 + 4 * long.tags.len()], "tags");
        let ip = Ipv4View::of(segment).expect("IPv4");
        assert_eq!((ip.id, ip.dont), (long.id.wrapping_add(i as u16), long.dont));
        let sequence = long.sequence.wrapping_add((i * each) as u32);
        assert_eq!(segment[tcp + 4..tcp + 8], sequence.to_be_bytes());
        let first = if i == 0 { 0xff } else { 0x7f };
        let last = if i + 1 == parts.len() { 0xff } else { 0xf6 };
        assert_eq!(segment[tcp + 13], long.flags & first & last, "{i}");
        assert_eq!(segment[tcp + 20..start], whole[tcp + 20..start], "options");
    }
}

/// What a kernel makes of packets: each connection's bytes, in their order. What is bad it drops.
#[derive(Default)]
struct Kernel {
    streams: BTreeMap<[u8; 12], Vec<u8>>,
    packets: usize,
    joined: usize,
    dropped: usize,
}

impl Kernel {
    fn take(&mut self, packet: &Mbuf, header: &Header) {
        let mut frame = bytes(packet);
        self.packets += 1;
        let long = packet.nb_segs() > 1;
        assert_eq!((header.segments == Segments::Tcp4, header.checksum.is_some()), (long, long));
        self.joined += usize::from(long);
        assert!(header.complete(&mut frame));
        if !verify(&frame) {
            assert!(!long, "a bad segment was joined");
            self.dropped += 1;
            return;
        }
        let (_, start) = places(&frame);
        assert_eq!(usize::from(header.headers), if long { start } else { 0 });
        let connection = connection(&frame).expect("TCP");
        self.streams.entry(connection).or_default().extend_from_slice(&frame[start..]);
    }
}

#[test]
fn streams_are_cut_and_joined() {
    let prefix = format!("--file-prefix=lmlt{}", std::process::id());
    let args = ["long_tcp", "-l", "0", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry", &prefix];
    let (eal, _) = Eal::init(args).expect("EAL");
    let frames = Mempool::pktmbuf(&eal, "frames", 1023, 32, 0, 128 + 9000 + 34, None).expect("a pool");
    let mut cutter = Cutter::new(&eal, 1023, None).expect("pools");
    let mut joiner = Joiner::default();
    let mut random = Random(20);
    let mut joined = 0;
    for round in 0..400 {
        let mtu = [576, 1500, 1500, 9000][random.below(4)];
        let n = if random.below(8) == 0 { 1 + random.below(2) } else { 0 };
        let tags: Vec<_> = (0..n).map(|_| [0x8100, 0x88a8][random.below(2)]).collect();
        let dont = random.below(3) > 0;
        let mut wire: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut sent = BTreeMap::new();
        for port in 1..=1 + random.below(10) as u8 {
            let options = [0, 12, 40][random.below(3)];
            let mut long = Long {
                tags: tags.clone(),
                ip_options: 0,
                options,
                port,
                sequence: random.next() as u32,
                flags: 0x10,
                dont,
                id: random.next() as u16,
            };
            let mut segments = Vec::new();
            let mut stream = Vec::new();
            for _ in 0..=random.below(3) {
                let len = [1, 200, 5000, 65_535 - 40 - options][random.below(4)];
                let payload: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
                let mss = [mtu - 40 - options as u16, 1400, 536, 100][random.below(4)];
                long.flags = [0x10, 0x18, 0x90, 0x50, 0x19][random.below(5)];
                let whole = long.frame(&payload);
                let cut = cut(&mut cutter, &frames, whole.clone(), mss, mtu);
                check(&long, &whole, &cut, mss, mtu);
                long.sequence = long.sequence.wrapping_add(len as u32);
                long.id = long.id.wrapping_add(cut.len() as u16);
                stream.extend(payload);
                segments.extend(cut);
            }
            sent.insert(port, stream);
            wire.push(segments);
        }
        assert_eq!(frames.in_use(), 0);
        assert_eq!(cutter.out(), 0);
        // They arrive mixed, each connection in order, in polls of up to 100 frames; one may be broken.
        let mut kernel = Kernel::default();
        let mut broken = Vec::new();
        let mut left = 100;
        wire.iter_mut().for_each(|segments| segments.reverse());
        while wire.iter().any(|segments| !segments.is_empty()) {
            let from = random.below(wire.len());
            for _ in 0..=random.below(40) {
                let Some(mut frame) = wire[from].pop() else { break };
                if random.below(500) == 0 {
                    let (_, start) = places(&frame);
                    broken.push((from as u8 + 1, frame[start..].to_vec()));
                    frame[start] ^= 1;
                }
                let back = joiner.take(mbuf(&frames, &frame), |p, h| kernel.take(&p, &h)).is_err();
                assert_eq!(back, n > 0, "tagged frames pass");
                left -= 1;
                if left == 0 {
                    joiner.flush(|packet, header| kernel.take(&packet, &header));
                    assert_eq!(frames.in_use(), 0, "nothing waits across polls");
                    left = 1 + random.below(128);
                }
            }
        }
        joiner.flush(|packet, header| kernel.take(&packet, &header));
        assert_eq!(frames.in_use(), 0);
        joined += kernel.joined;
        if n > 0 {
            continue;
        }
        assert_eq!(kernel.dropped, broken.len(), "round {round}");
        for (connection, got) in kernel.streams {
            let port = connection[9];
            let mut whole = sent.remove(&port).expect("sent");
            let mut from = 0;
            for (_, part) in broken.iter().filter(|(of, _)| *of == port) {
                let at = from + whole[from..].windows(part.len()).position(|w| w == part).expect("there");
                whole.drain(at..at + part.len());
                from = at;
            }
            assert!(whole == got, "round {round}: the stream of {port} has other bytes");
        }
    }
    assert!(joined > 1000, "{joined} packets were joined");
    shapes(&mut cutter, &frames);
    short(&mut cutter, &frames);
    drop((cutter, joiner, frames));
    eal.cleanup().map_err(|(_, e)| e).expect("everything is back");
}

fn plain(tags: Vec<u16>, ip_options: usize, options: usize) -> Long {
    Long { tags, ip_options, options, port: 1, sequence: 1, flags: 0x10, dont: true, id: 1 }
}

/// Whatever tags and options lmd knows, the packet is cut.
fn shapes(cutter: &mut Cutter, frames: &Mempool) {
    let one = [0x8100, 0x88a8];
    let two = one.iter().flat_map(|&outer| one.map(|inner| vec![outer, inner]));
    for tags in [vec![]].into_iter().chain(one.map(|tag| vec![tag])).chain(two) {
        for (ip_options, options) in (0..=40).step_by(4).flat_map(|ip| [(ip, 0), (ip, 12), (ip, 40)]) {
            for len in [1, 1400, 1401, 20_000] {
                let long = plain(tags.clone(), ip_options, options);
                let whole = long.frame(&vec![7; len]);
                for mss in [100, 1400] {
                    let cut = cut(cutter, frames, whole.clone(), mss, 1500);
                    check(&long, &whole, &cut, mss, 1500);
                }
            }
        }
    }
    assert_eq!(frames.in_use(), 0);
    assert_eq!(cutter.out(), 0);
}

/// When mbufs are short nothing is cut, and nothing is lost.
fn short(cutter: &mut Cutter, frames: &Mempool) {
    let long = plain(Vec::new(), 0, 12);
    let frame = long.frame(&vec![7; 50_000]);
    let ip = Ipv4View::of(&frame).expect("IPv4");
    let mut taken = Vec::new();
    assert!(frames.alloc_many((frames.size() - 30) as u16, &mut taken));
    assert_eq!(cutter.cut((&frame, &ip), (1448, 1500), frames, |_| panic!("one")), Cut::Short);
    assert_eq!(frames.available(), 30);
    drop(taken);
    assert_eq!(cutter.cut((&frame, &ip), (0, 1500), frames, |_| panic!("one")), Cut::Never);
    // Segments that are kept keep their mbufs, until none is left for headers.
    let mut kept = Vec::new();
    while cutter.cut((&frame, &ip), (1448, 1500), frames, |segment| kept.push(segment)) != Cut::Short {}
    let n = kept.len();
    assert!(n.is_multiple_of(35) && n + 35 > frames.size() as usize, "{n}");
    assert!(kept.iter().all(|segment| verify(&bytes(segment))));
    drop(kept);
    assert_eq!(frames.in_use(), 0);
    assert_eq!(cutter.out(), 0);
}
