//! Tests of the two capture formats: files of every dialect are built in memory, read, and cut at any byte.
//! The last test also changes bytes at random: the reader may refuse such a file, but never panics.

use proptest::prelude::*;

use super::contents::Cut;
use super::pcapng::{ORDER, SECTION};
use super::reader::MOST;
use super::*;

/// A dialect of pcap: its magic number, byte order, and bytes of a record's header.
const DIALECTS: [(u32, bool, usize); 6] = [
    (0xa1b2_c3d4, false, 16),
    (0xa1b2_c3d4, true, 16),
    (0xa1b2_3c4d, false, 16),
    (0xa1b2_3c4d, true, 16),
    (0xa1b2_cd34, false, 24),
    (0xa1b2_cd34, true, 24),
];

fn word(big: bool, n: u32) -> [u8; 4] {
    if big { n.to_be_bytes() } else { n.to_le_bytes() }
}

fn half(big: bool, n: u16) -> [u8; 2] {
    if big { n.to_be_bytes() } else { n.to_le_bytes() }
}

/// A pcap file of frames, each with as many bytes as there are and as there were.
fn pcap_file((magic, big, header): (u32, bool, usize), link: u32, frames: &[(u32, u32)]) -> Vec<u8> {
    let mut file = word(big, magic).to_vec();
    for n in [2, 4] {
        file.extend(half(big, n));
    }
    for n in [0, 0, 65_535, link] {
        file.extend(word(big, n));
    }
    for &(here, whole) in frames {
        for n in [1, 2, here, whole] {
            file.extend(word(big, n));
        }
        file.resize(file.len() + header - 16 + here as usize, 7);
    }
    file
}

fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let len = word(big, 12 + body.len().next_multiple_of(4) as u32);
    let mut block = [&word(big, kind)[..], &len, body].concat();
    block.resize(8 + body.len().next_multiple_of(4), 0);
    block.extend(len);
    block
}

fn section(big: bool) -> Vec<u8> {
    let body = [&word(big, ORDER)[..], &half(big, 1), &half(big, 0), &[0xff; 8]].concat();
    block(big, SECTION, &body)
}

fn interface(big: bool, link: u16, snap: u32) -> Vec<u8> {
    block(big, 1, &[&half(big, link)[..], &[0; 2], &word(big, snap)].concat())
}

fn enhanced(big: bool, interface: u32, here: u32, whole: u32) -> Vec<u8> {
    let words = [interface, 0, 0, here, whole].map(|n| word(big, n)).concat();
    block(big, 6, &[words, vec![7; here as usize]].concat())
}

fn read_all(mut file: &[u8]) -> Result<Capture, NoCapture> {
    read(&mut file)
}

fn capture(link: u32, frames: u64, short: u64, cut: Option<Cut>) -> Capture {
    Capture { link, frames, short, cut }
}

#[test]
fn every_dialect_of_pcap_is_read() {
    for dialect in DIALECTS {
        let file = pcap_file(dialect, 1, &[(60, 60), (100, 1514), (0, 0)]);
        assert_eq!(read_all(&file).expect("a capture"), capture(1, 3, 1, None), "{dialect:x?}");
        let file = pcap_file(dialect, 0x5400_0001, &[]);
        assert_eq!(read_all(&file).expect("a capture").link, ETHERNET, "with check sequences");
        let long = pcap_file(dialect, 113, &[(60, 60), (MOST + 1, 60)]);
        assert_eq!(read_all(&long).expect("a capture"), capture(113, 1, 0, Some(Cut::Damage)));
    }
}

#[test]
fn what_is_no_capture() {
    assert!(matches!(read_all(b""), Err(NoCapture::Short)));
    assert!(matches!(read_all(b"text of more than four bytes"), Err(NoCapture::Magic(m)) if &m == b"text"));
    let file = pcap_file(DIALECTS[0], 1, &[]);
    for n in 0..24 {
        assert!(matches!(read_all(&file[..n]), Err(NoCapture::Short)), "{n}");
    }
    let mut old = file;
    old[4] = 1;
    assert!(matches!(read_all(&old), Err(NoCapture::Version(1, 4))));
    assert!(matches!(read_all(&section(true)), Err(NoCapture::NoInterface)));
    for bad in
        [NoCapture::Short, NoCapture::Magic([1, 2, 3, 4]), NoCapture::NoInterface, NoCapture::Version(1, 4)]
    {
        assert!(bad.to_string().starts_with("it is"));
    }
}

