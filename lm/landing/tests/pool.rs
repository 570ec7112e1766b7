//! The landing pool against a model: whatever is taken, given back and held in whatever order, a slot never
//! covers what somebody still has. One EAL a process, so this is one program that prints a line for each
//! step.

mod receive;

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::ffi::c_void;

use lm_landing::{Hold, LandingPool, PoolConfig, RegionKind, SlotLayout, Writes};
use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;
use receive::receive;
use rte::Eal;
use rte::sys::{self, rte_mbuf};

const STRIDE: usize = 1480;

type Failed = Box<dyn Error>;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Who has which payload bytes.
struct Model {
    /// Payload address to its length, and whether it is still posted.
    live: HashMap<usize, usize>,
    mirror: usize,
    base: usize,
}

impl Model {
    fn place(&self, at: usize) -> usize {
        if self.mirror == 0 { at } else { self.base + (at - self.base) % self.mirror }
    }

    /// A frame of a new slot must not touch any payload that somebody has.
    fn post(&mut self, at: usize, len: usize) -> Result<(), Failed> {
        for (&other, &n) in &self.live {
            // In one lap of a mirrored region both may lie under either address.
            for shift in [0, self.mirror] {
                for (a, b) in
                    [(self.place(at) + shift, self.place(other)), (self.place(at), self.place(other) + shift)]
                {
                    if a - HEADERS < b + n && b < a + len {
                        return Err(format!("slot {at:#x} (+{len}) covers {other:#x} (+{n})").into());
                    }
                }
            }
        }
        if self.live.insert(at, len).is_some() {
            return Err(format!("slot {at:#x} is out twice").into());
        }
        Ok(())
    }
}

/// Takes mbufs from the pool: on this lcore, which gets some in advance, or on a thread that doesn't.
fn get(pool: &LandingPool, objects: &mut [*mut c_void], elsewhere: bool) -> i32 {
    struct Pass(*mut sys::rte_mempool, *mut *mut c_void, u32);
    // SAFETY: the pointers go to a thread that this one waits for.
    unsafe impl Send for Pass {}
    let pass = Pass(pool.as_ptr(), objects.as_mut_ptr(), objects.len() as u32);
    let take = move || {
        let Pass(pool, to, n) = { pass };
        // SAFETY: a live pool that nobody else uses meanwhile, and room for `n` objects.
        unsafe { sys::rte_mempool_get_bulk(pool, to, n) }
    };
    if elsewhere { std::thread::scope(|s| s.spawn(take).join().unwrap_or(-1)) } else { take() }
}

/// A pool of 2 MiB for a ring of 64.
fn geometry(name: &str) -> PoolConfig {
    PoolConfig {
        name: name.to_owned(),
        descriptors: 64,
        spare_mbufs: 64,
        region: 2 << 20,
        max_region: 2 << 20,
        kind: RegionKind::Dpdk,
        stride: STRIDE,
        room: STRIDE + HEADERS,
        layout: SlotLayout::Overlapping,
        socket: None,
        writes: Writes::default(),
    }
}

