//! [`Eal`]: DPDK's environment, in which everything else of DPDK lives.
//!
//! Every other owner of this crate holds a clone, so EAL is cleaned up last, or the clean-up is refused. A
//! process can initialise EAL once. [`EalError`] says why it failed, with what DPDK logged. The clean-up also
//! removes the files of this process's hugepages.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{error, fmt};

use crate::interrupts::hold_interrupts;
use crate::mempool::{STOCK, handler_names};
use crate::{Errno, ending, hugefiles, log};

/// DPDK's environment: memory, lcores, devices. Every owner in this crate holds a clone, so that EAL is
/// cleaned up only when nothing uses it any more.
///
/// Any thread may hold, clone and drop it. The thread that calls [`Eal::init`] becomes the main lcore (and is
/// pinned to it); let that thread also do the clean-up.
#[derive(Clone, Debug)]
pub struct Eal(Arc<Environment>);

#[derive(Debug)]
struct Environment {
    /// Whether dropping it cleans up.
    owned: bool,
}

/// One environment in a process, as one `rte_eal_init`.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether EAL was cleaned up. Its configuration is gone then. Who reads that holds this meanwhile.
static CLEANED: Mutex<bool> = Mutex::new(false);

/// The shortest delay that is worth a sleep, in microseconds: a sleep may last some 0.1 ms longer than it
/// should.
const SLEEP: u32 = 1000;

/// What to do about arguments that EAL rejects.
const BEHIND_DASHES: &str = "check what stands before \"--\": the program's own options stand behind it";

/// `rte_delay_us` as long as this is registered.
extern "C" fn delay(us: u32) {
    if us >= SLEEP {
        std::thread::sleep(Duration::from_micros(us.into()));
    } else {
        // SAFETY: spins for so long on the clock that EAL has calibrated, or, before, not at all; it touches
        // nothing.
        unsafe { dpdk_sys::rte_delay_us_block(us) }
    }
}

/// Replaces EAL's `rte_delay_us`, which always spins: others may have the CPU while a card resets.
fn sleep_in_delays() {
    // SAFETY: stores a pointer to a function that lives for ever, before EAL starts a thread or probes a
    // device.
    unsafe { dpdk_sys::rte_delay_us_callback_register(Some(delay)) }
}

impl Eal {
    /// Initialises EAL.
    ///
    /// `args` are those of the command line, the program's name first, as [`std::env::args`] gives them. What
    /// EAL did not take, which is what follows `--`, is given back, without the program's name. DPDK's log is
    /// [joined](crate::log::join) to the `log` crate first.
    ///
    /// This works once in a process, even after a clean-up: that is DPDK's rule. It may be tried again after
    /// an error, where DPDK allows it. DPDK itself ends the process on `--help`, and from 25.11 on for a
    /// wrong option ([`Eal::init_or`] is told), and prints fatal errors to stderr.
    ///
    /// Drivers' delays of a millisecond and more, such as a reset needs, sleep instead of spinning.
    ///
    /// # Errors
    /// [`EalError`], with what DPDK logged while it failed.
    pub fn init(args: impl IntoIterator<Item = impl Into<String>>) -> Result<(Self, Vec<String>), EalError> {
        Self::start(args, None)
    }

    /// As [`Eal::init`]. If DPDK ends the process meanwhile, because it does not like an argument, `ended` is
    /// called with the reason on this thread, and the process ends with the code that it returns. It must not
    /// end the process itself.
    ///
    /// # Errors
    /// As [`Eal::init`].
    pub fn init_or(
        args: impl IntoIterator<Item = impl Into<String>>,
        ended: impl FnOnce(EalError) -> u8 + Send + 'static,
    ) -> Result<(Self, Vec<String>), EalError> {
        Self::start(args, Some(Box::new(move |log| ended(EalError::Arguments { log }))))
    }

