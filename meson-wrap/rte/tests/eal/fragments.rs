//! DPDK's own IPv4 fragmentation and reassembly.

use rte::frag::{Reassembler, fragment};
use rte::mempool::Mempool;
use rte::{Eal, Mbuf};

pub(crate) fn fragments(eal: &Eal) {
    let big = Mempool::pktmbuf(eal, "frag_big", 15, 0, 0, 16_384, None).unwrap();
    let direct = Mempool::pktmbuf(eal, "frag_direct", 63, 0, 0, 2048 + 128, None).unwrap();
    let indirect = Mempool::pktmbuf(eal, "frag_indirect", 63, 0, 0, 128, None).unwrap();
    let packet = |payload: usize| {
        let mut packet = big.alloc().unwrap();
        let total = 20 + payload;
        let bytes = packet.append(total as u16).unwrap();
        bytes.fill(0);
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&[0x12, 0x34]);
        bytes[8..10].copy_from_slice(&[64, 17]);
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        bytes[20..].iter_mut().enumerate().for_each(|(i, b)| *b = ((i * 7) >> 3) as u8);
        packet
    };
    // A frame in one segment, as a device would deliver it.
    let landed = |fragment: &Mbuf| {
        let mut frame = direct.alloc().unwrap();
        let mut bytes = vec![0; 14];
        bytes[12] = 8;
        fragment.segments().for_each(|s| bytes.extend_from_slice(s));
        frame.append(bytes.len() as u16).unwrap().copy_from_slice(&bytes);
        frame
    };
    let mut table = Reassembler::new(eal, 16, 1).unwrap();
    for (payload, pieces) in [(1, 1), (1480, 1), (1481, 2), (7176, 5), (8 * 1480, 8)] {
        let whole = packet(payload);
        let want = whole.data()[20..].to_vec();
        let mut made = Vec::new();
        fragment(&whole, 1500, &direct, &indirect, &mut made).unwrap();
        drop(whole);
        assert_eq!(made.len(), pieces, "{payload}");
        let frames: Vec<_> = made.iter().map(landed).collect();
        drop(made);
        let mut out = None;
        for frame in frames.into_iter().rev() {
            assert!(out.is_none(), "whole before its time");
            out = table.take(frame);
        }
        let out = out.expect("whole");
        let got: Vec<u8> = out.segments().flatten().copied().collect();
        assert_eq!(got[34..], want, "{payload}");
    }
    // What two mbufs show, neither can change.
    let (mut whole, mut made) = (packet(4000), Vec::new());
    whole.data_mut().expect("nobody else shows it")[20] = 1;
    fragment(&whole, 1500, &direct, &indirect, &mut made).unwrap();
    assert!(whole.data_mut().is_none() && whole.append(1).is_none() && whole.prepend(1).is_none());
    assert!(made[0].append(1).is_none(), "its last segment is the packet's");
    assert!(made[0].data_mut().is_some(), "its header is its own");
    drop(made);
    assert!(whole.data_mut().is_some() && whole.append(1).is_some());
    // DPDK would write past its list of fragments, or past an mbuf without room for headers.
    let mut chain = packet(16_000);
    for _ in 0..4 {
        chain.chain(packet(16_000)).unwrap();
    }
    let einval = |made: Result<(), rte::Errno>| made.unwrap_err().number() == libc::EINVAL;
    assert!(einval(fragment(&chain, 1500, &direct, &indirect, &mut Vec::new())));
    assert!(einval(fragment(&packet(4000), 1500, &indirect, &indirect, &mut Vec::new())));
    // Nor does it look behind a full last fragment, or whether it can count one more who shows the data.
    let mut ends_empty = packet(8 * 1480);
    ends_empty.chain(big.alloc().unwrap()).unwrap();
    assert!(einval(fragment(&ends_empty, 1500, &direct, &indirect, &mut Vec::new())));
    let counted = |shown: u16| {
        let packet = packet(4000);
        // SAFETY: an mbuf of ours, whose count is put right before it is freed.
        unsafe { (*packet.as_ptr()).refcnt = shown };
        let mut made = Vec::new();
        let done = fragment(&packet, 1500, &direct, &indirect, &mut made).map_err(rte::Errno::number);
        drop(made);
        // SAFETY: as above.
        unsafe { (*packet.as_ptr()).refcnt = 1 };
        done
    };
    assert_eq!((counted(u16::MAX - 1), counted(60_000)), (Err(libc::EMLINK), Ok(())));
    drop((chain, whole, ends_empty));
    let mut made = Vec::new();
    assert!(fragment(&packet(8 * 1480 + 1), 1500, &direct, &indirect, &mut made).is_err() && made.is_empty());
    // Lengths that lie, options, and what is no IPv4.
    for (at, value) in [(12, 9), (14, 0x46), (16, 0x7f), (16, 0)] {
        let mut frame = landed(&packet(100));
        frame.data_mut().unwrap()[at] = value;
        if at == 16 && value == 0 {
            frame.data_mut().unwrap()[17] = 20;
        }
        assert!(table.take(frame).is_none(), "byte {at} is {value}");
    }
    let half = landed(&{
        let mut p = packet(800);
        p.data_mut().unwrap()[6] = 0x20;
        p
    });
    assert!(table.take(half).is_none(), "the rest is missing");
    drop(table);
    for pool in [big, direct, indirect] {
        assert_eq!(pool.in_use(), 0, "everything came back");
    }
}
