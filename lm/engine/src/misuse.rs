//! What safe code must not be able to do. Each program that does not compile stands beside one that differs
//! from it only in what makes it unsafe, or right, and does: so it is refused for that and for nothing else.
//!
//! # A read of any address
//! Bytes of region are borrowed only on the caller's word that nobody writes them.
//! ```compile_fail,E0133
//! fn peek(pool: &lm_landing::LandingPool) -> Option<&[u8]> {
//!     pool.bytes(0x1000, 64)
//! }
//! ```
//! ```no_run
//! fn peek(pool: &lm_landing::LandingPool) -> Option<&[u8]> {
//!     unsafe { pool.bytes(0x1000, 64) }
//! }
//! ```
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
//! # A frame of any length out of a bounce slot
//! ```compile_fail,E0133
//! fn frame(pool: &lm_landing::LandingPool) -> Option<&[u8]> {
//!     pool.frame(0, u16::MAX, 64)
//! }
//! ```
//! ```no_run
//! fn frame(pool: &lm_landing::LandingPool) -> Option<&[u8]> {
//!     unsafe { pool.frame(0, u16::MAX, 64) }
//! }
//! ```
//!
//! # A hold of any number of slots
//! ```compile_fail,E0133
//! fn hold(pool: &mut lm_landing::LandingPool, at: usize) -> Option<lm_landing::Hold> {
//!     pool.hold(at, u32::MAX, usize::MAX)
//! }
//! ```
//! ```no_run
//! fn hold(pool: &mut lm_landing::LandingPool, at: usize) -> Option<lm_landing::Hold> {
//!     unsafe { pool.hold(at, u32::MAX, usize::MAX) }
//! }
//! ```
//!
//! # A slot given back twice
//! ```compile_fail,E0133
//! fn twice(pool: &mut lm_landing::LandingPool, at: usize) {
//!     pool.release(at);
//!     pool.release(at);
//! }
//! ```
//! ```no_run
//! fn once(pool: &mut lm_landing::LandingPool, at: usize) {
//!     unsafe { pool.release(at) };
//! }
//! ```
//! Nor does a sink that is safe to write get at the pool.
//! ```compile_fail,E0200
//! use lm_landing::queue::{Behind, Burst, Part, FrameSink};
//! use lm_landing::{Landed, LandingPool};
//! struct Sink(LandingPool);
//! impl FrameSink for Sink {
//!     fn prepare(&self, _: &Burst<'_>) {}
//!     fn take_plain(&mut self, _: &mut LandingPool, _: &mut Burst<'_>) {}
//!     fn take_two(&mut self, _: &mut LandingPool, _: [Part; 2], _: Option<Behind>) -> bool {
//!         false
//!     }
//!     fn take(&mut self, pool: &mut LandingPool, _: Landed) {
//!         std::mem::swap(&mut self.0, pool);
//!     }
//! }
//! ```
//! ```no_run
//! use lm_landing::queue::{Behind, Burst, Part, FrameSink};
//! use lm_landing::{Landed, LandingPool};
//! struct Sink(LandingPool);
//! unsafe impl FrameSink for Sink {
//!     fn prepare(&self, _: &Burst<'_>) {}
//!     fn take_plain(&mut self, _: &mut LandingPool, _: &mut Burst<'_>) {}
//!     fn take_two(&mut self, _: &mut LandingPool, _: [Part; 2], _: Option<Behind>) -> bool {
//!         false
//!     }
//!     fn take(&mut self, pool: &mut LandingPool, _: Landed) {
//!         std::mem::swap(&mut self.0, pool);
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
//! ```compile_fail,E0624
//! use lm_landing::device::Traits;
//! use lm_landing::{LandingPool, LandingQueue};
//! fn queue(rx: rte::port::RxQueue, pool: LandingPool, traits: Traits) -> LandingQueue {
//!     LandingQueue::new(rx, pool, traits)
//! }
//! ```
//! ```compile_fail,E0133
//! fn swap(a: &mut lm_landing::LandingQueue, b: &mut lm_landing::LandingQueue) {
//!     std::mem::swap(a.pool_mut(), b.pool_mut());
//! }
//! ```
//! ```no_run
//! fn swap(a: &mut lm_landing::LandingQueue, b: &mut lm_landing::LandingQueue) {
//!     unsafe { std::mem::swap(a.pool_mut(), b.pool_mut()) };
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
//! fn swap(a: &mut lm_engine::Lander, b: &mut lm_engine::Lander) {
//!     let (a, b): (&mut lm_engine::engine::Engine, &mut lm_engine::engine::Engine) = (&mut *a, &mut *b);
//!     std::mem::swap(a, b);
//! }
//! ```
//! ```no_run
//! fn look(a: &mut lm_engine::Receiver, b: &mut lm_engine::Lander) -> usize {
//!     let (a, b): (&lm_engine::engine::Engine, &lm_engine::engine::Engine) = (&*a, &*b);
//!     a.waiting() + b.waiting()
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