#[test]
fn pcapng_of_both_byte_orders_and_of_several_sections() {
    for big in [false, true] {
        let simple = block(big, 3, &[&word(big, 100)[..], &[7; 64]].concat());
        let old = block(
            big,
            2,
            &[&half(big, 0)[..], &half(big, 0), &[0; 8], &word(big, 60), &word(big, 60), &[7; 60]].concat(),
        );
        let unknown = block(big, 0x0bad, b"what nobody knows is passed over");
        let one =
            [section(big), interface(big, 1, 64), enhanced(big, 0, 60, 60), simple, old, unknown].concat();
        assert_eq!(read_all(&one).expect("a capture"), capture(1, 3, 1, None));
        let two = [one.clone(), section(!big), interface(!big, 1, 0), enhanced(!big, 0, 60, 61)].concat();
        assert_eq!(read_all(&two).expect("a capture"), capture(1, 4, 2, None));
        let other = [one, interface(big, 276, 0), enhanced(big, 1, 60, 60)].concat();
        let read = read_all(&other).expect("a capture");
        assert_eq!(read, capture(1, 3, 1, Some(Cut::Link(276))));
        assert!(read.missing().expect("something").contains("LINUX_SLL2"));
        let no_interface = [section(big), interface(big, 1, 0), enhanced(big, 1, 60, 60)].concat();
        assert_eq!(read_all(&no_interface).expect("a capture").cut, Some(Cut::Damage));
    }
}

#[test]
fn link_types_have_names() {
    for (link, name) in
        [(113, "LINUX_SLL"), (101, "RAW"), (127, "IEEE802_11_RADIOTAP"), (9999, "link type 9999")]
    {
        assert_eq!(LinkType(link).to_string(), name);
    }
}

#[test]
fn what_is_missing_is_told() {
    assert_eq!(capture(1, 3, 0, None).missing(), None);
    assert!(capture(1, 3, 2, None).missing().expect("short frames").contains("2 of 3"));
    assert!(capture(1, 3, 0, Some(Cut::Record)).missing().expect("cut").contains("behind 3 whole frames"));
    assert!(capture(1, 3, 0, Some(Cut::Damage)).missing().expect("damaged").contains("damaged"));
}

proptest! {
    /// A capture that ends at any byte is cut, unless that is where a record ends; frames before are counted.
    #[test]
    fn a_cut_capture_is_seen_at_every_byte(
        dialect in 0..DIALECTS.len(),
        frames in prop::collection::vec(0_u32..80, 1..5),
        at in 0.0..1.0_f64,
    ) {
        let lengths: Vec<_> = frames.iter().map(|&n| (n, n)).collect();
        let file = pcap_file(DIALECTS[dialect], 1, &lengths);
        let at = 24 + ((file.len() - 24) as f64 * at) as usize;
        let (mut whole, mut end) = (0, 24);
        for n in &frames {
            end += DIALECTS[dialect].2 + *n as usize;
            if end > at {
                break;
            }
            whole += 1;
        }
        let ends: Vec<_> = (0..=frames.len())
            .map(|k| 24 + frames[..k].iter().map(|n| DIALECTS[dialect].2 + *n as usize).sum::<usize>())
            .collect();
        let cut = (!ends.contains(&at)).then_some(Cut::Record);
        prop_assert_eq!(read_all(&file[..at]).expect("a capture"), capture(1, whole, 0, cut));
    }

    /// The same of pcapng, and any bytes do no harm.
    #[test]
    fn any_bytes_do_no_harm(
        big: bool,
        frames in prop::collection::vec(0_u32..80, 0..4),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = [section(big), interface(big, 1, 0)].concat();
        let start = file.len();
        let mut ends = vec![start];
        for &n in &frames {
            file.extend(enhanced(big, 0, n, n));
            ends.push(file.len());
        }
        let at = at.index(file.len() + 1);
        if at >= start {
            let read = read_all(&file[..at]).expect("a capture");
            let whole = ends.iter().filter(|&&end| end <= at).count() as u64 - 1;
            let cut = (!ends.contains(&at)).then_some(Cut::Record);
            prop_assert_eq!(read, capture(1, whole, 0, cut));
        }
        for (index, byte) in flips {
            let at = index.index(file.len());
            file[at] = byte;
        }
        if let Ok(read) = read_all(&file) {
            prop_assert!(read.frames <= file.len() as u64 / 12);
        }
    }
}
