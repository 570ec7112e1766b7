//! [`RxInterrupt`]: a receive queue's interrupt, so that a thread can sleep until frames arrive.
//!
//! The order that loses no frame, as in DPDK's l3fwd-power: [`enable`](RxInterrupt::enable), poll the queue
//! once more, and only if that found nothing [`wait`]; then [`disable`](RxInterrupt::disable) and poll.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io, ptr};

use super::{Port, PortId, Shared};
use crate::Errno;

/// The interrupt of a receive queue. It may move to another thread, where one thread uses it, the one that
/// polls the queue; dropping it gives it back to the port.
#[derive(Debug)]
pub struct RxInterrupt {
    queue: u16,
    /// An epoll instance that holds the queue's event and nothing else.
    epoll: OwnedFd,
    shared: Arc<Shared>,
}

impl Port {
    /// Hands the interrupt of an RX queue out, disabled. The port must have been configured with
    /// [`PortConfig::rx_interrupts`](super::PortConfig) and be started; it can't be stopped before the
    /// interrupt is back.
    ///
    /// # Errors
    /// [`InterruptError`].
    pub fn rx_interrupt(&mut self, queue: u16) -> Result<RxInterrupt, InterruptError> {
        let id = self.id();
        let mut state = self.shared.lock();
        let started = state.started;
        let slot = state.rx.get_mut(usize::from(queue)).filter(|slot| started && !slot.interrupt_out);
        let slot = slot.ok_or(InterruptError::Unavailable(id, queue))?;
        // SAFETY: takes no pointer; the result is checked.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(InterruptError::Epoll(id, io::Error::last_os_error().to_string()));
        }
        // SAFETY: it was just opened, and nobody else has it.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        control(id, queue, epoll.as_fd(), dpdk_sys::RTE_INTR_EVENT_ADD as i32)
            .map_err(|errno| InterruptError::Refused(id, queue, errno))?;
        slot.interrupt_out = true;
        let mut interrupt = RxInterrupt { queue, epoll, shared: Arc::clone(&self.shared) };
        drop(state);
        interrupt.disable().map_err(|errno| InterruptError::Refused(id, queue, errno))?;
        Ok(interrupt)
    }
}

/// Adds the queue's event to an epoll instance, or takes it out.
fn control(id: PortId, queue: u16, epoll: BorrowedFd<'_>, operation: i32) -> Result<(), Errno> {
    // SAFETY: the port is valid, and EAL keeps what it needs of the instance until the event is taken out,
    // which `RxInterrupt::drop` does before it closes it.
    let ret = unsafe {
        dpdk_sys::rte_eth_dev_rx_intr_ctl_q(id.0, queue, epoll.as_raw_fd(), operation, ptr::null_mut())
    };
    Errno::check(ret)
}

/// Drivers whose interrupt is always on have no function to switch it.
fn switched(ret: i32) -> Result<(), Errno> {
    if ret == -libc::ENOTSUP { Ok(()) } else { Errno::check(ret) }
}

impl RxInterrupt {
    /// Its port.
    pub fn port(&self) -> PortId {
        self.shared.id
    }

    /// Its queue.
    pub fn queue(&self) -> u16 {
        self.queue
    }

    /// From now on a received frame interrupts. Frames that were received before may not: poll once more
    /// before you [`wait`].
    ///
    /// # Errors
    /// What the driver says.
    pub fn enable(&mut self) -> Result<(), Errno> {
        // SAFETY: the port is valid and started while this lives, and has the queue.
        switched(unsafe { dpdk_sys::rte_eth_dev_rx_intr_enable(self.shared.id.0, self.queue) })
    }

    /// Turns interrupts off.
    ///
    /// # Errors
    /// What the driver says.
    pub fn disable(&mut self) -> Result<(), Errno> {
        // SAFETY: as for `enable`.
        switched(unsafe { dpdk_sys::rte_eth_dev_rx_intr_disable(self.shared.id.0, self.queue) })
    }