/// Takes slots, lets some come back at once, some with holds dropped here or on another thread, some by the
/// driver.
fn random_life(eal: &Eal, kind: RegionKind, seed: u64) -> Result<(), Failed> {
    // The model knows one pair of addresses only.
    let max_region = if kind == RegionKind::Mirrored { 2 << 20 } else { 6 << 20 };
    let config = PoolConfig { max_region, kind, ..geometry(&format!("m{seed}")) };
    let mut pool = LandingPool::create(eal, &config)?;
    let full = pool.available();
    let mut random = Random(seed);
    let mut posted: Vec<*mut rte_mbuf> = Vec::new();
    let mut holds: Vec<(Hold, Vec<usize>)> = Vec::new();
    let mut model = Model { live: HashMap::new(), mirror: pool.mirror(), base: usize::MAX };
    let (mut starved, mut cut) = (0, 0);
    for step in 0..40_000 {
        match random.below(20) {
            0..=8 => {
                let n = 1 + random.below(4);
                let mut objects = [std::ptr::null_mut(); 8];
                let elsewhere = random.below(40) == 0;
                let ret = get(&pool, &mut objects[..n], elsewhere);
                if ret != 0 {
                    starved += 1;
                    continue;
                }
                for object in &objects[..n] {
                    let mbuf = object.cast::<rte_mbuf>();
                    // SAFETY: just handed out.
                    let at = unsafe { (*mbuf).buf_addr as usize } + 128 + HEADERS;
                    if !at.is_multiple_of(8) {
                        return Err(format!("payload at {at:#x} is not at 0 mod 8").into());
                    }
                    if model.base == usize::MAX {
                        model.base = at - at % (4 << 20);
                    }
                    model.post(at, STRIDE)?;
                    posted.push(mbuf);
                    cut += 1;
                }
            }
            9..=15 if !posted.is_empty() => {
                // A burst in ring order: frames landed. Their slots go one by one or, contiguous, with a
                // hold.
                let n = (1 + random.below(12)).min(posted.len());
                let burst: Vec<_> = posted.drain(..n).collect();
                // SAFETY: received mbufs that nobody else has, in the order in which they were handed out.
                let landed = unsafe { receive(&mut pool, &burst) };
                let slots: Vec<usize> = landed.iter().map(|frame| frame.at).collect();
                let contiguous = slots.windows(2).all(|w| w[0] == w[1] + STRIDE);
                let mut tokens = landed.into_iter().map(|frame| frame.slots);
                if contiguous && random.below(3) > 0 {
                    let mut all = tokens.next().ok_or("a burst of nothing")?;
                    for token in tokens {
                        pool.join(&mut all, token).map_err(|token| format!("not joined: {token:?}"))?;
                    }
                    let hold = pool.hold(all, n * STRIDE);
                    holds.push((hold.map_err(|_| "not in the region")?, slots));
                } else {
                    for (token, at) in tokens.zip(slots) {
                        model.live.remove(&at);
                        pool.release(token);
                    }
                }
            }
            16..=17 if !holds.is_empty() => {
                let (hold, slots) = holds.swap_remove(random.below(holds.len()));
                for at in &slots {
                    model.live.remove(at);
                }
                if random.below(50) == 0 {
                    std::thread::spawn(move || drop(hold)).join().map_err(|_| "the dropper panicked")?;
                } else {
                    drop(hold);
                }
            }
            18 if !posted.is_empty() && random.below(4) == 0 => {
                // A driver frees what it had posted.
                for mbuf in posted.drain(..) {
                    // SAFETY: ours, of this pool.
                    unsafe {
                        model.live.remove(&((*mbuf).buf_addr as usize + 128 + HEADERS));
                        let object = mbuf.cast();
                        sys::rte_mempool_put_bulk(pool.as_ptr(), &raw const object, 1);
                    }
                }
            }
            19 => {
                pool.maintain();
                if step % 7 == 0 {
                    let separate = pool.layout() == SlotLayout::Overlapping;
                    pool.set_layout(if separate { SlotLayout::Separate } else { SlotLayout::Overlapping });
                }
            }
            _ => {}
        }
    }
    for mbuf in posted.drain(..) {
        let object = mbuf.cast();
        // SAFETY: ours, of this pool.
        unsafe { sys::rte_mempool_put_bulk(pool.as_ptr(), &raw const object, 1) };
    }
    drop(holds);
    println!("    {kind:?}: {cut} slots, {starved} times starved, {:?}", pool.stats());
    if pool.held() != 0 || pool.available() != full {
        return Err(format!("{} slots held, {} of {full} mbufs back", pool.held(), pool.available()).into());
    }
    Ok(())
}

