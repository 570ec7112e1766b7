//! Programs that must not compile, because safe code must not be able to do what they do. Beside each stands
//! a similar program that compiles. The two differ only in the misuse, so the first one is refused because of
//! it and for no other reason.
//!
//! # A read of any address
//! Bytes of region are borrowed by whoever has the token of their slots, and only a queue makes one.
//! ```compile_fail,E0061
//! fn peek(pool: &lm_landing::LandingPool, _: &lm_landing::LandedSlots) -> Option<usize> {
//!     Some(pool.bytes(0x1000, 64)?.len())
//! }
//! ```
//! ```no_run
//! fn peek(pool: &lm_landing::LandingPool, slots: &lm_landing::LandedSlots) -> Option<usize> {
//!     Some(pool.bytes(slots, 0x1000, 64)?.len())
//! }
//! ```
//! ```compile_fail,E0451
//! fn token(lowest: usize) -> lm_landing::LandedSlots {
//!     lm_landing::LandedSlots { lowest, packed: 1 << 48 }
//! }
//! ```
//! ```compile_fail,E0599
//! fn two(slots: lm_landing::LandedSlots) -> [lm_landing::LandedSlots; 2] {
//!     [slots.clone(), slots]
//! }
//! ```
//! ```compile_fail,E0382
//! fn two(slots: lm_landing::LandedSlots) -> [lm_landing::LandedSlots; 2] {
//!     [slots, slots]
//! }
//! ```
//! ```no_run
//! fn one(slots: lm_landing::LandedSlots) -> [lm_landing::LandedSlots; 1] {
//!     [slots]
//! }
//! ```
//!
//! # A read of what was given back
//! ```compile_fail,E0505
//! fn late(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) -> Option<u8> {
//!     let bytes = pool.bytes(&slots, slots.lowest(), 64)?;
//!     pool.release(slots);
//!     bytes.first().copied()
//! }
//! ```
//! ```compile_fail,E0505
//! fn late(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) -> Option<u8> {
//!     let bytes = pool.bytes(&slots, slots.lowest(), 64)?;
//!     drop(pool.hold(slots, 64));
//!     bytes.first().copied()
//! }
//! ```
//! ```no_run
//! fn in_time(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) -> Option<u8> {
//!     let byte = pool.bytes(&slots, slots.lowest(), 64)?.first().copied();
//!     pool.release(slots);
//!     byte
//! }
//! ```
//! Nor does the pool go, or a burst come, while they are borrowed.
//! ```compile_fail,E0502
//! fn grow<'a>(pool: &'a mut lm_landing::LandingPool, slots: &'a lm_landing::LandedSlots) -> usize {
//!     let bytes = pool.bytes(slots, slots.lowest(), 64).unwrap_or_default();
//!     pool.maintain();
//!     bytes.len()
//! }
//! ```
//! ```no_run
//! fn grow<'a>(pool: &'a mut lm_landing::LandingPool, slots: &'a lm_landing::LandedSlots) -> usize {
//!     let len = pool.bytes(slots, slots.lowest(), 64).unwrap_or_default().len();
//!     pool.maintain();
//!     len
//! }
//! ```
//!
//! # Headers that may be another frame's
//! Headers may be overwritten at any moment: they are copied out, and there may be none.
//! ```compile_fail,E0308
//! fn headers(pool: &lm_landing::LandingPool) -> [u64; 3] {
//!     pool.raw_headers(0x1000, 0)
//! }
//! ```
//! ```no_run
//! fn headers(pool: &lm_landing::LandingPool) -> Option<[u64; 3]> {
//!     pool.raw_headers(0x1000, 0)
//! }
//! ```
//!
//! # A hold of any number of slots
//! ```compile_fail,E0308
//! fn hold(pool: &lm_landing::LandingPool, _: lm_landing::LandedSlots) -> Option<lm_landing::Hold> {
//!     pool.hold(0x1000, usize::MAX).ok()
//! }
//! ```
//! ```no_run
//! fn hold(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) -> Option<lm_landing::Hold> {
//!     pool.hold(slots, usize::MAX).ok()
//! }
//! ```
//!
//! # A slot given back twice
//! ```compile_fail,E0382
//! fn twice(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) {
//!     pool.release(slots);
//!     pool.release(slots);
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) -> Option<lm_landing::Hold> {
//!     pool.release(slots);
//!     pool.hold(slots, 64).ok()
//! }
//! ```
//! ```no_run
//! fn once(pool: &lm_landing::LandingPool, slots: lm_landing::LandedSlots) {
//!     pool.release(slots);
//! }
//! ```
//! A slot that was split off is in one of the two.
//! ```compile_fail,E0382
//! use lm_proto::frame::Slots;
//! fn twice(pool: &lm_landing::LandingPool, mut slots: lm_landing::LandedSlots) {
//!     let below = slots.split_behind(1);
//!     below.map(|below| pool.release(below));
//!     below.map(|below| pool.release(below));
//!     pool.release(slots);
//! }
//! ```
//! ```no_run
//! use lm_proto::frame::Slots;
//! fn once(pool: &lm_landing::LandingPool, mut slots: lm_landing::LandedSlots) {
//!     let below = slots.split_behind(1);
//!     below.map(|below| pool.release(below));
//!     pool.release(slots);
//! }
//! ```
//! A received mbuf makes tokens of its slots only in the queue's hands.
//! ```compile_fail,E0624
//! fn again(pool: &mut lm_landing::LandingPool, mbuf: *mut lm_landing::RawMbuf) -> lm_landing::Landed {
//!     unsafe { pool.received(mbuf) }
//! }
//! ```
//! ```compile_fail,E0133
//! use lm_landing::queue::{FrameSink, feed};
//! use lm_landing::{LandingPool, RawMbuf};
//! fn again(pool: &mut LandingPool, mbufs: &[*mut RawMbuf], sink: &mut impl FrameSink) {
//!     feed(pool, mbufs, sink);
//! }
//! ```
//! ```no_run
//! use lm_landing::queue::{FrameSink, feed};
//! use lm_landing::{LandingPool, RawMbuf};
//! fn once(pool: &mut LandingPool, mbufs: &[*mut RawMbuf], sink: &mut impl FrameSink) {
//!     unsafe { feed(pool, mbufs, sink) };
//! }
//! ```
//!
//! # A sink that takes the pool, or the burst, along
//! ```compile_fail,E0308
//! use lm_landing::queue::{Behind, Burst, Part, FrameSink};
//! use lm_landing::{Landed, LandingPool};
//! struct Sink(LandingPool);
//! impl FrameSink for Sink {
//!     fn prepare(&self, _: &Burst<'_>) {}
//!     fn take_plain(&mut self, _: &LandingPool, _: &mut Burst<'_>) {}
//!     fn take_two(&mut self, _: &LandingPool, p: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
//!         Err(p)
//!     }
//!     fn take(&mut self, pool: &LandingPool, _: Landed) {
//!         std::mem::swap(&mut self.0, pool);
//!     }
//! }
//! ```
//! ```compile_fail
//! use lm_landing::queue::{Behind, Burst, Part, FrameSink};
//! use lm_landing::{Landed, LandingPool};
//! struct Sink<'a, 'b>(&'a mut Burst<'b>);
//! impl FrameSink for Sink<'_, '_> {
//!     fn prepare(&self, _: &Burst<'_>) {}
//!     fn take_plain(&mut self, _: &LandingPool, burst: &mut Burst<'_>) {
//!         std::mem::swap(self.0, burst);
//!     }
//!     fn take_two(&mut self, _: &LandingPool, p: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
//!         Err(p)
//!     }
//!     fn take(&mut self, _: &LandingPool, _: Landed) {}
//! }
//! ```
//! ```no_run
//! use lm_landing::queue::{Behind, Burst, Part, FrameSink};
//! use lm_landing::{Landed, LandedSlots, LandingPool};
//! use lm_proto::frame::Frames;
//! struct Sink(Vec<LandedSlots>);
//! impl FrameSink for Sink {
//!     fn prepare(&self, _: &Burst<'_>) {}
//!     fn take_plain(&mut self, _: &LandingPool, burst: &mut Burst<'_>) {
//!         while let Some(frame) = burst.next() {
//!             self.0.push(frame.slots);
//!         }
//!     }
//!     fn take_two(&mut self, _: &LandingPool, p: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
//!         Err(p)
//!     }
//!     fn take(&mut self, _: &LandingPool, landed: Landed) {
//!         self.0.push(landed.slots);
//!     }
//! }
//! ```
//!
//! # Two `&mut` to the same bytes
//! Frames of one send buffer may overlap, so none of them can be changed.
//! ```compile_fail,E0608
//! fn alias(a: &mut rte::Mbuf, b: &mut rte::Mbuf) -> u8 {
//!     let (x, y) = (a.data_mut(), b.data_mut());
//!     x[60] = 1;
//!     y[10] = 2;
//!     x[60]
//! }
//! ```
//! ```no_run
//! fn alias(a: &mut rte::Mbuf, b: &mut rte::Mbuf) -> Option<u8> {
//!     let (x, y) = (a.data_mut()?, b.data_mut()?);
//!     x[60] = 1;
//!     y[10] = 2;
//!     Some(x[60])
//! }
//! ```
//!
//! # The queue of a landing port without its pool
//! ```compile_fail,E0599
//! fn queue(port: &mut pmd_e1000::LandingPort) -> Option<rte::port::RxQueue> {
//!     port.port_mut().take_rx(0)
//! }
//! ```
//! ```compile_fail,E0596
//! fn queue(port: &mut pmd_e1000::LandingPort) -> Option<rte::port::RxQueue> {
//!     port.port().take_rx(0)
//! }
//! ```
//! ```no_run
//! fn queue(port: &mut rte::port::Port) -> Option<rte::port::RxQueue> {
//!     port.take_rx(0)
//! }
//! ```
//!
//! # A queue with another's pool
//! ```compile_fail,E0133
//! use lm_landing::device::Traits;
//! use lm_landing::{LandingPool, LandingQueue};
//! fn queue(rx: rte::port::RxQueue, pool: LandingPool, traits: Traits) -> LandingQueue {
//!     LandingQueue::new(rx, pool, traits)
//! }
//! ```
//! ```compile_fail,E0308
//! fn swap(a: &mut lm_landing::LandingQueue, b: &mut lm_landing::LandingQueue) {
//!     let (a, b): (&mut lm_landing::LandingPool, &mut lm_landing::LandingPool) = (a.pool(), b.pool());
//!     std::mem::swap(a, b);
//! }
//! ```
//! ```no_run
//! fn look(a: &mut lm_landing::LandingQueue, b: &mut lm_landing::LandingQueue) -> u32 {
//!     let (a, b): (&lm_landing::LandingPool, &lm_landing::LandingPool) = (a.pool(), b.pool());
//!     a.size() + b.size()
//! }
//! ```
//!
//! # A matcher of another queue
//! ```compile_fail,E0596
//! fn swap(a: &mut lm_engine::Receiver, b: &mut lm_engine::Receiver) {
//!     let (a, b): (&mut lm_engine::engine::Engine, &mut lm_engine::engine::Engine) = (&mut *a, &mut *b);
//!     std::mem::swap(a, b);
//! }
//! ```
//! ```compile_fail,E0596
//! fn swap(a: &mut lm_engine::AdoptedReceiver, b: &mut lm_engine::AdoptedReceiver) {
//!     let (a, b): (&mut lm_engine::engine::Engine, &mut lm_engine::engine::Engine) = (&mut *a, &mut *b);
//!     std::mem::swap(a, b);
//! }
//! ```
//! ```no_run
//! fn look(a: &mut lm_engine::Receiver, b: &mut lm_engine::AdoptedReceiver) -> usize {
//!     let (a, b): (&lm_engine::engine::Engine, &lm_engine::engine::Engine) = (&*a, &*b);
//!     a.waiting() + b.waiting()
//! }
//! ```
//!
//! # A message that is taken twice, or looked at in its place after the poll
//! ```compile_fail,E0382
//! fn twice(message: lm_engine::Arrived<'_>) -> [lm_engine::Message; 2] {
//!     [message.take(), message.take()]
//! }
//! ```
//! ```compile_fail,E0382
//! fn late(message: lm_engine::Arrived<'_>) -> (lm_engine::Message, usize) {
//!     (message.take(), message.len())
//! }
//! ```
//! ```compile_fail,E0521
//! fn keep(receiver: &mut lm_engine::Receiver) {
//!     let mut kept = Vec::new();
//!     receiver.receive(32, |message| kept.push(message));
//! }
//! ```
//! ```no_run
//! fn keep(receiver: &mut lm_engine::Receiver) {
//!     let mut kept = Vec::new();
//!     receiver.receive(32, |message| kept.push(message.take()));
//! }
//! ```
//!
//! # A pool's handler that hands out what it likes
//! ```compile_fail,E0200
//! use rte::mempool::Handler;
//! use rte::sys::rte_mempool;
//! use std::ffi::{CStr, c_void};
//! struct Liar;
//! impl Handler for Liar {
//!     const NAME: &'static CStr = c"liar";
//!     type Config = ();
//!     fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> { Ok(Self) }
//!     unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 { 0 }
//!     unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 { 0 }
//!     unsafe fn count(_: *const Self) -> u32 { 1 }
//! }
//! ```
//! ```no_run
//! use rte::mempool::Handler;
//! use rte::sys::rte_mempool;
//! use std::ffi::{CStr, c_void};
//! struct Liar;
//! unsafe impl Handler for Liar {
//!     const NAME: &'static CStr = c"liar";
//!     type Config = ();
//!     fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> { Ok(Self) }
//!     unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 { 0 }
//!     unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 { 0 }
//!     unsafe fn count(_: *const Self) -> u32 { 1 }
//! }
//! ```
//!
//! # Pools, queues and receivers on two threads at once
//! ```compile_fail,E0277
//! fn shared<T: Sync>() {}
//! shared::<lm_landing::LandingPool>();
//! ```
//! ```compile_fail,E0277
//! fn shared<T: Sync>() {}
//! shared::<lm_landing::LandingQueue>();
//! ```
//! ```compile_fail,E0277
//! fn shared<T: Sync>() {}
//! shared::<lm_engine::Receiver>();
//! ```
//! ```compile_fail,E0277
//! fn shared<T: Sync>() {}
//! shared::<pmd_e1000::LandingPort>();
//! ```
//! ```no_run
//! fn moved<T: Send>() {}
//! fn shared<T: Sync>() {}
//! moved::<lm_landing::LandingPool>();
//! moved::<lm_landing::LandingQueue>();
//! moved::<lm_engine::Receiver>();
//! moved::<pmd_e1000::LandingPort>();
//! shared::<lm_engine::Message>();
//! ```
//!
//! # A device that is looked at when EAL is gone
//! ```compile_fail,E0382
//! fn late(eal: rte::Eal, id: rte::port::PortId) -> String {
//!     drop(eal);
//!     pmd_e1000::device::arguments(&eal, id)
//! }
//! ```
//! ```compile_fail,E0061
//! fn any_time(id: rte::port::PortId) -> String {
//!     pmd_e1000::device::arguments(id)
//! }
//! ```
//! ```no_run
//! fn in_time(eal: rte::Eal, id: rte::port::PortId) -> String {
//!     let arguments = pmd_e1000::device::arguments(&eal, id);
//!     drop(eal);
//!     arguments
//! }
//! ```
