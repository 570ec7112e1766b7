//! The C side, owned safely: the simulated card and driver, the peers, and the application that takes
//! datagrams. `c/bench.h` says what is shared.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use dpdk_sys::{rte_mbuf, rte_mempool};
use lm_proto::checksum;
use lm_proto::wire::HEADERS;
use rte::Eal;

use crate::traffic::{Shot, Traffic};

/// Frames that one receive call takes.
pub(crate) const BURST: usize = 32;

/// What the application does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Mode {
    /// Looks at its first byte.
    Touch,
    /// Reads every byte.
    Read,
    /// Compares every byte.
    Verify,
}

/// The application, as C has it (`struct sink`).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Sink<'a> {
    pub datagrams: u64,
    pub bytes: u64,
    pub frames: u64,
    pub sum: u64,
    pub bad: u64,
    expected: *const u8,
    len: u32,
    mode: Mode,
    _payloads: PhantomData<&'a [u8]>,
}

impl<'a> Sink<'a> {
    /// An application that is to get the datagrams of one round of `traffic`.
    pub(crate) fn new(mode: Mode, traffic: &'a Traffic) -> Self {
        Self {
            datagrams: 0,
            bytes: 0,
            frames: 0,
            sum: 0,
            bad: 0,
            expected: traffic.payloads().as_ptr(),
            len: traffic.size() as u32,
            mode,
            _payloads: PhantomData,
        }
    }

    /// A datagram, contiguous: what `sink_take` is in C.
    #[inline(always)]
    pub(crate) fn take(&mut self, payload: &[u8], traffic: &Traffic) {
        match self.mode {
            Mode::Touch => self.sum += u64::from(payload.first().copied().unwrap_or_default()),
            // SAFETY: the reader was chosen before `main`, and reads no more than the slice.
            Mode::Read => self.sum += unsafe { READ_ALL(payload.as_ptr(), payload.len() as u64) },
            Mode::Verify => {
                let at = self.datagrams as usize * traffic.size();
                self.bad += u64::from(traffic.payloads().get(at..at + traffic.size()) != Some(payload));
            }
        }
        self.datagrams += 1;
        self.bytes += payload.len() as u64;
    }
}