    fn start(
        args: impl IntoIterator<Item = impl Into<String>>,
        ended: Option<ending::Ended>,
    ) -> Result<(Self, Vec<String>), EalError> {
        let mut owned = Vec::new();
        for arg in args {
            let arg = arg.into();
            owned.push(CString::new(arg.clone()).map_err(|_| EalError::Nul(arg))?);
        }
        if owned.is_empty() {
            owned.push(c"rte".to_owned());
        }
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(EalError::AlreadyInitialised);
        }
        log::join();
        log::forget_complaints();
        sleep_in_delays();
        let argc = owned.len();
        // EAL permutes the array and keeps pointers into the strings: both stay for ever.
        let mut pointers: Vec<_> = owned.into_iter().map(CString::into_raw).collect();
        pointers.push(std::ptr::null_mut());
        let argv = pointers.leak();
        let taken = ending::watched(ended, || {
            // SAFETY: `argv` has `argc` NUL-terminated strings and a null at its end, writable and never
            // freed.
            unsafe { dpdk_sys::rte_eal_init(argc as i32, argv.as_mut_ptr()) }
        });
        if taken < 0 {
            let errno = Errno::last().or_eio();
            let error = if Self::is_secondary() {
                EalError::Secondary
            } else {
                hugefiles::remove(&hugefiles::ours());
                EalError::classify(errno, log::complaints())
            };
            TAKEN.store(false, Ordering::Release);
            return Err(error);
        }
        let eal = Self(Arc::new(Environment { owned: true }));
        // SAFETY: EAL is initialised.
        if unsafe { dpdk_sys::rte_eal_process_type() } != dpdk_sys::RTE_PROC_PRIMARY {
            return Err(EalError::Secondary);
        }
        eal.check_handlers()?;
        // argv[taken] is the program's name again, where `--` was.
        let rest = argv[..argc].iter().skip(taken as usize + 1).map(|&arg| {
            // SAFETY: the first `argc` pointers are the strings from above, in EAL's order.
            unsafe { CStr::from_ptr(arg) }.to_string_lossy().into_owned()
        });
        Ok((eal, rest.collect()))
    }

    /// Uses an EAL that the application has initialised itself (`liblm` inside a C program). Dropping this
    /// value does not clean EAL up.
    ///
    /// # Safety
    /// `rte_eal_init` has succeeded in this process, which is a primary one, and `rte_eal_cleanup` is not
    /// called before this value, its clones and all that was made with them are gone.
    pub unsafe fn adopt() -> Self {
        TAKEN.store(true, Ordering::Release);
        Self(Arc::new(Environment { owned: false }))
    }

    /// As [`Eal::adopt`], and dropping the last clone cleans EAL up.
    ///
    /// # Safety
    /// As for [`Eal::adopt`], and nobody else cleans EAL up or uses it afterwards.
    pub unsafe fn take_over() -> Self {
        TAKEN.store(true, Ordering::Release);
        Self(Arc::new(Environment { owned: true }))
    }

    /// Looks whether DPDK has the handler of its stock pools. [`Eal::init`] does so; an application that has
    /// initialised EAL itself may have plug-ins that left no place for it.
    ///
    /// # Errors
    /// [`EalError::Handlers`], with what is in the table.
    pub fn check_handlers(&self) -> Result<(), EalError> {
        let registered = handler_names();
        if registered.iter().any(|name| name.as_bytes() == STOCK.to_bytes()) {
            return Ok(());
        }
        Err(EalError::Handlers { registered })
    }

    /// Whether EAL is initialised in this process, no matter by whom. After a clean-up by others than an
    /// [`Eal`] the answer means nothing.
    pub fn is_initialised() -> bool {
        let cleaned = CLEANED.lock().unwrap_or_else(PoisonError::into_inner);
        if *cleaned {
            return false;
        }
        // SAFETY: both read EAL's configuration, which is there from the start, and until a clean-up: no
        // lcore and no memory are in it until `rte_eal_init` has got far.
        unsafe { dpdk_sys::rte_lcore_count() > 0 && dpdk_sys::rte_eal_get_physmem_size() > 0 }
    }

    /// Whether this process is a secondary one of a multi-process application.
    pub fn is_secondary() -> bool {
        // SAFETY: reads a constant of EAL's configuration, which is there from the start.
        unsafe { dpdk_sys::rte_eal_process_type() == dpdk_sys::RTE_PROC_SECONDARY }
    }

    /// Cleans EAL up now. (Dropping the last clone does the same.) The files of its hugepages are removed.
    ///
    /// # Errors
    /// Returns the environment if something still uses it: a clone, a pool, a port, a message.
    pub fn cleanup(self) -> Result<(), (Self, InUse)> {
        match Arc::try_unwrap(self.0) {
            Ok(environment) => {
                drop(environment);
                Ok(())
            }
            Err(shared) => {
                let in_use = InUse(Arc::strong_count(&shared).saturating_sub(1));
                Err((Self(shared), in_use))
            }
        }
    }

    /// Gives up the use of EAL without cleaning it up, where something is known to use it for as long as the
    /// process lives. The files of its hugepages are removed; the memory stays mapped until the process ends.
    pub fn leave(self) {
        if self.0.owned && !Self::is_secondary() {
            hugefiles::remove(&hugefiles::ours());
        }
    }

    /// Which addresses devices use.
    pub fn iova_mode(&self) -> IovaMode {
        // SAFETY: EAL is initialised; reads a constant of its configuration.
        if unsafe { dpdk_sys::rte_eal_iova_mode() } == dpdk_sys::RTE_IOVA_PA {
            IovaMode::Physical
        } else {
            IovaMode::Virtual
        }
    }

    /// Whether memory comes from hugepages (no with `--no-huge`).
    pub fn has_hugepages(&self) -> bool {
        // SAFETY: EAL is initialised; reads a constant of its configuration.
        unsafe { dpdk_sys::rte_eal_has_hugepages() != 0 }
    }

    /// The lcore of the thread that initialised EAL.
    pub fn main_lcore(&self) -> u32 {
        // SAFETY: EAL is initialised; reads a constant of its configuration.
        unsafe { dpdk_sys::rte_get_main_lcore() }
    }

    /// The lcores that [`lcore::launch`](crate::lcore::launch) can use, in ascending order.
    pub fn worker_lcores(&self) -> Vec<u32> {
        let mut lcores = Vec::new();
        // "No lcore yet" is -1; the search skips the main lcore and does not wrap.
        let mut lcore = u32::MAX;
        loop {
            // SAFETY: EAL is initialised; the search reads its configuration and ends at RTE_MAX_LCORE.
            lcore = unsafe { dpdk_sys::rte_get_next_lcore(lcore, 1, 0) };
            if lcore >= dpdk_sys::RTE_MAX_LCORE {
                return lcores;
            }
            lcores.push(lcore);
        }
    }

    /// DPDK's name and version, such as `DPDK 22.11.11`.
    pub fn version(&self) -> String {
        // SAFETY: returns a NUL-terminated string that lives as long as the library.
        unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_string_lossy().into_owned()
    }

    /// The release of the DPDK library that is loaded, which may differ from that of the headers. EAL need
    /// not be initialised.
    pub fn release() -> Release {
        // SAFETY: each tells a constant of the library.
        unsafe {
            Release(
                dpdk_sys::rte_version_year(),
                dpdk_sys::rte_version_month(),
                dpdk_sys::rte_version_minor(),
            )
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        if self.owned {
            // For good: a process cleans EAL up once.
            std::mem::forget(hold_interrupts());
            // Another process can have files of these names only when this one is gone.
            // SAFETY: reads a constant of EAL's configuration.
            let primary = unsafe { dpdk_sys::rte_eal_process_type() } == dpdk_sys::RTE_PROC_PRIMARY;
            let files = if primary { hugefiles::ours() } else { Vec::new() };
            *CLEANED.lock().unwrap_or_else(PoisonError::into_inner) = true;
            // SAFETY: EAL is initialised, and this was the last owner of anything that lives in it.
            let ret = unsafe { dpdk_sys::rte_eal_cleanup() };
            if ret < 0 {
                ::log::warn!("EAL was not cleaned up: {}", Errno::of_return(ret));
            }
            hugefiles::remove(&files);
        }
    }
}