/// A card of which no write may cross 64 KiB: no slot does, whatever it is told to do.
fn bounded_life(eal: &Eal, room: usize, seed: u64) -> Result<(), Failed> {
    const BOUNDARY: u64 = 64 << 10;
    let writes = Writes { declared: 2048.max(room), boundary: BOUNDARY as usize, ..Writes::default() };
    let config =
        PoolConfig { region: 4 << 20, max_region: 4 << 20, room, writes, ..geometry(&format!("c{seed}")) };
    let mut pool = LandingPool::create(eal, &config)?;
    pool.set_layout(SlotLayout::Overlapping);
    if pool.layout() != SlotLayout::Separate {
        return Err("slots that must not cross a boundary overlap".into());
    }
    let full = pool.available();
    let mut random = Random(seed);
    let mut posted: Vec<*mut rte_mbuf> = Vec::new();
    let (mut cut, mut spans) = (0, Vec::new());
    for _ in 0..30_000 {
        if random.below(2) == 0 && posted.len() < 64 {
            let mut object = std::ptr::null_mut();
            // SAFETY: a live pool and room for one object.
            if unsafe { sys::rte_mempool_get_bulk(pool.as_ptr(), &raw mut object, 1) } != 0 {
                return Err(format!("starved with {} slots out", posted.len()).into());
            }
            let mbuf = object.cast::<rte_mbuf>();
            // SAFETY: just handed out.
            let (at, iova) = unsafe { ((*mbuf).buf_addr as usize + 128, (*mbuf).buf_iova + 128) };
            if iova / BOUNDARY != (iova + room as u64 - 1) / BOUNDARY {
                return Err(format!("a frame at {iova:#x} crosses 64 KiB").into());
            }
            if let Some(other) = spans.iter().find(|&&other: &&usize| at.abs_diff(other) < room) {
                return Err(format!("slot {at:#x} covers {other:#x}").into());
            }
            spans.push(at);
            posted.push(mbuf);
            cut += 1;
        } else if !posted.is_empty() {
            let (mbuf, _) = (posted.remove(0), spans.remove(0));
            // SAFETY: a received mbuf that nobody else has.
            let landed = unsafe { receive(&mut pool, &[mbuf]) };
            landed.into_iter().for_each(|frame| pool.release(frame.slots));
        }
        pool.maintain();
    }
    for mbuf in posted.drain(..) {
        let object = mbuf.cast();
        // SAFETY: ours, of this pool.
        unsafe { sys::rte_mempool_put_bulk(pool.as_ptr(), &raw const object, 1) };
    }
    println!("    {cut} slots, {:?}", pool.stats());
    if pool.held() != 0 || pool.available() != full || pool.stats().bounced != 0 {
        return Err(format!("{} slots held, {} of {full} mbufs back", pool.held(), pool.available()).into());
    }
    Ok(())
}

/// A ring that is always full, as a driver keeps it: it gets the next mbuf before it hands over a frame. In
/// the least region there is always a place for it, also while a datagram is put together. `kept` datagrams
/// are held for as long as others wait in a transmit ring for the same: then the region has to grow.
fn full_ring(eal: &Eal, stride: usize, room: usize, layout: SlotLayout, kept: usize) -> Result<(), Failed> {
    const DESCRIPTORS: u16 = 512;
    let region = PoolConfig::least_region(DESCRIPTORS, stride, room).next_multiple_of(2 << 20);
    let kind = if kept > 0 { RegionKind::Mirrored } else { RegionKind::Dpdk };
    let config = PoolConfig {
        descriptors: DESCRIPTORS,
        spare_mbufs: 576,
        region,
        max_region: 2 * region,
        kind,
        stride,
        room,
        layout,
        ..geometry(&format!("f{room}k{kept}"))
    };
    let mut pool = LandingPool::create(eal, &config)?;
    let full = pool.available();
    let mut ring = VecDeque::new();
    let (mut waiting, mut held) = (Vec::new(), Vec::new());
    for frame in 0..20_000 {
        let mut object = std::ptr::null_mut();
        if get(&pool, std::slice::from_mut(&mut object), false) != 0 {
            return Err(format!("frame {frame}: no slot in {region} bytes: {:?}", pool.stats()).into());
        }
        ring.push_back(object.cast::<rte_mbuf>());
        if ring.len() > usize::from(DESCRIPTORS) {
            let Some(mbuf) = ring.pop_front() else { break };
            // SAFETY: a received mbuf that nobody else has.
            let landed = unsafe { receive(&mut pool, &[mbuf]) };
            let slots = landed.into_iter().next().ok_or("a frame that was not fed")?.slots;
            if held.len() < kept {
                let hold = pool.hold(slots, stride);
                held.push(hold.map_err(|_| "a slot that is not in the region")?);
            } else {
                waiting.push(slots);
            }
            if waiting.len() > (64 << 10) / stride {
                waiting.drain(..).for_each(|slots| pool.release(slots));
            }
        }
        pool.maintain();
    }
    drop(held);
    waiting.drain(..).for_each(|slots| pool.release(slots));
    for mbuf in ring.drain(..) {
        let object = mbuf.cast();
        // SAFETY: ours, of this pool.
        unsafe { sys::rte_mempool_put_bulk(pool.as_ptr(), &raw const object, 1) };
    }
    println!("    {region} bytes, {:?}", pool.stats());
    if pool.held() != 0 || pool.available() != full {
        return Err(format!("{} slots held, {} of {full} mbufs back", pool.held(), pool.available()).into());
    }
    Ok(())
}

