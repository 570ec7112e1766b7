//! Streams of frames, good and hostile: what [`crate::counting`] counts the work of, and `make bench`
//! measures.

use crate::hand::{self, Packet, bytes};
use crate::{SENDER, VICTIM};
use lm_proto::alf::ChecksumMode;
use lm_proto::frame::Slot;
use lm_proto::layout::{Geometry, Layout};
use lm_proto::mock::lm_frames;
use lm_proto::tag::Identity;
use lm_proto::wire::{UDP, Udp};

/// How frames are received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) burst: usize,
    pub(crate) synchronous: bool,
    pub(crate) slot: Slot,
}

pub(crate) const DEVICES: [Device; 4] = [
    Device { burst: 32, synchronous: true, slot: Slot::Overlapping },
    Device { burst: 1, synchronous: true, slot: Slot::Overlapping },
    Device { burst: 16, synchronous: false, slot: Slot::Overlapping },
    Device { burst: 32, synchronous: true, slot: Slot::Separate },
];

pub(crate) struct Stream {
    pub(crate) name: String,
    /// Again and again.
    pub(crate) frames: Vec<Vec<u8>>,
}

fn stream(name: &str, frames: Vec<Vec<u8>>) -> Stream {
    Stream { name: name.to_owned(), frames }
}

pub(crate) fn good(g: Geometry) -> Stream {
    let payload = bytes(7168, 1);
    stream(
        "LM's, 7168 bytes",
        (0..64).flat_map(|id| lm_frames(g, VICTIM, id, &payload, ChecksumMode::Full)).collect(),
    )
}

/// The first bytes of a first fragment of a datagram this long.
fn head(udp_len: usize) -> [u8; UDP] {
    Udp { src_port: SENDER.src_port, dst_port: SENDER.dst_port, len: udp_len as u16, checksum: 0x1234 }
        .bytes()
}

fn fragment(g: Geometry, id: u16, offset: usize, more: bool, len: usize, start: &[u8]) -> Vec<u8> {
    let mut body = bytes(len.min(g.stride()), 7);
    let n = start.len().min(body.len());
    body[..n].copy_from_slice(&start[..n]);
    Packet::new(SENDER, id, offset, more, &body).frame()
}

/// A log full of full frames that nobody knows and of last fragments that fit, and then first fragments that
/// close nothing.
fn unclosed(g: Geometry, len: usize, lasts: usize, tagged: bool, between: usize) -> Vec<Vec<u8>> {
    let s = g.stride();
    let layout = Layout::new(g, len).expect("a length");
    let n = layout.fragments();
    let last_len = layout.fragment_len(n - 1);
    let mut frames = Vec::new();
    for round in 0..24_u16 {
        let id = round * 300;
        for k in 0..lasts as u16 {
            let mut body = bytes(last_len, 7);
            if tagged && last_len >= 8 {
                let identity = Identity {
                    flow: SENDER,
                    ip_id: id + k,
                    udp_len: layout.udp_len() as u16,
                    udp_checksum: 0x1234,
                };
                body[last_len - 8..].copy_from_slice(&identity.tag(Some(7)));
            }
            frames.push(Packet::new(SENDER, 60_000, s, false, &body).frame());
        }
        frames.extend((0..n + 8).map(|_| fragment(g, 60_001, s, true, s, &[])));
        let pairs = 240_usize.saturating_sub(n + 8 + lasts) / 2;
        for k in 0..pairs as u16 {
            // What starts a run has the one before it looked at.
            frames.extend((0..between).map(|_| fragment(g, 60_002, 8, false, 9, &[])));
            frames.push(fragment(g, id + k, 0, true, s, &head(layout.udp_len())));
        }
    }
    frames
}

