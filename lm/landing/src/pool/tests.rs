//! A pool in memory with many breaks. One EAL a process, so this is the only test here that has one.

use std::collections::HashSet;
use std::ptr;
use std::sync::atomic::Ordering;

use lm_proto::frame::Frames;

use super::*;
use crate::memory::tests::BREAKS;
use crate::queue::{Behind, Burst, FrameSink, Part, feed};

struct Keep(Vec<LandedSlots>);

impl FrameSink for Keep {
    fn prepare(&self, _: &Burst<'_>) {}
    fn take_plain(&mut self, _: &LandingPool, burst: &mut Burst<'_>) {
        while let Some(frame) = burst.next() {
            self.0.push(frame.slots);
        }
    }
    fn take_two(&mut self, _: &LandingPool, parts: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
        Err(parts)
    }
    fn take(&mut self, _: &LandingPool, landed: Landed) {
        self.0.push(landed.slots);
    }
}

#[test]
fn no_two_mbufs_have_the_same_bounce_slot() {
    const POSTED: usize = 1024;
    let prefix = format!("--file-prefix=lmbounce{}", std::process::id());
    let (eal, _) =
        Eal::init(["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", &prefix]).unwrap();
    for (room, from_driver) in [(1514, false), (1514, true), (8192, true)] {
        let config = PoolConfig {
            name: format!("b{room}{from_driver}"),
            descriptors: POSTED as u16,
            spare_mbufs: 64,
            region: 16 << 20,
            max_region: 16 << 20,
            kind: RegionKind::Dpdk,
            stride: 1480,
            room,
            layout: SlotLayout::Overlapping,
            socket: None,
            writes: Writes::default(),
        };
        // Both overlapping slots and the ring cross more breaks than there are bounce slots.
        BREAKS.store(16 << 10, Ordering::Relaxed);
        let mut pool = LandingPool::create(&eal, &config).unwrap();
        BREAKS.store(0, Ordering::Relaxed);
        for _ in 0..4 {
            let mut objects = [ptr::null_mut(); POSTED];
            for place in &mut objects {
                // SAFETY: a live pool, and room for one object.
                let ret = unsafe { dpdk_sys::rte_mempool_get_bulk(pool.as_ptr(), place, 1) };
                assert_eq!(ret, 0, "{:?}", pool.stats());
            }
            let mbufs = objects.map(<*mut _>::cast::<rte_mbuf>);
            // SAFETY: just handed out.
            let buffers: HashSet<_> = mbufs.iter().map(|&mbuf| unsafe { (*mbuf).buf_addr }).collect();
            assert_eq!(buffers.len(), POSTED, "two mbufs have the same memory");
            assert!(pool.stats().bounced >= BOUNCES as u64);
            if from_driver {
                // SAFETY: ours, of this pool, given back once.
                unsafe { dpdk_sys::rte_mempool_put_bulk(pool.as_ptr(), objects.as_ptr(), POSTED as u32) };
                pool.landing().take_back_ahead();
                assert_eq!((pool.held(), pool.landing().bounces_out), (0, 0));
                continue;
            }
            let mut sink = Keep(Vec::new());
            // SAFETY: received mbufs that nobody else has, in the order in which they were handed out.
            unsafe { feed(&mut pool, &mbufs, &mut sink) };
            let slots: HashSet<_> = sink.0.iter().map(LandedSlots::lowest).collect();
            assert_eq!(slots.len(), POSTED, "two tokens of the same slot");
            sink.0.into_iter().for_each(|slots| pool.release(slots));
            pool.landing().take_back_ahead();
            assert_eq!((pool.held(), pool.landing().bounces_out), (0, 0));
        }
        assert_eq!(pool.available(), pool.size());
    }
}
