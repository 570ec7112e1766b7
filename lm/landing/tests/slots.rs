//! Tokens: what safe code must not get by them is refused, and what it must not do with a slot is counted.
//! One EAL a process, so this is one program that prints a line for each step.

mod receive;

use std::error::Error;

use lm_landing::queue::{Behind, Burst, FrameSink, Part, feed};
use lm_landing::send::{Contiguous, Grid, show_behind};
use lm_landing::{
    Hold, Landed, LandedSlots, LandingPool, Payload, PoolConfig, RegionKind, SlotLayout, Writes,
};
use lm_proto::frame::{Frames, Slots};
use receive::receive;
use rte::Eal;
use rte::mempool::Mempool;
use rte::sys::{self, rte_mbuf};

type Failed = Box<dyn Error>;

const STRIDE: usize = 1480;
/// Bytes of a full frame.
const FULL: u16 = 1514;
const POSTED: usize = 16;

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(what.into()) }
}

/// A pool, and mbufs of it that a device has filled with full frames.
struct Filled {
    pool: LandingPool,
    mbufs: Vec<*mut rte_mbuf>,
}

impl Filled {
    fn new(eal: &Eal, name: &str, layout: SlotLayout, at_any_time: bool) -> Result<Self, Failed> {
        let config = PoolConfig {
            name: name.to_owned(),
            descriptors: 64,
            spare_mbufs: 64,
            region: 2 << 20,
            max_region: 2 << 20,
            kind: RegionKind::Mirrored,
            stride: STRIDE,
            room: if layout == SlotLayout::Separate { 2056 } else { FULL.into() },
            layout,
            socket: None,
            writes: Writes { at_any_time, ..Writes::default() },
        };
        let pool = LandingPool::create(eal, &config)?;
        let mut objects = [std::ptr::null_mut(); POSTED];
        // SAFETY: a live pool, and room for as many objects.
        let ret = unsafe { sys::rte_mempool_get_bulk(pool.as_ptr(), objects.as_mut_ptr(), POSTED as u32) };
        ensure(ret == 0, "the pool has as many")?;
        let mbufs: Vec<_> = objects.iter().map(|object| object.cast::<rte_mbuf>()).collect();
        for (i, &mbuf) in mbufs.iter().enumerate() {
            // SAFETY: just handed out, with room for a frame: this is the device and its driver.
            unsafe {
                (*mbuf).data_len = FULL;
                (*mbuf).buf_addr.cast::<u8>().add(128).write_bytes(i as u8, FULL.into());
            }
        }
        Ok(Self { pool, mbufs })
    }

    /// The next `n` are received, one by one.
    fn receive(&mut self, n: usize) -> Vec<Landed> {
        let burst: Vec<_> = self.mbufs.drain(..n).collect();
        // SAFETY: received mbufs that nobody else has, in the order in which they were handed out.
        unsafe { receive(&mut self.pool, &burst) }
    }

    /// Everything is back.
    fn finish(mut self) -> Result<(), Failed> {
        let n = self.mbufs.len();
        self.receive(n).into_iter().for_each(|landed| self.pool.release(landed.slots));
        ensure(self.pool.held() == 0 && self.pool.available() == self.pool.size(), "all is back")
    }
}

/// All of these as one token.
fn joined(pool: &LandingPool, landed: Vec<Landed>) -> Result<LandedSlots, Failed> {
    let mut tokens = landed.into_iter().map(|landed| landed.slots);
    let mut all = tokens.next().ok_or("no frame")?;
    for token in tokens {
        pool.join(&mut all, token).map_err(|_| "neighbours are not joined")?;
    }
    Ok(all)
}

/// Bytes are those of the slots, and no others.
fn a_token_reads_its_slots_alone(eal: &Eal) -> Result<(), Failed> {
    for layout in [SlotLayout::Overlapping, SlotLayout::Separate] {
        let mut filled = Filled::new(eal, "alone", layout, false)?;
        let slots = filled.receive(1).pop().ok_or("no frame")?.slots;
        let (at, pool) = (slots.lowest(), &filled.pool);
        let room = if layout == SlotLayout::Separate { 2056 - 34 } else { STRIDE + 8 };
        let read = |from: usize, len: usize| pool.bytes(&slots, from, len).map(<[u8]>::len);
        ensure(read(at, room) == Some(room) && read(at + room, 0) == Some(0), "the bytes of a slot")?;
        for (from, len) in [(at, room + 1), (at - 1, 1), (at + room, 1), (at + 8, usize::MAX), (0, 8)] {
            ensure(read(from, len).is_none(), "bytes around a slot")?;
        }
        let frame = pool.bytes(&slots, at + 8, STRIDE - 8).ok_or("a frame")?;
        ensure(frame.iter().all(|&b| b == 0), "what landed")?;
        pool.release(slots);
        filled.finish()?;
    }
    Ok(())
}