#[repr(C)]
struct RawQueue {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct RawPeers {
    _opaque: [u8; 0],
}

type Run = unsafe extern "C" fn(*mut RawPeers, *mut RawQueue, *mut Sink<'_>);

unsafe extern "C" {
    fn queue_create(pool: *mut rte_mempool, n: u32, legacy: u32) -> *mut RawQueue;
    fn queue_destroy(q: *mut RawQueue);
    fn queue_dma(
        q: *mut RawQueue,
        frame: *const u8,
        len: u32,
        headers: *const u8,
        tail: *const u8,
        tail_len: u32,
        flush: i32,
    );
    fn queue_rx(q: *mut RawQueue, out: *mut *mut rte_mbuf, nb: u16) -> u16;
    fn queue_rx_legacy(q: *mut RawQueue, out: *mut *mut rte_mbuf, nb: u16) -> u16;
    fn queue_ring(q: *mut RawQueue) -> *mut u64;
    #[link_name = "gauge"]
    fn raw_gauge() -> u64;
    fn peers_create(flows: u32, entries: u32) -> *mut RawPeers;
    fn peers_destroy(p: *mut RawPeers);
    fn run_bare(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_chain(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_chain_copy(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_copy(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_copy_checksum(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_stream_chain(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_stream_chain_sum(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_stream_copy(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    fn run_stream_copy_sum(p: *mut RawPeers, q: *mut RawQueue, s: *mut Sink<'_>);
    #[link_name = "read_all"]
    static READ_ALL: unsafe extern "C" fn(*const u8, u64) -> u64;
}

/// LM's sum of a piece, for its peers.
///
/// # Safety
/// `n` bytes at `p`, which nobody writes.
#[unsafe(no_mangle)]
unsafe extern "C" fn lm_sum(p: *const u8, n: u64) -> u64 {
    // SAFETY: the caller's promise.
    checksum::sum(unsafe { std::slice::from_raw_parts(p, n as usize) })
}

/// The time-stamp counter, after everything before it.
pub(crate) fn cycles() -> u64 {
    // SAFETY: reads a counter.
    unsafe { dpdk_sys::rte_rdtsc_precise() }
}

/// Cycles of a fixed number of additions: how much of the core is ours just now.
pub(crate) fn gauge() -> u64 {
    // SAFETY: computes, and reads a counter.
    unsafe { raw_gauge() }
}

/// A receive queue with a simulated card behind it, posted full.
pub(crate) struct Queue(NonNull<RawQueue>, Driver);

/// Whose loop the driver's is, and whose descriptors the card's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Igb,
    Em,
}

impl Queue {
    /// A queue of `n` descriptors; `None`: no memory, or too few mbufs.
    ///
    /// # Safety
    /// The pool lives longer than the queue, and belongs to this thread. Its mbufs have room for a frame of
    /// 1514 bytes.
    pub(crate) unsafe fn new(pool: *mut rte_mempool, n: u32, driver: Driver) -> Option<Self> {
        // SAFETY: the caller's promise; EAL is initialised, as there is a pool.
        let queue = NonNull::new(unsafe { queue_create(pool, n, (driver == Driver::Em).into()) });
        queue.map(|queue| Self(queue, driver))
    }

    /// Its descriptors, which stay where they are as long as it lives.
    pub(crate) fn ring(&self) -> Option<NonNull<u64>> {
        // SAFETY: a queue that was made.
        NonNull::new(unsafe { queue_ring(self.0.as_ptr()) })
    }

    /// The card receives a frame of these headers and this body. Never more than there are descriptors
    /// between two emptyings.
    pub(crate) fn dma_as(&mut self, headers: &[u8; HEADERS], frame: &[u8], flush: bool) {
        assert!((HEADERS..=1514).contains(&frame.len()));
        // SAFETY: as in `dma`; there is no tail.
        unsafe {
            let (none, len) = (frame.as_ptr(), frame.len() as u32);
            queue_dma(self.0.as_ptr(), frame.as_ptr(), len, headers.as_ptr(), none, 0, i32::from(flush));
        }
    }

    /// The card receives one frame. Never more than there are descriptors between two emptyings.
    pub(crate) fn dma(&mut self, shot: &Shot, traffic: &Traffic, flush: bool) {
        let (frame, tail) = (traffic.body(shot), shot.tail());
        assert!(frame.len() <= 1514 && frame.len() >= shot.headers.len() + tail.len());
        // SAFETY: the frame fits the posted mbuf (`new`) and has the headers and the tail in it (above).
        unsafe {
            queue_dma(
                self.0.as_ptr(),
                frame.as_ptr(),
                frame.len() as u32,
                shot.headers.as_ptr(),
                tail.as_ptr(),
                tail.len() as u32,
                i32::from(flush),
            );
        }
    }

    /// What the driver hands over; how many.
    #[inline(always)]
    pub(crate) fn receive(&mut self, mbufs: &mut [*mut rte_mbuf; BURST]) -> usize {
        let (queue, to) = (self.0.as_ptr(), mbufs.as_mut_ptr());
        // SAFETY: the array has room for what is asked for.
        let n = unsafe {
            match self.1 {
                Driver::Igb => queue_rx(queue, to, BURST as u16),
                Driver::Em => queue_rx_legacy(queue, to, BURST as u16),
            }
        };
        usize::from(n).min(BURST)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `queue_create`; its pool lives.
        unsafe { queue_destroy(self.0.as_ptr()) };
    }
}

/// What the peers need: the stock reassembler's table, places to copy to.
pub(crate) struct Peers(NonNull<RawPeers>, #[expect(dead_code, reason = "the memory is EAL's")] Eal);

impl Peers {
    /// With a table for so many datagrams at once, a power of two, and so many places in a bucket.
    pub(crate) fn new(eal: &Eal, flows: u32, entries: u32) -> Option<Self> {
        // SAFETY: EAL is initialised.
        NonNull::new(unsafe { peers_create(flows, entries) }).map(|p| Self(p, eal.clone()))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // SAFETY: made by `peers_create`; nothing waits in the table between rounds, whose datagrams are
        // whole.
        unsafe { peers_destroy(self.0.as_ptr()) };
    }
}

/// What LM is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Bare,
    Copy,
    Chain,
    ChainCopy,
    CopyChecksum,
    /// Of many senders: a chain, with or without sums, and copied together.
    StreamChain,
    StreamChainSum,
    StreamCopy,
    StreamCopySum,
}

impl Peer {
    /// Takes everything that the queue has.
    #[inline(always)]
    pub(crate) fn run(self, peers: &mut Peers, queue: &mut Queue, sink: &mut Sink<'_>) {
        let run: Run = match self {
            Self::Bare => run_bare,
            Self::Copy => run_copy,
            Self::Chain => run_chain,
            Self::ChainCopy => run_chain_copy,
            Self::CopyChecksum => run_copy_checksum,
            Self::StreamChain => run_stream_chain,
            Self::StreamChainSum => run_stream_chain_sum,
            Self::StreamCopy => run_stream_copy,
            Self::StreamCopySum => run_stream_copy_sum,
        };
        // SAFETY: all three live and are this thread's alone; a sink that verifies expects this traffic.
        unsafe { run(peers.0.as_ptr(), queue.0.as_ptr(), ptr::from_mut(sink)) };
    }
}
