//! [`RxQueue`] and [`TxQueue`]: the fast path. Each is used by one thread at a time.
//!
//! The burst functions are what `rte_eth_rx_burst` and `rte_eth_tx_burst` are in C: a load from
//! `rte_eth_fp_ops`, the driver's function, and the callbacks if there are any. Queues of [`super::Port`] go
//! back to the port when they are dropped; an adopted queue stays the application's.

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use dpdk_sys::{rte_eth_fp_ops, rte_ethdev_qdata, rte_mbuf, rte_mempool, rte_pktmbuf_pool_private};

use super::turn::Turns;
use super::{PortId, Shared, State};
use crate::{Burst, Eal, Errno};

/// The entry of the port in DPDK's table of fast functions.
fn fast_ops(id: PortId) -> *const rte_eth_fp_ops {
    // SAFETY: the port is valid, so its number is within the table, of which only the address is taken.
    unsafe { (&raw const dpdk_sys::rte_eth_fp_ops).cast::<rte_eth_fp_ops>().add(usize::from(id.0)) }
}

/// The driver's data of a queue.
///
/// # Safety
/// The queue exists, on a started port.
#[inline]
unsafe fn data(queues: &rte_ethdev_qdata, queue: u16) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { *queues.data.add(usize::from(queue)) }
}

/// The first callback of a queue, or null.
///
/// # Safety
/// The queue exists, on a started port.
#[inline]
unsafe fn callback(queues: &rte_ethdev_qdata, queue: u16) -> *mut c_void {
    // SAFETY: the caller's promise. Other threads add and remove callbacks with atomic stores; what is loaded
    // is only followed after the load, which is the order that C relies on, too.
    unsafe { AtomicPtr::from_ptr(queues.clbk.add(usize::from(queue))).load(Ordering::Relaxed) }
}

/// What a queue of either kind has: its port's number, its own, and the driver's functions.
#[derive(Debug)]
struct Handle {
    ops: *const rte_eth_fp_ops,
    queue: u16,
    turns: Option<Arc<Turns>>,
    shared: Arc<Shared>,
    _not_sync: PhantomData<Cell<()>>,
}

// SAFETY: the table is DPDK's and static; the queue has one owner, and drivers don't care which thread uses
// it.
unsafe impl Send for Handle {}

impl Handle {
    fn new(shared: Arc<Shared>, queue: u16) -> Self {
        Self { ops: fast_ops(shared.id), queue, turns: Turns::of(shared.id), shared, _not_sync: PhantomData }
    }

    /// That of a queue of a port that the application has opened itself, and closes.
    fn adopt(eal: &Eal, port: PortId, queue: u16) -> Self {
        // Marked as closed, so that dropping the queue does nothing: the application closes the port.
        let state = State { closed: true, ..State::default() };
        let shared = Shared { id: port, listed: false, state: Mutex::new(state), eal: eal.clone() };
        Self::new(Arc::new(shared), queue)
    }
}

/// A receive queue. It may move to another thread, where one thread uses it; dropping it gives it back to the
/// port.
#[derive(Debug)]
pub struct RxQueue {
    handle: Handle,
}

impl RxQueue {
    pub(super) fn new(shared: Arc<Shared>, queue: u16) -> Self {
        Self { handle: Handle::new(shared, queue) }
    }

    /// A queue of a port that the application has opened itself.
    ///
    /// # Safety
    /// The port exists, its queue `queue` is set up, and it is started for as long as the queue is polled.
    /// Nobody else polls this queue while this value lives.
    pub unsafe fn adopt(eal: &Eal, port: PortId, queue: u16) -> Self {
        Self { handle: Handle::adopt(eal, port, queue) }
    }

    /// Its port.
    pub fn port(&self) -> PortId {
        self.handle.shared.id
    }

    /// Its number.
    pub fn queue(&self) -> u16 {
        self.handle.queue
    }

    /// Receives up to `out.len()` packets, runs the port's RX callbacks, and says how many packets were
    /// written to the front of `out`. The caller owns them and frees them.
    #[inline]
    pub fn burst(&mut self, out: &mut [*mut rte_mbuf]) -> usize {
        match &self.handle.turns {
            None => self.poll(out),
            Some(turns) => turns.during(|| self.poll(out)),
        }
    }

