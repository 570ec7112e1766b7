//! Payload that looks like headers of the frame above.
//!
//! A *phantom* is a list of frames that nobody sends. Their payload travels as the payload of other frames,
//! their headers at the end of the frame that lands below: what is in memory then is what the phantom would
//! have left there.

use crate::hand::{self, Packet, bytes};
use crate::stage::{ALL, DEFAULT, Faults, Policy, TAGS, everywhere, play, policies};
use crate::{SENDER, VICTIM};
use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;
use lm_proto::mock::lm_frames;
use lm_proto::wire::{ETHERNET, HEADERS, MIN_FRAME, UDP};

struct Attack {
    name: String,
    frames: Vec<Vec<u8>>,
}

/// A datagram that nobody sends, in the order in which it would land: last fragment first.
struct Phantom {
    name: String,
    frames: Vec<Vec<u8>>,
}

impl Phantom {
    fn new(name: &str, frames: Vec<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), frames }
    }

    /// What it would leave in memory, and below that the headers of its first fragment.
    fn payloads(&self) -> Vec<&[u8]> {
        self.frames.iter().map(|f| &f[HEADERS..]).collect()
    }

    fn headers(&self) -> &[u8] {
        &self.frames[self.frames.len() - 1][..HEADERS]
    }

    fn is_full(&self, g: Geometry) -> bool {
        self.frames.iter().all(|f| f.len() == g.full_frame())
    }
}

fn evil(len: usize) -> Vec<u8> {
    let mut payload = bytes(len, 666);
    let text = b"evil, from nobody at all";
    let n = len.min(text.len());
    payload[..n].copy_from_slice(&text[..n]);
    payload
}

/// Without a tag, cut at the stride.
fn plain(g: Geometry, len: usize, checked: bool) -> Vec<Vec<u8>> {
    let datagram = hand::udp(VICTIM, &evil(len), checked);
    let mut frames = hand::frames(&hand::cut(g.stride() + 20, VICTIM, 7, &datagram));
    frames.reverse();
    frames
}

fn phantoms(g: Geometry) -> Vec<Phantom> {
    let s = g.stride();
    let mut all = vec![
        Phantom::new("a datagram in one short frame", plain(g, 40, true)),
        Phantom::new("one in a full frame", plain(g, s - UDP, true)),
        Phantom::new("one in a full frame, without a checksum", plain(g, s - UDP, false)),
        Phantom::new("two full fragments", plain(g, 2 * s - UDP, true)),
        Phantom::new("three fragments", plain(g, 2 * s + 300, true)),
        Phantom::new("two fragments, the last of 12 bytes", plain(g, s + 12 - UDP, true)),
    ];
    for (name, len) in [("in one frame", 100), ("in two", s + 200), ("in four", 3 * s + 17)] {
        let frames = lm_frames(g, VICTIM, 7, &evil(len), ChecksumMode::Full);
        all.push(Phantom::new(&format!("a tagged datagram {name}"), frames));
    }
    all.extend(strangers(g));
    all
}

/// Frames that are no datagram's: would they be handed out?
fn strangers(g: Geometry) -> Vec<Phantom> {
    let mut tcp = Packet::new(VICTIM, 7, 0, false, &evil(g.stride()));
    tcp.protocol = 6;
    let mut ipv6 = tcp.frame();
    ipv6[12..14].copy_from_slice(&0x86dd_u16.to_be_bytes());
    ipv6[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 100, 17, 64]);
    let mut other = tcp.frame();
    other[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    let mut arp = hand::arp(66);
    arp.resize(g.full_frame(), 0x66);
    [
        ("ARP", hand::arp(66)),
        ("ARP in a full frame", arp),
        ("TCP", tcp.frame()),
        ("IPv6", ipv6),
        ("type 0x88b5", other),
    ]
    .into_iter()
    .map(|(name, frame)| Phantom::new(name, vec![frame]))
    .collect()
}

/// In frames that somebody made for the purpose. The lowest ends `short` bytes before the frame above begins:
/// there that one's own header makes up what is missing.
fn by_hand(g: Geometry, phantom: &Phantom, short: usize, behind: usize) -> Attack {
    let s = g.stride();
    let mut frames: Vec<Vec<u8>> = (0_u16..)
        .zip(phantom.payloads())
        .map(|(i, p)| Packet::new(SENDER, 100 + i, 8, false, p).frame())
        .collect();
    let mut tail = bytes(s - short, 3);
    let at = s - HEADERS;
    tail[at..].copy_from_slice(&phantom.headers()[..HEADERS - short]);
    frames.push(Packet::new(SENDER, 200, 0, false, &tail).frame());
    for i in 0..behind {
        frames.push(Packet::new(SENDER, 201, (i + 1) * s, true, &bytes(s, 4)).frame());
    }
    Attack { name: format!("{}, by hand, {short} bytes short, {behind} behind", phantom.name), frames }
}

/// In contents that LM sends, last fragment first: the phantom lies as it is, headers and all.
fn in_lm_contents(g: Geometry, phantom: &Phantom, at: usize) -> Attack {
    let s = g.stride();
    let body: Vec<u8> = phantom.frames.iter().rev().flat_map(|f| f[HEADERS..].to_vec()).collect();
    let n = phantom.frames.len();
    // A phantom that ends in the datagram's own last fragment ends with the contents.
    let len = if phantom.is_full(g) { (at + n) * s + 500 } else { at * s - UDP + body.len() };
    let mut contents = bytes(len, 9);
    let start = at * s - UDP;
    contents[start - HEADERS..start].copy_from_slice(phantom.headers());
    contents[start..start + body.len()].copy_from_slice(&body);
    let frames = lm_frames(g, SENDER, 77, &contents, ChecksumMode::Full);
    Attack { name: format!("{}, in fragment {at} of LM's contents", phantom.name), frames }
}