/// Every newest frame looks like the first fragment of a datagram that is all there, and is summed in vain.
fn summed(g: Geometry, len: usize, start: bool) -> Vec<Vec<u8>> {
    let s = g.stride();
    let layout = Layout::new(g, len).expect("a length");
    let n = layout.fragments();
    let mut frames = Vec::new();
    for id in 0..60 {
        frames.push(fragment(g, id, (n - 1) * s, false, layout.fragment_len(n - 1), &[]));
        for i in (0..n - 1).rev() {
            // As if the datagram began here.
            frames.push(fragment(
                g,
                id,
                if start { 0 } else { i * s },
                true,
                s,
                &head(layout.udp_len() - i * s),
            ));
        }
    }
    frames
}

pub(crate) fn hostile(g: Geometry) -> Vec<Stream> {
    let s = g.stride();
    let longest = 65_000;
    let mut all = Vec::new();
    for (len, lasts) in [(longest, 4), (longest, 1), (longest, 40), (20 * s, 8), (3 * s, 60)] {
        let len = len.min(longest);
        for tagged in [false, true] {
            for between in [0, 1] {
                let name = format!(
                    "first fragments of {len} bytes that close nothing, {lasts} lasts, {tagged}, {between}"
                );
                all.push(Stream { name, frames: unclosed(g, len, lasts, tagged, between) });
            }
        }
    }
    all.push(stream("every frame is summed in vain", summed(g, longest, true)));
    all.push(stream("the same of 12,000 bytes", summed(g, 12_000, true)));
    all.push(stream("middle fragments that begin as first ones", summed(g, longest, false)));
    let tiny = |i: u16| Packet::new(SENDER, i, 8 * usize::from(i % 3), true, &bytes(8, i.into())).frame();
    all.push(stream("tiny fragments of many datagrams", (0..9000).map(tiny).collect()));
    let one = |i: u16| Packet::new(SENDER, 1, 8 * usize::from(i), true, &bytes(8, 1)).frame();
    all.push(stream("tiny fragments of one datagram", (0..8000).map(one).collect()));
    let begin = |i: u16| fragment(g, i, 0, true, s, &head(longest));
    all.push(stream("first fragments of many datagrams", (0..2000).map(begin).collect()));
    all.push(stream("full frames only", (0..2000).map(|i| fragment(g, i, s, true, s, &[])).collect()));
    all.push(stream("last fragments only", (0..2000).map(|i| fragment(g, i, s, false, 9, &[])).collect()));
    let kernel = |id: u16| hand::kernel(s + 20, SENDER, id, &bytes(7168, 2));
    all.push(stream("a kernel's, forward", (0..200).flat_map(kernel).collect()));
    all.push(stream(
        "a kernel's, the first fragment lost",
        (0..200).flat_map(|i| kernel(i).split_off(1)).collect(),
    ));
    all.push(stream("ARP", vec![hand::arp(1); 32]));
    all.push(stream(
        "datagrams in one frame each",
        (0..300).flat_map(|i| hand::kernel(s + 20, SENDER, i, b"x")).collect(),
    ));
    // A stranger, full or short, behind each frame of LM's: each datagram is searched for.
    let payload = bytes(7168, 1);
    for (name, stranger) in [("ARP", hand::arp(1)), ("a full stranger", fragment(g, 9, s, true, s, &[]))] {
        let frames = (0..64)
            .flat_map(|id| lm_frames(g, VICTIM, id, &payload, ChecksumMode::Full))
            .flat_map(|f| [f, stranger.clone()]);
        all.push(Stream { name: format!("LM's, {name} behind each frame"), frames: frames.collect() });
        let frames = (0..64).flat_map(|id| {
            let mut f = lm_frames(g, VICTIM, id, &payload, ChecksumMode::Full);
            f.insert(f.len() / 2, stranger.clone());
            f
        });
        all.push(Stream { name: format!("LM's, {name} inside each datagram"), frames: frames.collect() });
    }
    // Some are nothing where a datagram is one frame.
    all.retain(|stream| !stream.frames.is_empty());
    all
}