    #[inline]
    fn poll(&self, out: &mut [*mut rte_mbuf]) -> usize {
        let room = out.len().min(usize::from(u16::MAX)) as u16;
        // SAFETY: while this value lives the port is started, so the entry is the driver's and does not
        // change; this is the queue's only user; `out` has `room` places.
        unsafe {
            let ops = &*self.handle.ops;
            let Some(receive) = ops.rx_pkt_burst else { return 0 };
            let mut n = receive(data(&ops.rxq, self.handle.queue), out.as_mut_ptr(), room);
            let first = callback(&ops.rxq, self.handle.queue);
            if !first.is_null() {
                n = dpdk_sys::rte_eth_call_rx_callbacks(
                    self.handle.shared.id.0,
                    self.handle.queue,
                    out.as_mut_ptr(),
                    n,
                    room,
                    first,
                );
            }
            usize::from(n)
        }
    }

    /// Receives into the free places of `burst`. Returns how many packets came.
    #[inline]
    pub fn receive<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let n = self.burst(burst.spare());
        // SAFETY: the driver has written `n` packets there and given them away.
        unsafe { burst.filled(n) };
        n
    }

    /// How many received frames wait in the ring, as far as the driver knows.
    ///
    /// # Errors
    /// ENOTSUP if the driver cannot tell.
    pub fn waiting(&self) -> Result<u32, Errno> {
        // SAFETY: the queue exists, and DPDK checks whether its driver has the function.
        let ret = unsafe { dpdk_sys::rte_eth_rx_queue_count(self.handle.shared.id.0, self.handle.queue) };
        u32::try_from(ret).map_err(|_| Errno::of_return(ret))
    }
}

impl Drop for RxQueue {
    fn drop(&mut self) {
        if let Some(slot) = self.handle.shared.lock().rx.get_mut(usize::from(self.handle.queue)) {
            slot.out = false;
        }
    }
}

/// What a TX descriptor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxDescriptor {
    /// Its frame waits for the device.
    Full,
    /// The device is done with it, or it was never used.
    Done,
    /// The driver keeps it for itself.
    Unavailable,
}

/// A transmit queue. It may move to another thread, where one thread uses it; dropping it gives it back to
/// the port.
#[derive(Debug)]
pub struct TxQueue {
    handle: Handle,
}

impl TxQueue {
    pub(super) fn new(shared: Arc<Shared>, queue: u16) -> Self {
        Self { handle: Handle::new(shared, queue) }
    }

    /// A queue of a port that the application has opened itself.
    ///
    /// # Safety
    /// The port exists, its queue `queue` is set up, and it is started for as long as something is sent.
    /// While this value lives, only the thread that has it sends on this queue.
    pub unsafe fn adopt(eal: &Eal, port: PortId, queue: u16) -> Self {
        Self { handle: Handle::adopt(eal, port, queue) }
    }

    /// Its port.
    pub fn port(&self) -> PortId {
        self.handle.shared.id
    }

    /// Its number.
    pub fn queue(&self) -> u16 {
        self.handle.queue
    }

    /// Runs the port's TX callbacks, then sends packets from the front of `packets`, and says how many were
    /// taken. The rest stays the caller's. (Callbacks that drop packets change what `packets` holds, as in
    /// C.) With no packets it asks the driver to give back what it has sent, which any driver takes.
    ///
    /// # Safety
    /// `packets` are valid packets that the caller owns, and whose pools live until the driver frees them. If
    /// one of the pools belongs to one thread, this is that thread.
    #[inline]
    pub unsafe fn burst(&mut self, packets: &mut [*mut rte_mbuf]) -> usize {
        match &self.handle.turns {
            // SAFETY: the caller's promise.
            None => unsafe { self.transmit(packets) },
            // SAFETY: the caller's promise.
            Some(turns) => turns.during(|| unsafe { self.transmit(packets) }),
        }
    }

    /// # Safety
    /// That of [`Self::burst`].
    #[inline]
    unsafe fn transmit(&self, packets: &mut [*mut rte_mbuf]) -> usize {
        let mut n = packets.len().min(usize::from(u16::MAX)) as u16;
        // SAFETY: while this value lives the port is started, so the entry is the driver's and does not
        // change; this is the queue's only user; the packets are the caller's promise.
        unsafe {
            let ops = &*self.handle.ops;
            let Some(transmit) = ops.tx_pkt_burst else { return 0 };
            let first = callback(&ops.txq, self.handle.queue);
            if !first.is_null() {
                n = dpdk_sys::rte_eth_call_tx_callbacks(
                    self.handle.shared.id.0,
                    self.handle.queue,
                    packets.as_mut_ptr(),
                    n,
                    first,
                );
            }
            if n == 0 {
                let mut blank = [blank_mbuf()];
                return usize::from(transmit(data(&ops.txq, self.handle.queue), blank.as_mut_ptr(), 0));
            }
            usize::from(transmit(data(&ops.txq, self.handle.queue), packets.as_mut_ptr(), n))
        }
    }