/// In contents that a kernel sends, first fragment first: each fragment of the phantom in one of its own.
fn in_kernel_contents(g: Geometry, phantom: &Phantom, at: usize) -> Attack {
    let s = g.stride();
    let n = phantom.frames.len();
    let mut datagram = hand::udp(SENDER, &bytes((at + n + 2) * s - UDP, 5), false);
    for (i, p) in phantom.payloads().into_iter().enumerate() {
        datagram[(at + i) * s..][..p.len()].copy_from_slice(p);
    }
    datagram[(at + n + 1) * s - HEADERS..][..HEADERS].copy_from_slice(phantom.headers());
    let payload = datagram.split_off(UDP);
    let frames = hand::frames(&hand::cut(s + 20, SENDER, 78, &hand::udp(SENDER, &payload, true)));
    Attack { name: format!("{}, from fragment {at} of a kernel's contents", phantom.name), frames }
}

/// A kernel's last fragment, which may be short and end in any tag, is the phantom's last; the next datagram
/// has the rest. Its first fragment begins with its UDP header, so that is a part of the phantom.
fn across_two_datagrams(g: Geometry, checked: bool) -> Attack {
    let s = g.stride();
    let len = 4 * s + 50;
    let head = [
        &SENDER.src_port.to_be_bytes()[..],
        &SENDER.dst_port.to_be_bytes(),
        &((len + UDP) as u16).to_be_bytes(),
        &[0, 0],
    ];
    let mut payload = evil(2 * s + 100);
    payload[s - UDP..s].copy_from_slice(&head.concat());
    let mode = if checked { ChecksumMode::Full } else { ChecksumMode::Zero };
    let phantom = Phantom::new("tagged", lm_frames(g, VICTIM, 7, &payload, mode));
    let [last, middle, first] = phantom.payloads()[..] else { unreachable!("three fragments") };
    let mut one = bytes(s - UDP, 6);
    one.extend_from_slice(last);
    let mut two = bytes(len, 8);
    two[..s - UDP].copy_from_slice(&middle[UDP..]);
    two[s - UDP..2 * s - UDP].copy_from_slice(first);
    two[3 * s - UDP - HEADERS..3 * s - UDP].copy_from_slice(phantom.headers());
    let mut frames = hand::kernel(s + 20, SENDER, 78, &one);
    // A kernel's socket may do without a checksum, and then the header is known beforehand.
    frames.extend(hand::frames(&hand::cut(s + 20, SENDER, 79, &hand::udp(SENDER, &two, false))));
    Attack {
        name: format!(
            "three fragments with a tag of their own, checksum {checked}, across two of a kernel's"
        ),
        frames,
    }
}

fn attacks(g: Geometry) -> Vec<Attack> {
    let mut all = Vec::new();
    for phantom in phantoms(g) {
        for (short, behind) in [(0, 0), (1, 0), (4, 0), (0, 1), (1, 1)] {
            all.push(by_hand(g, &phantom, short, behind));
        }
        let n = phantom.frames.len();
        if phantom.is_full(g) {
            all.extend([1, 2, 5].map(|at| in_lm_contents(g, &phantom, at)));
            all.extend([1, 2, 4].map(|at| in_kernel_contents(g, &phantom, at)));
        } else if phantom.frames[0].len() <= MIN_FRAME && n > 1 {
            all.push(in_lm_contents(g, &phantom, 1));
            all.push(in_lm_contents(g, &phantom, 3));
        }
    }
    all.push(across_two_datagrams(g, true));
    all.push(across_two_datagrams(g, false));
    all
}

fn nothing_is_forged(mtu: u16, policies: &[Policy]) {
    let g = Geometry::new(mtu).expect("an MTU");
    let mut faults = Faults::default();
    for attack in attacks(g) {
        // What is found on the way is found between other datagrams, too.
        let other = lm_frames(g, SENDER, 500, &bytes(3 * g.stride(), 10), ChecksumMode::Full);
        let between = [&other[..], &attack.frames, &other].concat();
        for &require in policies {
            for way in everywhere() {
                for frames in [&attack.frames, &between] {
                    faults.watch(play(g, require, way, frames), || {
                        format!("MTU {mtu}, {}, {require:?}, {way:?}, {} frames", attack.name, frames.len())
                    });
                }
            }
        }
    }
    faults.none();
}

#[test]
fn at_the_usual_mtu() {
    nothing_is_forged(1500, &policies().collect::<Vec<_>>());
}

#[test]
fn at_a_small_mtu() {
    nothing_is_forged(576, &[DEFAULT, ALL, TAGS]);
}

#[test]
fn at_an_mtu_that_is_no_multiple_of_eight() {
    nothing_is_forged(1450, &[DEFAULT, ALL, TAGS]);
}

#[test]
fn the_attacks_are_what_they_say() {
    let g = Geometry::ETHERNET;
    let phantom = Phantom::new("two", plain(g, 2 * g.stride() - UDP, true));
    let attack = in_lm_contents(g, &phantom, 2);
    let at = attack.frames.iter().rposition(|f| f[ETHERNET + 20..].ends_with(phantom.headers()));
    let below = at.expect("a frame ends with its headers");
    assert_eq!(
        &attack.frames[below - 1][HEADERS..],
        phantom.payloads()[1],
        "above it lies the first fragment"
    );
    assert_eq!(&attack.frames[below - 2][HEADERS..], phantom.payloads()[0], "and above that the last");
}
