//! A pool that goes before the port that it feeds: what the device has is kept, and counted, until the driver
//! gives it back. One EAL a process, which can't be cleaned up any more here: so this is one program that
//! prints a line for each step.

mod receive;

use std::error::Error;
use std::ffi::c_void;

use lm_landing::{
    LandingPool, OwedByDevices, PoolConfig, RegionKind, SlotLayout, Writes, orphans, owed_by_devices,
};
use receive::receive;
use rte::Eal;
use rte::sys::{self, rte_mbuf};

type Failed = Box<dyn Error>;

const POSTED: usize = 64;
const REGION: usize = 2 << 20;

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(format!("{what}: {:?}", owed_by_devices()).into()) }
}

/// A pool, and the slots of it that a device has.
fn posted(eal: &Eal, name: &str) -> Result<(LandingPool, Vec<*mut c_void>), Failed> {
    let config = PoolConfig {
        name: name.to_owned(),
        descriptors: POSTED as u16,
        spare_mbufs: 64,
        region: REGION,
        max_region: REGION,
        kind: RegionKind::Mirrored,
        stride: 1480,
        room: 1514,
        layout: SlotLayout::Overlapping,
        socket: None,
        writes: Writes::default(),
    };
    let pool = LandingPool::create(eal, &config)?;
    let mut objects = vec![std::ptr::null_mut(); POSTED];
    // SAFETY: a live pool, and room for as many objects.
    let ret = unsafe { sys::rte_mempool_get_bulk(pool.as_ptr(), objects.as_mut_ptr(), POSTED as u32) };
    ensure(ret == 0, "the pool has as many")?;
    Ok((pool, objects))
}

/// The driver gives some back.
fn give_back(pool: *mut sys::rte_mempool, objects: &[*mut c_void]) {
    // SAFETY: of this pool, whose mbufs are kept for ever, given back once.
    unsafe { sys::rte_mempool_put_bulk(pool, objects.as_ptr(), objects.len() as u32) };
}

/// A separate slot may be wider than a stride: what landed in it is held to its end, and no further.
fn a_wide_slot_is_held_whole(eal: &Eal) -> Result<(), Failed> {
    const PAYLOAD: usize = 2056 - 34;
    let (narrow, objects) = posted(eal, "narrow")?;
    let layout = SlotLayout::Separate;
    let wide = PoolConfig { name: "wide".into(), room: 2056, layout, ..narrow.config().clone() };
    give_back(narrow.as_ptr(), &objects);
    let mut pool = LandingPool::create(eal, &wide)?;
    let full = pool.available();
    let mut object = std::ptr::null_mut();
    // SAFETY: a live pool and room for one object.
    ensure(unsafe { sys::rte_mempool_get_bulk(pool.as_ptr(), &raw mut object, 1) } == 0, "the pool has one")?;
    let mbuf = object.cast::<rte_mbuf>();
    // SAFETY: received, and nobody else has it.
    let landed = unsafe { receive(&mut pool, &[mbuf]) }.pop().ok_or("no frame")?;
    let at = landed.at;
    let further = pool.hold(landed.slots, PAYLOAD + 1).err().ok_or("a hold of more than a slot")?;
    let hold = pool.hold(further, PAYLOAD).ok();
    let hold = hold.ok_or("no hold of a slot wider than a stride")?;
    let bytes = |len: usize| hold.bytes(at + 8, len).map(<[u8]>::len);
    let behind = PAYLOAD - 8;
    ensure(bytes(behind) == Some(behind) && bytes(behind + 1).is_none(), "the bytes of a wide slot")?;
    ensure(hold.bytes(at + PAYLOAD, 1).is_none() && hold.bytes(at + 7, 1).is_none(), "the bytes around it")?;
    drop(hold);
    ensure(pool.available() == full && pool.held() == 0, "all is back")
}

/// Nobody but the device had any slot.
fn posted_slots_are_kept(eal: &Eal) -> Result<(), Failed> {
    let (pool, objects) = posted(eal, "kept")?;
    let raw = pool.as_ptr();
    ensure(owed_by_devices() == OwedByDevices::default(), "a pool that lives owes nothing")?;
    drop(pool);
    let all = OwedByDevices { slots: POSTED as u64, bytes: REGION as u64 };
    ensure(owed_by_devices() == all, "all that is posted is owed")?;
    // What a device writes now lands in memory that is still there.
    for &object in &objects {
        // SAFETY: a posted slot of 1514 bytes behind the headroom.
        unsafe {
            let at = (*object.cast::<rte_mbuf>()).buf_addr.cast::<u8>().add(128);
            at.write_bytes(0xa5, 1514);
        }
    }
    give_back(raw, &objects[..10]);
    let left = OwedByDevices { slots: POSTED as u64 - 10, ..all };
    ensure(owed_by_devices() == left, "what came back is not")?;
    ensure(orphans() == 0, "it is no orphan yet")?;
    give_back(raw, &objects[10..]);
    ensure(owed_by_devices() == OwedByDevices::default(), "all came back")?;
    ensure(orphans() == 0, "the region is gone")
}