    /// Sends packets from the front of `burst`. Returns how many were taken. The others stay in the burst.
    #[inline]
    pub fn send<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        // SAFETY: the burst owns valid packets, and pools outlive their mbufs (`Pool::drop`,
        // `Mbuf::from_raw`).
        let n = unsafe { self.burst(burst.as_mut_slice()) };
        burst.forget_first(n);
        n
    }

    /// What the descriptor `offset` places after the next one to be used is doing.
    ///
    /// # Errors
    /// ENOTSUP if the driver cannot tell, EINVAL if the ring is smaller.
    #[inline]
    pub fn descriptor_status(&self, offset: u16) -> Result<TxDescriptor, Errno> {
        // SAFETY: as in `burst`; the driver checks the offset.
        let ret = unsafe {
            let ops = &*self.handle.ops;
            let Some(status) = ops.tx_descriptor_status else { return Err(Errno::of_return(-libc::ENOTSUP)) };
            status(data(&ops.txq, self.handle.queue), offset)
        };
        match u32::try_from(ret) {
            Ok(dpdk_sys::RTE_ETH_TX_DESC_FULL) => Ok(TxDescriptor::Full),
            Ok(dpdk_sys::RTE_ETH_TX_DESC_DONE) => Ok(TxDescriptor::Done),
            Ok(_) => Ok(TxDescriptor::Unavailable),
            Err(_) => Err(Errno::of_return(ret)),
        }
    }

    /// Frees up to `n` packets that have been sent (0: all of them). Returns how many.
    ///
    /// # Errors
    /// ENOTSUP if the driver can't.
    pub fn done_cleanup(&mut self, n: u32) -> Result<u32, Errno> {
        // SAFETY: the queue exists and this is its only user.
        let ret = unsafe { dpdk_sys::rte_eth_tx_done_cleanup(self.handle.shared.id.0, self.handle.queue, n) };
        u32::try_from(ret).map_err(|_| Errno::of_return(ret))
    }
}

impl Drop for TxQueue {
    fn drop(&mut self) {
        if let Some(slot) = self.handle.shared.lock().tx.get_mut(usize::from(self.handle.queue)) {
            slot.out = false;
        }
    }
}

/// An mbuf that a driver only reads. Behind its pool there is room for the private data of mbuf pools.
#[repr(C)]
struct Blank {
    pool: rte_mempool,
    about: rte_pktmbuf_pool_private,
    mbuf: rte_mbuf,
}

/// The first mbuf of an empty burst. net_memif (23.03 to 26.07 at least) reads the data room of the first
/// mbuf's pool before it checks how many mbufs there are.
fn blank_mbuf() -> *mut rte_mbuf {
    static BLANK: OnceLock<AtomicPtr<rte_mbuf>> = OnceLock::new();
    let mbuf = BLANK.get_or_init(|| {
        // SAFETY: plain data, of which zeroes are a value: a pool without caches.
        let mut blank: Box<Blank> = Box::new(unsafe { std::mem::zeroed() });
        // Larger than any buffer, so that the driver chooses no code that is only for small buffers.
        blank.about.mbuf_data_room_size = u16::MAX;
        let blank = Box::into_raw(blank);
        // SAFETY: just made, and never freed.
        unsafe { (*blank).mbuf.pool = &raw mut (*blank).pool };
        // SAFETY: as above.
        AtomicPtr::new(unsafe { &raw mut (*blank).mbuf })
    });
    mbuf.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_none_shows_a_pool_with_room() {
        // SAFETY: the blank mbuf and its pool live for ever.
        let room = unsafe { dpdk_sys::rte_pktmbuf_data_room_size((*blank_mbuf()).pool) };
        assert_eq!(room, u16::MAX);
        assert_eq!(blank_mbuf(), blank_mbuf());
    }
}