    /// Clears an interrupt that has happened, so that the next one can be noticed.
    pub fn settle(&mut self) {
        // SAFETY: zeroes are a value of this plain structure; EAL writes at most the one event that there is
        // room for.
        unsafe {
            let mut event: dpdk_sys::rte_epoll_event = std::mem::zeroed();
            dpdk_sys::rte_epoll_wait(self.epoll.as_raw_fd(), &raw mut event, 1, 0);
        }
    }
}

impl AsFd for RxInterrupt {
    /// A file that is readable when the interrupt has happened, for an epoll instance of the caller's. It
    /// stays readable until [`RxInterrupt::settle`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Sleeps until one of these interrupts happens or a signal comes, but no longer than `most`. Returns how
/// many interrupts have happened.
///
/// # Errors
/// What ppoll(2) says.
pub fn wait<'a>(
    interrupts: impl IntoIterator<Item = &'a mut RxInterrupt>,
    most: Duration,
) -> Result<usize, io::Error> {
    wait_for(interrupts, &[], most)
}

/// As [`wait`], but the sleep also ends when one of these files can be read. A number of no open file ends it
/// at once.
///
/// # Errors
/// What ppoll(2) says.
pub fn wait_for<'a>(
    interrupts: impl IntoIterator<Item = &'a mut RxInterrupt>,
    files: &[RawFd],
    most: Duration,
) -> Result<usize, io::Error> {
    let mut interrupts: Vec<_> = interrupts.into_iter().collect();
    let polled = interrupts.iter().map(|one| one.epoll.as_raw_fd()).chain(files.iter().copied());
    let mut polled: Vec<_> = polled.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let seconds = libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX);
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: most.subsec_nanos().into() };
    // SAFETY: the array has as many entries as is said, and lives; the limit, too; no signal mask is given.
    let n = unsafe {
        libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, &raw const limit, ptr::null())
    };
    match usize::try_from(n) {
        Ok(n) => {
            let happened = interrupts.iter_mut().zip(&polled).filter(|(_, poll)| poll.revents != 0);
            happened.for_each(|(one, _)| one.settle());
            Ok(n)
        }
        Err(_) => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            e => Err(e),
        },
    }
}

impl Drop for RxInterrupt {
    fn drop(&mut self) {
        let _ = self.disable();
        let done =
            control(self.shared.id, self.queue, self.epoll.as_fd(), dpdk_sys::RTE_INTR_EVENT_DEL as i32);
        if let Err(e) = done {
            ::log::debug!("port {}: interrupt of RX queue {}: {e}", self.shared.id, self.queue);
        }
        if let Some(slot) = self.shared.lock().rx.get_mut(usize::from(self.queue)) {
            slot.interrupt_out = false;
        }
    }
}

/// Why there is no interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterruptError {
    /// The port is stopped, has no such queue, or its interrupt is in use.
    Unavailable(PortId, u16),
    /// The system refuses an epoll instance.
    Epoll(PortId, String),
    /// The driver has no such interrupt, or not with the kernel driver that the device is bound to.
    Refused(PortId, u16, Errno),
}

impl fmt::Display for InterruptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(id, queue) => write!(
                f,
                "the interrupt of RX queue {queue} of port {id} cannot be had: start the port, or drop the \
                 one that is out"
            ),
            Self::Epoll(id, why) => {
                write!(f, "port {id}: no epoll instance: {why}; raise the limit of open files (ulimit -n)")
            }
            Self::Refused(id, queue, errno) => write!(
                f,
                "RX queue {queue} of port {id} has no interrupt: {errno}; its driver has none, or the \
                 device is bound to a kernel driver that passes none on: poll it"
            ),
        }
    }
}

impl error::Error for InterruptError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Unavailable(..) | Self::Epoll(..) => None,
            Self::Refused(_, _, errno) => Some(errno),
        }
    }
}