/// A release of DPDK: its year, its month and the number of its stable update, such as 24.11.8. A later one
/// is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(year, month, update) = self;
        write!(f, "{year}.{month:02}.{update}")
    }
}

/// Which addresses devices use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IovaMode {
    /// Physical addresses: contiguous only within a hugepage.
    Physical,
    /// The process's virtual addresses, through an IOMMU (or no device at all).
    Virtual,
}

/// [`Eal::cleanup`] was refused: this many other owners live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse(pub usize);

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EAL is still used by {} other owners; drop the ports, pools, memzones and messages made with \
             it first",
            self.0
        )
    }
}

impl error::Error for InUse {}

/// Why EAL could not be initialised. `log` is what DPDK complained about.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EalError {
    /// EAL has been initialised in this process before.
    AlreadyInitialised,
    /// The arguments ask for a secondary process.
    Secondary,
    /// This argument contains a NUL character.
    Nul(String),
    /// EAL rejects its arguments.
    Arguments {
        /// DPDK's complaints.
        log: String,
    },
    /// DPDK's table of mempool handlers was full before `ring_mp_mc` was in it, without which there are no
    /// stock pools.
    Handlers {
        /// The handlers that are in the table.
        registered: Vec<String>,
    },
    /// There are no, or not enough, free hugepages.
    Hugepages {
        /// DPDK's complaints.
        log: String,
    },
    /// The user lacks a permission.
    Permission {
        /// DPDK's complaints.
        log: String,
    },
    /// `-a` or `--vdev` names a device that no bus and no driver knows.
    Device {
        /// DPDK's complaints.
        log: String,
    },
    /// Another process uses the same `--file-prefix`.
    PrefixBusy {
        /// DPDK's complaints.
        log: String,
    },
    /// Something else.
    Failed {
        /// `rte_errno`.
        errno: Errno,
        /// DPDK's complaints.
        log: String,
    },
}