/// A message lives on when the device is done, and the device's slots when the message is gone.
fn messages_and_devices_in_either_order(eal: &Eal) -> Result<(), Failed> {
    for message_last in [false, true] {
        let (mut pool, mut objects) = posted(eal, if message_last { "last" } else { "first" })?;
        let raw = pool.as_ptr();
        let mbuf = objects.remove(0).cast::<rte_mbuf>();
        // SAFETY: received, and nobody else has it.
        let landed = unsafe { receive(&mut pool, &[mbuf]) }.pop().ok_or("no frame")?;
        let hold = pool.hold(landed.slots, 1480).map_err(|_| "no hold")?;
        drop(pool);
        if message_last {
            give_back(raw, &objects);
            ensure(owed_by_devices() == OwedByDevices::default(), "nothing is a device's")?;
            ensure(orphans() == 1, "the message holds the region")?;
            drop(hold);
        } else {
            std::thread::spawn(move || drop(hold)).join().map_err(|_| "the dropper panicked")?;
            ensure(owed_by_devices().bytes == REGION as u64, "the device has the region")?;
            give_back(raw, &objects);
        }
        ensure(owed_by_devices() == OwedByDevices::default() && orphans() == 0, "the region is gone")?;
    }
    Ok(())
}

/// What lies in no slot, and what is no bounce slot, cannot be asked for.
fn nothing_is_read_outside(eal: &Eal) -> Result<(), Failed> {
    let (pool, objects) = posted(eal, "outside")?;
    // SAFETY: a posted mbuf.
    let at = unsafe { (*objects[0].cast::<rte_mbuf>()).buf_addr as usize } + 128 + 34;
    let mut all = vec![0; usize::from(u16::MAX)];
    for outside in [0, 8, 24, 33, 0x1000, usize::MAX, usize::MAX - 7, at + (1 << 40)] {
        ensure(pool.raw_headers(outside, 0).is_none() && pool.front(outside).is_none(), "words")?;
        ensure(pool.copy_frame(outside, 64, 0, &mut all).is_none(), "a frame")?;
    }
    for (len, bounce) in [(u16::MAX, 1), (64, 65), (64, u16::MAX), (1515 + 64, 1)] {
        ensure(pool.copy_frame(at, len, bounce, &mut all).is_none(), "a bounced frame")?;
    }
    ensure(pool.raw_headers(at, 65).is_none() && pool.raw_headers(at, u16::MAX).is_none(), "words")?;
    ensure(pool.copy_frame(at, 1514, 64, &mut all) == Some(1514), "the last bounce slot")?;
    ensure(pool.copy_frame(at, 1514, 0, &mut all[..100]) == Some(100), "as much as there is room")?;
    for (stride, room) in [
        (0, 1514),
        (4, 1514),
        (1 << 60, 1514),
        (65_376, 1514),
        (1480, 60),
        (1480, usize::MAX),
        (1480, 65_500),
    ] {
        let config = PoolConfig { name: "bad".into(), stride, room, ..pool.config().clone() };
        ensure(LandingPool::create(eal, &config).is_err(), "a pool that cannot be")?;
    }
    let raw = pool.as_ptr();
    give_back(raw, &objects);
    ensure(pool.available() == pool.size() && pool.held() == 0, "all is back")?;
    drop(pool);
    ensure(owed_by_devices() == OwedByDevices::default(), "nothing was out")
}

fn main() -> Result<(), Failed> {
    let prefix = format!("--file-prefix=lmowed{}", std::process::id());
    let args =
        ["owed", "-l", "0", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--log-level=4", &prefix];
    let (eal, _) = Eal::init(args)?;
    println!("test nothing is read outside");
    nothing_is_read_outside(&eal)?;
    println!("test a slot wider than a stride is held whole");
    a_wide_slot_is_held_whole(&eal)?;
    println!("test posted slots are kept until the driver is done");
    posted_slots_are_kept(&eal)?;
    println!("test messages and devices let go in either order");
    messages_and_devices_in_either_order(&eal)?;
    println!("4 passed, 0 failed");
    Ok(())
}
