//! Functions that start and end EAL, and that open and close handles.
//!
//! C programs call them. A handle is closed only when it holds no message and no send buffer. EAL is cleaned
//! up only when no handle is open. Secondary processes are refused, because mempool handlers belong to the
//! primary one.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicUsize, Ordering};

use lm::rte::{Eal as RteEal, Errno, sys};
use lm::{Eal, Landing, Port};

use crate::border::{Failure, call, call_ptr, failure, invalid, null, text_of};
use crate::handle::{Inner, Way, lm_t};
use crate::logger;
use crate::numbers::number;
use crate::options::{Options, defaults, parse, text};
use crate::types::{lm_address, lm_config};
use crate::versions::{self, check_sizes};

/// Handles that are open in this process: EAL must outlive them.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Fills a configuration with defaults. Programs call lm_config_default(), which calls this. `size` is
/// sizeof(lm_config), and `message_size` is sizeof(lm_message).
///
/// Threads: any. Returns 0. -EINVAL: `config` is NULL, or no version of lm.h has structures of these sizes;
/// nothing is written then.
///
/// # Safety
/// `config` is NULL or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_config_init(config: *mut lm_config, size: usize, message_size: usize) -> c_int {
    call(|| {
        if config.is_null() {
            return Err(null("config"));
        }
        check_sizes(size, message_size)?;
        // SAFETY: the caller's promise.
        unsafe { versions::write(config.cast(), size, || defaults(size, message_size)) };
        Ok(0)
    })
}

/// Initialises EAL, for a program that does not call rte_eal_init() itself. The arguments are those of
/// rte_eal_init(). Returns how many of them EAL took; the program's own arguments begin behind these. Before
/// EAL loads its plug-ins, this function takes a place for LM in DPDK's table of mempool handlers.
///
/// Threads: one, once in a process; it becomes the main lcore. Errors: those of rte_eal_init(), such as
/// -EALREADY. -EINVAL: an argument is wrong. From DPDK 25.11 on EAL itself ends the process then, with code
/// 234, as all releases do for --help. -ENOTSUP: it would be a secondary process. -ENOSPC: the plug-ins left
/// no place in the table for ring_mp_mc, the handler of DPDK's own pools: load fewer mempool drivers (-d).
///
/// # Safety
/// `argv` is NULL or has `argc` NUL-terminated strings, which live as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_init(argc: c_int, argv: *mut *mut c_char) -> c_int {
    call(|| {
        if argv.is_null() {
            return Err(null("argv"));
        }
        if argc < 1 {
            return Err(invalid(format_args!(
                "argc is {argc}: give 1 or more, as argv begins with the program's name"
            )));
        }
        // SAFETY: the caller's promise.
        if (0..argc as usize).any(|i| unsafe { (*argv.add(i)).is_null() }) {
            return Err(null("one of argv"));
        }
        logger::join();
        Eal::prepare();
        // SAFETY: the caller's promise; EAL sees to it that this works once.
        let taken = unsafe { sys::rte_eal_init(argc, argv) };
        if taken < 0 {
            // Read before anything else of DPDK's is called.
            let errno = Errno::last().or_eio();
            // Without its primary process EAL fails to attach, and leaves rte_errno at 0.
            if RteEal::is_secondary() {
                return Err(secondary());
            }
            return Err(failure(
                errno.number(),
                format_args!("EAL cannot be initialised: {errno}; {}", hint(errno.number())),
            ));
        }
        if RteEal::is_secondary() {
            // SAFETY: it was just initialised, and a program that is told of an error does not use it.
            drop(unsafe { RteEal::take_over() });
            return Err(secondary());
        }
        if let Err(e) = initialised()?.as_rte().check_handlers() {
            // SAFETY: as above.
            drop(unsafe { RteEal::take_over() });
            return Err(failure(libc::ENOSPC, e));
        }
        Ok(taken)
    })
}

