//! DPDK's own segmentation of long TCP, and its joining of segments.

use rte::Eal;
use rte::mempool::Mempool;
use rte::tcp::{Segmenter, join};

pub(crate) fn segments(eal: &Eal) {
    let pool = Mempool::pktmbuf(eal, "seg_pool", 127, 0, 0, 4096, None).unwrap();
    let direct = Mempool::pktmbuf(eal, "seg_direct", 63, 0, 0, 128 + 66, None).unwrap();
    let indirect = Mempool::pktmbuf(eal, "seg_indirect", 63, 0, 0, 0, None).unwrap();
    let bytes = |at: u32, payload: usize| {
        let mut b = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 9, 0x40, 0, 64, 6, 0, 0];
        b.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 2]);
        b.extend(at.to_be_bytes());
        b.extend([0, 0, 0, 7, 0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        b[16..18].copy_from_slice(&((52 + payload) as u16).to_be_bytes());
        b.extend((0..payload).map(|i| (((at as usize + i) * 7) >> 3) as u8));
        b
    };
    let mbuf = |b: &[u8]| {
        let mut mbuf = pool.alloc().unwrap();
        mbuf.append(b.len() as u16).unwrap().copy_from_slice(b);
        mbuf
    };
    let segmenter = Segmenter::new(direct.clone(), indirect.clone());
    let mut long = mbuf(&bytes(0, 3000));
    let mut made = Vec::new();
    assert_eq!(segmenter.cut(&mut long, 1000, &mut made).unwrap(), 3);
    assert!(long.data_mut().is_none(), "segments show its payload");
    drop(long);
    for (i, segment) in made.iter().enumerate() {
        let got: Vec<u8> = segment.segments().flatten().copied().collect();
        let at = 1000 * i as u32;
        assert_eq!((&got[66..], &got[38..42]), (&bytes(at, 1000)[66..], &at.to_be_bytes()[..]));
        assert_eq!(got[16..20], [4, 28, 0, 9 + i as u8], "length and identification");
    }
    drop(made);
    // Segments are counted in the mbuf that they show, also if they show it through another one.
    let (whole, mut made) = (mbuf(&bytes(0, 3000)), Vec::new());
    let raw = whole.as_ptr();
    let mut through = {
        let mut long = whole;
        assert_eq!(segmenter.cut(&mut long, 1500, &mut made).unwrap(), 2);
        made.remove(0)
    };
    // SAFETY: an mbuf that two others show; its count is put right before they are freed.
    unsafe { (*raw).refcnt = u16::MAX - 1 };
    let why = segmenter.cut(&mut through, 500, &mut made).unwrap_err();
    assert_eq!((why.number(), made.len()), (libc::EMLINK, 1));
    // SAFETY: as above.
    unsafe { (*raw).refcnt = 2 };
    drop((through, made));
    // Nothing to cut; no room for headers; no payload; and headers that lie about their length or are none's.
    let mut made = Vec::new();
    assert_eq!(segmenter.cut(&mut mbuf(&bytes(0, 1000)), 1000, &mut made).unwrap(), 0);
    let small = Segmenter::new(indirect.clone(), indirect.clone());
    let number = |cut: Result<usize, rte::Errno>| cut.unwrap_err().number();
    assert_eq!(number(small.cut(&mut mbuf(&bytes(0, 3000)), 1000, &mut made)), libc::EINVAL);
    for payload in [0, u16::MAX] {
        assert_eq!(number(segmenter.cut(&mut mbuf(&bytes(0, 3000)), payload, &mut made)), libc::EINVAL);
    }
    assert_eq!(number(segmenter.cut(&mut mbuf(&bytes(0, 3000)), 10, &mut made)), libc::ENOMEM);
    for (at, value, len) in
        [(12, 9, 3066), (14, 0x65, 3066), (23, 17, 3066), (21, 1, 3066), (46, 0xf0, 70), (46, 0x40, 3066)]
    {
        let mut b = bytes(0, 3000);
        b[at] = value;
        b.truncate(len);
        assert_eq!(number(segmenter.cut(&mut mbuf(&b), 1, &mut made)), libc::EINVAL, "byte {at} is {value}");
        let mut frames = vec![mbuf(&bytes(0, 100)), mbuf(&b)];
        assert!(!join(&mut frames) && frames.len() == 2, "byte {at} is {value}");
    }
    assert!(made.is_empty());
    // Joined they are as they were; what does not follow stays by itself, and so does what is shared or
    // padded.
    let mut frames: Vec<_> = (0..10).map(|i| mbuf(&bytes(100 * i, 100))).collect();
    frames.push(mbuf(&bytes(5000, 100)));
    assert!(join(&mut frames));
    assert_eq!((frames.len(), frames[0].nb_segs()), (2, 10));
    let got: Vec<u8> = frames[0].segments().flatten().copied().collect();
    assert_eq!(got, bytes(0, 1000));
    assert_eq!(frames[1].data(), bytes(5000, 100));
    assert!(!join(&mut frames), "one has several mbufs");
    let mut padded = vec![mbuf(&[bytes(0, 1), vec![0]].concat())];
    assert!(!join(&mut padded) && !join(&mut Vec::new()), "none are joined");
    assert!(direct.alloc_many(0, &mut made), "none are there, in a pool without a cache");
    let mut many: Vec<_> = (0..50).map(|i| mbuf(&bytes(i, 1))).collect();
    many.extend((50..100).map(|i| mbuf(&bytes(i, 1))));
    assert!(join(&mut many));
    let all: Vec<u8> = many.iter().flat_map(|p| p.segments().flatten().skip(66)).copied().collect();
    assert_eq!(all, bytes(0, 100)[66..]);
    drop((frames, padded, many, segmenter, small));
    for pool in [pool, direct, indirect] {
        assert_eq!(pool.in_use(), 0, "everything came back");
    }
}