impl EalError {
    /// DPDK uses few error numbers for many reasons; its log says more.
    fn classify(errno: Errno, log: String) -> Self {
        let says = |text: &str| log.contains(text);
        if errno.number() == libc::EALREADY {
            Self::AlreadyInitialised
        } else if says("another primary process running") || says("Cannot create lock on") {
            Self::PrefixBusy { log }
        } else if says("failed to parse device") {
            Self::Device { log }
        } else if says("Permission denied")
            || says("Operation not permitted")
            || errno.number() == libc::EPERM
        {
            Self::Permission { log }
        } else if says("hugepage") || says("Not enough memory available") {
            Self::Hugepages { log }
        } else if says("Invalid 'command line' arguments") || errno.number() == libc::EINVAL {
            Self::Arguments { log }
        } else {
            Self::Failed { errno, log }
        }
    }
}

impl fmt::Display for EalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInitialised => f.write_str(
                "EAL was initialised before; DPDK allows it once in a process: share the Eal by cloning it",
            ),
            Self::Secondary => f.write_str(
                "secondary processes are not supported (mempool handlers belong to one \
                 process): start without --proc-type=secondary",
            ),
            Self::Nul(arg) => write!(f, "EAL argument {arg:?} contains a NUL character: remove it"),
            Self::Handlers { registered } => write!(
                f,
                "DPDK's table of mempool handlers is full, and {}, which pools need, is not in it ({}); \
                 load fewer mempool drivers: -d with the folder or the drivers that are wanted",
                STOCK.to_string_lossy(),
                registered.join(", ")
            ),
            Self::Arguments { log } if log.is_empty() => {
                write!(f, "EAL rejects its arguments; {BEHIND_DASHES}")
            }
            Self::Arguments { log } => {
                write!(f, "EAL rejects its arguments: {log}; {BEHIND_DASHES}")
            }
            Self::Hugepages { log } => write!(
                f,
                "EAL finds no hugepages: {log}; reserve some (sysctl vm.nr_hugepages=64) and mount them \
                 (mount -t hugetlbfs hugetlbfs /dev/hugepages), or start with --no-huge -m 64"
            ),
            Self::Permission { log } => {
                write!(
                    f,
                    "EAL lacks a permission: {log}; run as root or give access to hugepages and /dev/vfio"
                )
            }
            Self::Device { log } => write!(
                f,
                "EAL knows no such device: {log}; -a takes a PCI address, such as 0000:01:00.0, and --vdev a \
                 driver's name with a number, such as net_tap0"
            ),
            Self::PrefixBusy { log } => write!(
                f,
                "another DPDK process uses the same file prefix: {log}; choose another one with --file-prefix"
            ),
            Self::Failed { errno, log } => write!(f, "EAL cannot be initialised: {errno}; {log}"),
        }
    }
}

crate::debug_is_display!(EalError);

impl error::Error for EalError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed { errno, .. } => Some(errno),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_device_is_told_from_other_failures() {
        let log = "EAL: failed to parse device \"net_tab0\"".to_owned();
        let told = EalError::classify(Errno::of_return(-libc::ENODEV), log);
        assert!(matches!(told, EalError::Device { .. }), "{told}");
        assert!(told.to_string().contains("--vdev a driver's name with a number"), "{told}");
        // What Rust prints if `main` returns it.
        assert_eq!(format!("{told:?}"), told.to_string());
    }
}