/// The first bytes of the newest slot may be written by the frame below at any moment: of a device that
/// writes at any time they are not to be had before that frame is received.
fn what_may_be_written_is_not_read(eal: &Eal) -> Result<(), Failed> {
    for (at_any_time, held_back) in [(false, false), (true, true)] {
        let mut filled = Filled::new(eal, "newest", SlotLayout::Overlapping, at_any_time)?;
        let first = filled.receive(3);
        let front = |pool: &LandingPool, landed: &Landed| pool.bytes(&landed.slots, landed.at, 8).is_some();
        ensure(front(&filled.pool, &first[0]) && front(&filled.pool, &first[1]), "the front of older slots")?;
        ensure(front(&filled.pool, &first[2]) != held_back, "the front of the newest slot")?;
        let behind = filled.pool.bytes(&first[2].slots, first[2].at + 8, STRIDE - 8);
        ensure(behind.is_some(), "what nothing reaches")?;
        let second = filled.receive(1);
        ensure(front(&filled.pool, &first[2]), "the front of a slot that was the newest")?;
        ensure(front(&filled.pool, &second[0]) != held_back, "the front of the newest slot now")?;
        let all = joined(&filled.pool, first.into_iter().chain(second).collect())?;
        ensure(
            filled.pool.bytes(&all, all.lowest(), 4 * STRIDE).is_some() != held_back,
            "what begins with the newest slot",
        )?;
        filled.pool.release(all);
        filled.finish()?;
    }
    Ok(())
}

/// A hold takes no more than its slots; what is refused is there as before.
fn a_hold_is_of_its_slots(eal: &Eal) -> Result<(), Failed> {
    let mut filled = Filled::new(eal, "holds", SlotLayout::Overlapping, false)?;
    let landed = filled.receive(5);
    let mut slots = joined(&filled.pool, landed)?;
    let lowest = slots.lowest();
    for reach in [0, 5 * STRIDE + 1, 100 * STRIDE, usize::MAX] {
        slots = filled.pool.hold(slots, reach).err().ok_or("a hold of what no datagram is")?;
        ensure((slots.lowest(), slots.count()) == (lowest, 5), "what was refused is as it was")?;
    }
    let hold = filled.pool.hold(slots, 5 * STRIDE - 100).map_err(|_| "no hold")?;
    let read = |from: usize, len: usize| hold.bytes(lowest + from, len).is_some();
    ensure(read(8, 5 * STRIDE - 108) && !read(8, 5 * STRIDE - 107), "the bytes of a hold")?;
    ensure(!read(7, 1) && !read(0, 8), "what the frame below may reach")?;
    drop(hold);
    filled.finish()
}

/// Slots of one pool are nothing to another.
fn another_pools_slots_are_refused(eal: &Eal) -> Result<(), Failed> {
    let mut ours = Filled::new(eal, "ours", SlotLayout::Overlapping, false)?;
    let theirs = Filled::new(eal, "theirs", SlotLayout::Overlapping, false)?;
    let landed = ours.receive(3);
    let mut tokens = landed.into_iter().map(|landed| landed.slots);
    let [mut a, b, c] = [tokens.next(), tokens.next(), tokens.next()].map(|token| token.ok_or("no frame"));
    let first = a.as_mut().map_err(|what| *what)?;
    ensure(theirs.pool.bytes(first, first.lowest() + 8, 1).is_none(), "bytes of another pool")?;
    let c = theirs.pool.hold(c?, STRIDE).err().ok_or("a hold of another pool's slot")?;
    ours.pool.join(first, b?).map_err(|_| "neighbours are not joined")?;
    ours.pool.join(first, c).map_err(|_| "neighbours are not joined")?;
    let last = first.split_behind(2).ok_or("three are not two")?;
    let held = ours.pool.held();
    theirs.pool.release(last);
    ensure(theirs.pool.stats().refused == 1 && theirs.pool.held() == 0, "a refusal is counted")?;
    ensure(ours.pool.held() == held, "the slot stays out of its own")?;
    ours.pool.release(a?);
    ensure(ours.pool.held() == held - 2, "the others are back")?;
    ensure(ours.pool.stats().refused == 0, "they are its own")?;
    theirs.finish()
}