/// What to look at, by the number with which EAL has failed. DPDK uses few numbers for many reasons. Its log,
/// which belongs to the program, has the names.
fn hint(errno: c_int) -> &'static str {
    match errno {
        libc::ENODEV => {
            "EAL has no device of a name behind -a or --vdev: -a takes a PCI address, such as 0000:01:00.0, and \
             --vdev a driver's name with a number, such as net_tap0; DPDK's log names the device"
        }
        libc::EINVAL => "EAL rejects an argument in argv; DPDK's log names it",
        libc::EALREADY => "DPDK allows it once in a process",
        libc::ENOMEM => "give EAL more hugepages, or --no-huge -m 64; DPDK's log says more",
        libc::EACCES | libc::EPERM => {
            "run as root, or give access to hugepages and devices; DPDK's log says more"
        }
        _ => "DPDK's log says why",
    }
}

/// Cleans EAL up, as rte_eal_cleanup() does, for a program that called lm_init(). Afterwards the program must
/// not use LM or DPDK.
///
/// Threads: the one that called lm_init(). Returns 0, or -EBUSY: an lm_t is open.
#[unsafe(no_mangle)]
pub extern "C" fn lm_cleanup() -> c_int {
    call(|| {
        initialised()?;
        let open = OPEN.load(Ordering::Acquire);
        if open > 0 {
            return Err(failure(libc::EBUSY, format_args!("{open} handles are open: close them first")));
        }
        // SAFETY: EAL is initialised, and the program gives it up by this call.
        drop(unsafe { RteEal::take_over() });
        Ok(0)
    })
}

/// EAL, if it is there and this is a primary process.
pub(crate) fn initialised() -> Result<Eal, Failure> {
    if !RteEal::is_initialised() {
        return Err(failure(
            libc::ENODEV,
            "EAL is not initialised: call lm_init or rte_eal_init first, and see that it succeeds",
        ));
    }
    if RteEal::is_secondary() {
        return Err(secondary());
    }
    logger::join();
    // SAFETY: EAL is initialised, by a primary process; lm.h says that it is cleaned up last.
    Ok(unsafe { Eal::adopt() })
}

/// EAL, if a node can be opened with it.
fn ready() -> Result<Eal, Failure> {
    let eal = initialised()?;
    eal.as_rte().check_handlers().map_err(|e| failure(libc::ENOSPC, e))?;
    Ok(eal)
}

fn secondary() -> Failure {
    failure(
        libc::ENOTSUP,
        "this is a secondary process of a multi-process application, whose mempool handlers belong to the \
         primary one: open it there, or start without --proc-type=secondary",
    )
}

/// Opens the port of a device as a node: prepares it for landing and starts it. `device` is its name in EAL,
/// such as "0000:01:00.0" or "net_tap0". A net_memif client waits up to 5 s for its server. On other devices
/// this function does not wait for the link.
///
/// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
/// EBUSY: the device is open already, or lm_adopt() has a queue of it. ENOSPC: DPDK's table of mempool
/// handlers was full before LM's or ring_mp_mc had a place in it; lm_init() gives LM's the first place. Where
/// the device itself failed or cannot land, it may be closed, as by lm_close(). The next call does not find
/// it then.
///
/// # Safety
/// `device` is NULL or NUL-terminated; `config` is NULL or was filled in by lm_config_default().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_open(device: *const c_char, config: *const lm_config) -> *mut lm_t {
    call_ptr(|| {
        // SAFETY: the caller's promises.
        let (device, options) = unsafe { (text(device, "device")?, Options::read(config)?) };
        let eal = ready()?;
        let queues = options.config.queues();
        let port = Port::open(&eal, device, options.config).map_err(|e| failure(number(&e, libc::EIO), e))?;
        let most = queues * (options.burst + 64);
        Ok(opened(Inner::new(Way::Own(Box::new(port)), options.message_size, most)))
    })
}

fn opened(inner: Inner) -> *mut lm_t {
    OPEN.fetch_add(1, Ordering::AcqRel);
    lm_t::open(inner)
}

