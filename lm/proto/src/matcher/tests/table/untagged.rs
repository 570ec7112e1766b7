//! When a frame counts as untagged: the section of `docs/end-tag.md`, with all headers intact so that nothing
//! else refuses.

use super::*;

/// Bytes behind an IP packet.
fn behind(mut frames: Vec<Vec<u8>>, bytes: &[u8]) -> Vec<Vec<u8>> {
    frames[0].extend_from_slice(bytes);
    frames
}

/// Bytes behind the UDP datagram, inside of the IP packet.
fn inside(mut frames: Vec<Vec<u8>>, bytes: &[u8]) -> Vec<Vec<u8>> {
    let last = &mut frames[0];
    last.extend_from_slice(bytes);
    let total = wire::be16(last, 16) + bytes.len() as u16;
    last[16..18].copy_from_slice(&total.to_be_bytes());
    mock::frames::mend(last);
    frames
}

fn padded(mut frames: Vec<Vec<u8>>, len: usize, with: u8) -> Vec<Vec<u8>> {
    frames[0].resize(len, with);
    frames
}

const CHECK: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

#[test]
fn landed_last_fragment_first() {
    let frames = |len: usize| {
        let mut frames = plain_frames(G, A, 42, &payload(len, 1));
        frames.reverse();
        frames
    };
    // The last fragment of the one is shorter than a frame can be.
    let (short, long) = (2 * 1480 + 10 - wire::UDP, 7168);
    // So short that it is padded, and so long that a tag would make it longer than that.
    let tagless = 2 * 1480 + 22 - wire::UDP;
    let cases = [
        ("nothing", long, frames(long), "headers"),
        ("a check sequence", long, behind(frames(long), &CHECK), "headers"),
        ("eight zeroes in the frame", long, behind(frames(long), &[0; 8]), "waits"),
        ("eight zeroes in the packet", long, inside(frames(long), &[0; 8]), "waits"),
        ("four zeroes in the packet", long, inside(frames(long), &[0; 4]), "waits"),
        ("eight bytes of options", long, inside(frames(long), &[0xb5, 0x53, 1, 1, 1, 1, 0, 0]), "waits"),
        ("twelve bytes of options", long, inside(frames(long), &[0xb5; 12]), "waits"),
        ("padding", short, padded(frames(short), 60, 0), "headers"),
        ("a VLAN tag's less of padding", short, padded(frames(short), 56, 0), "headers"),
        ("padding and a check sequence", short, behind(padded(frames(short), 60, 0), &CHECK), "headers"),
        ("padding that is not empty", short, padded(frames(short), 60, 0xee), "waits"),
        ("padding that is no tag's", tagless, padded(frames(tagless), 60, 0), "headers"),
        ("padding that is no tag's and not empty", tagless, padded(frames(tagless), 60, 0xee), "waits"),
        ("padding that looks like a tag", short, padded(frames(short), 60, 0x11), "waits"),
    ];
    for (name, len, frames, expected) in cases {
        let mut run = queue(G, Require::default());
        run.play(&frames, |_| true);
        assert_eq!(run.outcome(&payload(len, 1)), expected, "{name}");
    }
}

/// Where padding and a check sequence meet the place of a tag, for each length of a short last fragment.
#[test]
fn short_last_fragments() {
    for rest in 1..=40 {
        let len = 2 * 1480 + rest - wire::UDP;
        let frames = || {
            let mut frames = plain_frames(G, A, 42, &payload(len, 1));
            frames.reverse();
            let short = frames[0].len();
            padded(frames, short.max(wire::MIN_FRAME), 0)
        };
        for check in [&[][..], &CHECK, &[0x10, 0, 0, 0], &[0, 0, 0, 0x11]] {
            let mut run = queue(G, Require::default());
            run.play(&behind(frames(), check), |_| true);
            assert_eq!(run.outcome(&payload(len, 1)), "headers", "{rest} bytes, {check:x?}");
        }
        // What is not zero in the padding may be a tag that was damaged.
        if HEADERS + rest < wire::MIN_FRAME {
            let mut frames = behind(frames(), &CHECK);
            frames[0][HEADERS + rest] = 0xee;
            let mut run = queue(G, Require::default());
            run.play(&frames, |_| true);
            assert_eq!(run.outcome(&payload(len, 1)), "waits", "{rest} bytes, padded with others");
        }
    }
}

/// A kernel's, and the header of the last fragment is gone.
#[test]
fn in_forward_order() {
    for (rest, with, expected) in
        [(10, 0, "checksum"), (22, 0, "checksum"), (10, 0xee, "waits"), (22, 0xee, "waits")]
    {
        let data = payload(1480 + rest - wire::UDP, 1);
        let mut frames = plain_frames(G, A, 42, &data);
        frames[1].resize(60, with);
        frames.push(tcp(1514));
        let mut run = queue(G, Require::default());
        run.play(&frames, |_| false);
        assert_eq!(run.outcome(&data), expected, "{rest} bytes, padded with {with}");
    }
}

#[test]
fn all_headers_intact() {
    let options = |first: u8| [first, 0x53, 1, 1, 1, 1, 0, 0];
    for len in [700, 7168] {
        let frames = || {
            let mut frames = plain_frames(G, A, 42, &payload(len, 1));
            frames.reverse();
            frames
        };
        let cases = [
            ("eight zeroes in the frame", behind(frames(), &[0; 8]), "headers"),
            ("a frame's own tag", behind(frames(), &[0x10; 8]), "headers"),
            ("eight zeroes in the packet", inside(frames(), &[0; 8]), "headers"),
            ("eight bytes of options", inside(frames(), &options(0xb5)), "headers"),
            ("seven bytes of options, and unlucky ones", inside(frames(), &options(0x10)[..7]), "headers"),
            ("unlucky options", inside(frames(), &options(0x10)), "bad_tag"),
            ("more unlucky options", inside(frames(), &[0x11; 12]), "bad_tag"),
            ("the next byte", inside(frames(), &options(0x12)), "headers"),
        ];
        for (name, frames, expected) in cases {
            let mut run = queue(G, Require::default()).separate();
            run.play(&frames, |_| true);
            assert_eq!(run.outcome(&payload(len, 1)), expected, "{len} bytes, {name}");
        }
    }
}