/// Counts frames, and tries to get more of them than there are.
#[derive(Default)]
struct Greedy {
    kept: Vec<LandedSlots>,
    wrong: Vec<&'static str>,
    /// Looks so far.
    looks: usize,
}

impl Greedy {
    fn expect(&mut self, ok: bool, what: &'static str) {
        if !ok {
            self.wrong.push(what);
        }
    }
}

impl FrameSink for Greedy {
    fn prepare(&self, _: &Burst<'_>) {}

    fn take_plain(&mut self, pool: &LandingPool, burst: &mut Burst<'_>) {
        self.looks += 1;
        let none = burst.take_counted(1).is_none();
        self.expect(none, "taken before it was counted");
        if self.looks == 1 {
            let Some(first) = burst.next() else { return self.expect(false, "no plain frame") };
            let (at, full) = (first.at - STRIDE, usize::MAX);
            self.kept.push(first.slots);
            for (at, stride) in [(at, 2 * STRIDE), (at, 0), (at, 8), (at - STRIDE, STRIDE), (at + 8, STRIDE)]
            {
                let n = burst.count_contiguous(at, stride, FULL, full, 0, 0);
                self.expect(n == 0, "frames where there are none");
            }
            let n = burst.count_contiguous(at, STRIDE, FULL, full, 0, 0);
            self.expect(n == POSTED - 1, "the others lie below");
            let none = burst.take_counted(n + 1).is_none() && burst.take_counted(0).is_none();
            self.expect(none, "more than were counted");
            let Some(mut two) = burst.take_counted(2) else { return self.expect(false, "two of them") };
            self.expect((two.count(), two.lowest()) == (2, at - STRIDE), "the first two");
            let none = burst.take_counted(n - 1).is_none();
            self.expect(none, "more than are left");
            let Some(third) = burst.take_counted(1) else { return self.expect(false, "one more") };
            self.expect(third.lowest() == at - 2 * STRIDE, "the third");
            self.expect(pool.join(&mut two, third).is_ok(), "neighbours");
            self.kept.push(two);
        }
        // The others are counted, and not taken: the queue gives them one by one.
    }

    fn take_two(&mut self, _: &LandingPool, parts: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
        Err(parts)
    }

    fn take(&mut self, _: &LandingPool, landed: Landed) {
        self.kept.push(landed.slots);
    }
}

/// Each slot of a burst is given once, however it is asked for.
fn each_slot_is_given_once(eal: &Eal) -> Result<(), Failed> {
    let mut filled = Filled::new(eal, "once", SlotLayout::Overlapping, false)?;
    let burst: Vec<_> = filled.mbufs.drain(..).collect();
    let mut sink = Greedy::default();
    // SAFETY: received mbufs that nobody else has, in the order in which they were handed out.
    unsafe { feed(&mut filled.pool, &burst, &mut sink) };
    if let Some(wrong) = sink.wrong.first() {
        return Err((*wrong).into());
    }
    let mut places = Vec::new();
    for token in &sink.kept {
        places.extend((0..token.count()).map(|i| token.lowest() + i * STRIDE));
    }
    places.sort_unstable();
    places.dedup();
    ensure(places.len() == POSTED, "each slot once")?;
    sink.kept.into_iter().for_each(|token| filled.pool.release(token));
    filled.finish()
}

/// Pieces lie where they landed until somebody wants one slice; slots go back with the last of them, from any
/// thread, and at once if one cannot be held.
fn pieces_are_held_where_they_landed(eal: &Eal) -> Result<(), Failed> {
    let mut filled = Filled::new(eal, "pieces", SlotLayout::Separate, true)?;
    let take = |filled: &mut Filled| {
        let landed = filled.receive(4);
        let parts = [(8, 1472), (0, 1480), (0, 700), (0, 0)];
        landed.into_iter().zip(parts).map(|(l, (skip, len))| (l.slots, l.at + skip, len)).collect::<Vec<_>>()
    };
    let pieces = take(&mut filled);
    let mut payload = Payload::in_pieces(&filled.pool, pieces.into_iter()).ok_or("they can be held")?;
    let lens = |payload: &Payload| payload.pieces().map(<[u8]>::len).collect::<Vec<_>>();
    ensure(lens(&payload) == [1472, 1480, 700] && payload.len() == 3652, "three pieces")?;
    ensure(payload.as_slice().is_none() && !payload.is_copied(), "nothing was copied")?;
    ensure(payload.pieces().enumerate().all(|(i, p)| p.iter().all(|&b| b == i as u8)), "what landed")?;
    // The mbufs are out that were not received.
    let held = |filled: &Filled| filled.pool.held();
    ensure(held(&filled) == 3, "the slot of no bytes is back")?;
    let whole: Vec<u8> = payload.pieces().flatten().copied().collect();
    ensure(payload.contiguous() == whole && payload.is_copied(), "one slice")?;
    ensure(payload.as_slice() == Some(&whole[..]) && lens(&payload) == [3652], "one piece now")?;
    ensure(
        held(&filled) == 0 && filled.pool.joined().so_far() == (1, 3652),
        "its slots are back, and it counts",
    )?;
    drop(payload);
    let pieces = take(&mut filled);
    let payload = Payload::in_pieces(&filled.pool, pieces.into_iter()).ok_or("they can be held")?;
    std::thread::spawn(move || drop(payload)).join().map_err(|_| "the thread ends")?;
    ensure(held(&filled) == 0, "slots come back from another thread")?;
    // Bytes that are not in their slot, and a slot of another kind: nothing stays out.
    let mut pieces = take(&mut filled);
    pieces[2].1 += 8;
    pieces[2].2 = 2056;
    ensure(Payload::in_pieces(&filled.pool, pieces.into_iter()).is_none(), "bytes outside the slot")?;
    ensure(held(&filled) == 0, "all are back")?;
    filled.finish()?;
    let mut filled = Filled::new(eal, "overlap", SlotLayout::Overlapping, true)?;
    let pieces = filled.receive(2).into_iter().map(|l| (l.slots, l.at, 8)).collect::<Vec<_>>();
    ensure(Payload::in_pieces(&filled.pool, pieces.into_iter()).is_none(), "slots that others reach")?;
    ensure(held(&filled) == 0, "all are back")?;
    filled.finish()
}

/// A value that is longer than an mbuf can be.
struct Wide(Box<[u8]>, [u8; 1 << 16]);

// SAFETY: the bytes are on the heap and do not change. No device reads them here.
unsafe impl Contiguous for Wide {
    fn payload(&self) -> &[u8] {
        &self.0
    }
    fn iova(&self, _: usize, _: usize) -> Option<u64> {
        Some(u64::from(self.1[0]))
    }
}

/// The record of who holds a value lies in an mbuf if it fits there.
#[expect(clippy::large_stack_arrays, reason = "a value that does not fit")]
fn what_is_longer_than_an_mbuf_is_not_put_into_one(eal: &Eal) -> Result<(), Failed> {
    let pool = Mempool::pktmbuf(eal, "shown", 15, 0, 0, 128 + 256, None)?;
    let mut packets = Vec::new();
    for (name, out) in [("wide", 2), ("narrow", 3)] {
        let grid = Grid::one(8).ok_or("eight bytes")?;
        let bytes: Box<[u8]> = vec![7; 8].into();
        let shown = if name == "wide" {
            let wide = Wide(bytes, [0; 1 << 16]);
            show_behind(wide, &grid, (1, false), &pool, &mut packets, |_| (), |(), _, _| true).is_ok()
        } else {
            let narrow = Narrow(bytes);
            show_behind(narrow, &grid, (1, false), &pool, &mut packets, |_| (), |(), _, _| true).is_ok()
        };
        ensure(shown && pool.in_use() == out, name)?;
        ensure(packets[0].segments().last() == Some(&[7; 8][..]), "what is shown")?;
        packets.clear();
        ensure(pool.in_use() == 0, "mbufs are out")?;
    }
    Ok(())
}

/// One that fits.
struct Narrow(Box<[u8]>);

// SAFETY: as for `Wide`.
unsafe impl Contiguous for Narrow {
    fn payload(&self) -> &[u8] {
        &self.0
    }
    fn iova(&self, _: usize, _: usize) -> Option<u64> {
        Some(0)
    }
}

/// Holds the first slot of a burst, and panics.
#[derive(Default)]
struct Panics(Option<Hold>);

impl Panics {
    fn hold(&mut self, pool: &LandingPool, slots: LandedSlots) -> ! {
        self.0 = pool.hold(slots, 64).ok();
        std::panic::panic_any("a program's mistake");
    }
}

impl FrameSink for Panics {
    fn prepare(&self, _: &Burst<'_>) {}

    fn take_plain(&mut self, pool: &LandingPool, burst: &mut Burst<'_>) {
        if let Some(frame) = burst.next() {
            self.hold(pool, frame.slots);
        }
    }

    fn take_two(
        &mut self,
        pool: &LandingPool,
        [_, b]: [Part; 2],
        _: Option<Behind>,
    ) -> Result<(), [Part; 2]> {
        self.hold(pool, b.slot.slots)
    }

    fn take(&mut self, pool: &LandingPool, landed: Landed) {
        self.hold(pool, landed.slots)
    }
}

/// A held slot is not given back a second time with its mbuf, when a sink has panicked and what the driver
/// has is taken back later. Frames are chains of `segments`.
fn a_slot_is_held_when_a_sink_has_panicked(eal: &Eal, segments: usize) -> Result<(), Failed> {
    let name = format!("panic{segments}");
    let mut filled = Filled::new(eal, &name, SlotLayout::Overlapping, false)?;
    let all: Vec<_> = filled.mbufs.drain(..POSTED / segments * segments).collect();
    let mut burst = Vec::new();
    for frame in all.chunks(segments) {
        for pair in frame.windows(2) {
            // SAFETY: received mbufs of ours, each chained once.
            unsafe { (*pair[0]).next = pair[1] };
        }
        // SAFETY: as above.
        unsafe { (*frame[0]).nb_segs = segments as u16 };
        burst.push(frame[0]);
    }
    let mut sink = Panics::default();
    let fed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // SAFETY: received mbufs that nobody else has, in the order in which they were handed out.
        unsafe { feed(&mut filled.pool, &burst, &mut sink) };
    }));
    ensure(fed.is_err() && sink.0.is_some(), "it panicked, and holds a slot")?;
    // SAFETY: this driver is done.
    unsafe { filled.pool.reclaim() };
    ensure(filled.pool.held() > 0, "a held slot counts as given back")?;
    ensure(filled.pool.available() == filled.pool.size(), "mbufs are lost")?;
    let mut objects = [std::ptr::null_mut(); POSTED];
    // SAFETY: a live pool, and room for as many objects, which are given back once.
    unsafe {
        let ret = sys::rte_mempool_get_bulk(filled.pool.as_ptr(), objects.as_mut_ptr(), POSTED as u32);
        ensure(ret == 0, "the pool has as many")?;
        let single = |o: *mut std::ffi::c_void| {
            let mbuf = o.cast::<rte_mbuf>();
            (*mbuf).next.is_null() && (*mbuf).nb_segs == 1
        };
        ensure(objects.into_iter().all(single), "an mbuf is chained still")?;
        sys::rte_mempool_put_bulk(filled.pool.as_ptr(), objects.as_ptr(), POSTED as u32);
    }
    Ok(())
}

fn main() -> Result<(), Failed> {
    let prefix = format!("--file-prefix=lmslots{}", std::process::id());
    let args =
        ["slots", "-l", "0", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--log-level=4", &prefix];
    let (eal, _) = Eal::init(args)?;
    println!("test a token reads its slots alone");
    a_token_reads_its_slots_alone(&eal)?;
    println!("test what may be written is not read");
    what_may_be_written_is_not_read(&eal)?;
    println!("test a hold is of its slots");
    a_hold_is_of_its_slots(&eal)?;
    println!("test another pool's slots are refused");
    another_pools_slots_are_refused(&eal)?;
    println!("test each slot is given once");
    each_slot_is_given_once(&eal)?;
    println!("test pieces are held where they landed");
    pieces_are_held_where_they_landed(&eal)?;
    println!("test a slot is held when a sink has panicked");
    std::panic::set_hook(Box::new(|_| ()));
    (1..=3).try_for_each(|segments| a_slot_is_held_when_a_sink_has_panicked(&eal, segments))?;
    println!("test what is longer than an mbuf is not put into one");
    what_is_longer_than_an_mbuf_is_not_put_into_one(&eal)?;
    println!("8 passed, 0 failed");
    Ok(())
}