/// Makes the memory for receive queue `queue` of a port that the program opens itself. The program passes
/// lm_mempool() and config->rx_descriptors to rte_eth_rx_queue_setup(), sets up the transmit queue of the
/// same number, and starts the port. The first lm_poll() or lm_send() adopts both queues. From then on the
/// program must not call rte_eth_rx_burst() on the receive queue, and it may call rte_eth_tx_burst() on the
/// transmit queue only in the thread of this handle. At the end it closes the handle, and then stops the
/// port.
///
/// Threads: any; the handle belongs to the calling one. Returns NULL on failure; lm_strerror(0) says why.
/// EBUSY: lm_open() has the port, or another handle has the queue. ENOSPC as for lm_open().
///
/// # Safety
/// `config` is NULL or was filled in by lm_config_default().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_adopt(port: u16, queue: u16, config: *const lm_config) -> *mut lm_t {
    call_ptr(|| {
        // SAFETY: the caller's promise.
        let options = unsafe { Options::read(config) }?;
        if options.config.has_admission() {
            return Err(failure(
                libc::ENOTSUP,
                "config.admission is set: admission control needs a port of lm_open(); set it to 0 for \
                 lm_adopt()",
            ));
        }
        if u32::from(queue) >= sys::RTE_MAX_QUEUES_PER_PORT {
            return Err(invalid(format_args!(
                "queue is {queue}: a port has {} at most",
                sys::RTE_MAX_QUEUES_PER_PORT
            )));
        }
        let eal = ready()?;
        let landing = Landing::create(&eal, port, &options.config).and_then(|mut landing| {
            landing.reserve(queue, queue)?;
            Ok(landing)
        });
        let landing = landing.map_err(|e| failure(number(&e, libc::ENOMEM), e))?;
        let ready = Way::Ready(Box::new((landing, queue, options.config)));
        Ok(opened(Inner::new(ready, options.message_size, options.burst + 64)))
    })
}

/// Returns the pool for rte_eth_rx_queue_setup(). The pool lives until the handle is closed and no device has
/// mbufs of it.
///
/// Threads: the handle's. Returns NULL if the handle was not made by lm_adopt(), or if its queue is adopted
/// already.
///
/// # Safety
/// `lm` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_mempool(lm: *mut lm_t) -> *mut sys::rte_mempool {
    call_ptr(|| {
        // SAFETY: the caller's promise.
        unsafe { lm_t::of(lm) }?.owned(|_, inner| match &inner.way {
            Way::Ready(ready) => Ok(ready.0.mempool()),
            _ => Err(invalid("lm_mempool is for a handle of lm_adopt whose queue was not polled yet")),
        })
    })
}

/// Gives the handle to another thread: it belongs to the next thread that calls any function with it.
///
/// Threads: the handle's. Returns 0.
///
/// # Safety
/// `lm` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_detach(lm: *mut lm_t) -> c_int {
    // SAFETY: the caller's promise.
    call(|| unsafe { lm_t::of(lm) }?.detach().map(|()| 0))
}

/// Stops and closes a port that lm_open() opened, or gives an adopted queue back. DPDK forgets a closed
/// device: lm_open() does not find it until it is attached anew. Messages that wait to be sent are dropped.
/// The device has 100 ms to take the last frames. The handle must not be used afterwards.
///
/// Threads: the handle's. Returns 0. -EBUSY: messages or send buffers are held; the handle stays open. -EIO:
/// the device cannot be stopped; the handle is closed all the same.
///
/// # Safety
/// `lm` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_close(lm: *mut lm_t) -> c_int {
    call(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { lm_t::of(lm) }?;
        handle.close_check()?;
        // SAFETY: it came from `lm_t::open`; this thread owns it, nothing of it is held, and it is not used
        // after this call.
        let handle = unsafe { Box::from_raw(lm) };
        OPEN.fetch_sub(1, Ordering::AcqRel);
        match handle.into_inner().way {
            Way::Own(mut port) => port.close().map_err(|e| failure(libc::EIO, e))?,
            Way::Adopted(port) => port.close(),
            Way::Ready(_) | Way::Gone => {}
        }
        Ok(0)
    })
}

/// Returns what a negative return value means. If `code` is the last failure of this thread, or 0, that is a
/// line that says what happened, with which value, and what to do. It is valid until the thread's next
/// failure.
///
/// Threads: any. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn lm_strerror(code: c_int) -> *const c_char {
    text_of(code)
}

/// Reads an address such as "10.1.0.2:7000". Without a port, as in "10.1.0.2", the port is 0.
///
/// Threads: any. Returns 0, or -EINVAL.
///
/// # Safety
/// `from` is NULL or NUL-terminated; `address` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_parse(from: *const c_char, address: *mut lm_address) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (from, address) = unsafe { (text(from, "from")?, address.as_mut()) };
        *address.ok_or_else(|| null("address"))? = lm_address::of(parse(from)?);
        Ok(0)
    })
}