/// What is known of the slot below a frame's, lap after lap: no device came there, until one did.
fn reached(eal: &Eal, kind: RegionKind) -> Result<(), Failed> {
    const FRAME: usize = STRIDE + HEADERS;
    let writes = Writes { at_any_time: true, ..Writes::default() };
    let config = PoolConfig { kind, writes, ..geometry(&format!("w{kind:?}")) };
    let mut pool = LandingPool::create(eal, &config)?;
    let (full, mirror) = (pool.available(), pool.mirror());
    let mut landed = VecDeque::new();
    let mut above: Option<(usize, u16)> = None;
    let (mut neighbours, mut lone) = (0, 0);
    for frame in 0..6000 {
        let mut object = std::ptr::null_mut();
        if get(&pool, std::slice::from_mut(&mut object), frame % 50 > 40) != 0 {
            return Err(format!("frame {frame}: no slot").into());
        }
        if let Some((at, bounce)) = above
            && pool.below(at, bounce) != Below::Untouched
        {
            return Err(format!("frame {frame}: nobody came below {at:#x}, and it is not known").into());
        }
        let mbuf = object.cast::<rte_mbuf>();
        // SAFETY: just handed out, with room for a frame: this is the device and its driver.
        let new = unsafe {
            std::ptr::write_bytes((*mbuf).buf_addr.cast::<u8>().add(128), 0xa5, FRAME);
            (*mbuf).data_len = FRAME as u16;
            receive(&mut pool, &[mbuf])
        };
        let new = new.into_iter().next().ok_or("a frame that was not fed")?;
        if let Some((at, bounce)) = above {
            let under = new.at + STRIDE;
            let touch = under == at || (mirror != 0 && under == at + mirror);
            let expected =
                if touch && bounce == 0 && new.bounce == 0 { Below::Touched } else { Below::Untouched };
            let seen = pool.below(at, bounce);
            if seen != expected {
                return Err(format!("frame {frame} at {:#x} below {at:#x}: {seen:?}", new.at).into());
            }
            if expected == Below::Touched { neighbours += 1 } else { lone += 1 }
        }
        above = Some((new.at, new.bounce));
        landed.push_back(new.slots);
        if landed.len() > 64 {
            landed.pop_front().into_iter().for_each(|slots| pool.release(slots));
        }
        pool.maintain();
    }
    landed.drain(..).for_each(|slots| pool.release(slots));
    println!("    {neighbours} neighbours, {lone} slots with none, {:?}", pool.stats());
    if neighbours < 5000 || (kind == RegionKind::Dpdk && lone == 0) {
        return Err("the region was not walked".into());
    }
    if pool.held() != 0 || pool.available() != full {
        return Err(format!("{} slots held, {} of {full} mbufs back", pool.held(), pool.available()).into());
    }
    Ok(())
}

fn main() -> Result<(), Failed> {
    let prefix = format!("--file-prefix=lmpool{}", std::process::id());
    let args =
        ["pool", "-l", "0", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry", "--log-level=4", &prefix];
    let (eal, _) = Eal::init(args)?;
    let mut passed = 0;
    for kind in [RegionKind::Dpdk, RegionKind::Mirrored] {
        for seed in 1..=4 {
            println!("test random life, {kind:?}, seed {seed}");
            random_life(&eal, kind, seed)?;
            passed += 1;
        }
    }
    for (room, seed) in [(1526, 1), (1536, 2), (2048, 3), (16_392, 4)] {
        println!("test no slot of {room} bytes crosses 64 KiB");
        bounded_life(&eal, room, seed)?;
        passed += 1;
    }
    for (stride, room, layout, kept) in [
        (1480, 1514, SlotLayout::Overlapping, 0),
        (1480, 2056, SlotLayout::Separate, 0),
        (8976, 9018, SlotLayout::Separate, 0),
        (8976, 16_392, SlotLayout::Separate, 0),
        (8976, 16_392, SlotLayout::Separate, 64),
    ] {
        println!(
            "test a full ring of {layout:?} slots, {room} bytes each, always goes on, {kept} datagrams held"
        );
        full_ring(&eal, stride, room, layout, kept)?;
        passed += 1;
    }
    for kind in [RegionKind::Dpdk, RegionKind::Mirrored] {
        println!("test what a device has reached is told, {kind:?}");
        reached(&eal, kind)?;
        passed += 1;
    }
    println!("test regions that cannot land are refused");
    let small = PoolConfig { descriptors: 512, region: 1 << 20, max_region: 1 << 20, ..geometry("small") };
    let refused = LandingPool::create(&eal, &small).err().ok_or("a region of 1 MiB was taken")?;
    if !refused.to_string().contains("too small") {
        return Err(format!("the reason is not told: {refused}").into());
    }
    eal.cleanup().map_err(|(_, e)| e.to_string())?;
    println!("{} passed, 0 failed", passed + 1);
    Ok(())
}
