//! Runs closures on DPDK's worker lcores, and registers threads that DPDK did not start.
//!
//! lm-testpmd starts its forwarding loop by [`launch`], and `lm-node` admission control. Work on an lcore
//! never outlives its [`Join`], nor EAL. A panic of the work is passed to who joins it. [`register_thread`]
//! gives a thread an lcore id, and with it the mempools' caches.

use std::any::Any;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::{error, fmt};

use crate::{Eal, Errno};

/// The lcore of the calling thread; `None` in a thread that neither EAL started nor [`register_thread`]
/// registered.
pub fn current() -> Option<u32> {
    // SAFETY: reads a thread-local integer of libdpdk.
    let lcore = unsafe { dpdk_sys::rte_lcore_id() };
    (lcore != dpdk_sys::LCORE_ID_ANY).then_some(lcore)
}

type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// What is passed to the lcore: the work, and where its result goes.
struct Task<F, T> {
    work: F,
    outcome: SyncSender<Outcome<T>>,
}

/// Runs `work` on a worker lcore.
///
/// Any thread may call it. DPDK's own function must not be called from two threads at once; this one may.
///
/// # Errors
/// [`LaunchError`] if `lcore` is no worker or is busy; `work` is dropped.
pub fn launch<F, T>(eal: &Eal, lcore: u32, work: F) -> Result<Join<T>, LaunchError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // DPDK tests for "idle" and sets "busy" in two steps.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // The main lcore has no thread waiting for work: launching there would write to a stray file descriptor.
    if !eal.worker_lcores().contains(&lcore) {
        return Err(LaunchError::NotAWorker(lcore));
    }
    let (sender, receiver) = sync_channel(1);
    let task = Box::into_raw(Box::new(Task { work, outcome: sender }));
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: EAL is initialised and `lcore` is one of its workers. On success `run` gets the task, exactly
    // once.
    let ret = unsafe { dpdk_sys::rte_eal_remote_launch(Some(run::<F, T>), task.cast(), lcore) };
    drop(guard);
    if ret != 0 {
        // SAFETY: the launch failed, so the task is still ours alone.
        drop(unsafe { Box::from_raw(task) });
        return Err(if ret == -libc::EBUSY {
            LaunchError::Busy(lcore)
        } else {
            LaunchError::Failed(lcore, Errno::of_return(ret))
        });
    }
    Ok(Join { lcore, outcome: Some(receiver), _eal: eal.clone() })
}

/// The function that DPDK calls on the lcore.
unsafe extern "C" fn run<F: FnOnce() -> T, T>(task: *mut c_void) -> i32 {
    // SAFETY: `launch` passes a boxed Task<F, T> and gives up its ownership.
    let task = unsafe { Box::from_raw(task.cast::<Task<F, T>>()) };
    let Task { work, outcome } = *task;
    let result = catch_unwind(AssertUnwindSafe(work));
    // `Join` waits for this result before it is dropped, so somebody receives it.
    let _ = outcome.send(result);
    0
}

/// Work in progress on an lcore. Dropping it waits for the work to end, as [`Join::join`] does: nothing that
/// runs on an lcore outlives its `Join`, nor EAL. Any thread may join.
#[derive(Debug)]
pub struct Join<T> {
    lcore: u32,
    outcome: Option<Receiver<Outcome<T>>>,
    _eal: Eal,
}

impl<T> Join<T> {
    /// Where the work runs.
    pub fn lcore(&self) -> u32 {
        self.lcore
    }

    /// Waits for the work to end, without spinning, and returns what it returned. After that the lcore is
    /// idle.
    ///
    /// # Panics
    /// If the work panicked: the panic goes on here.
    pub fn join(mut self) -> T {
        match self.wait() {
            Some(Ok(value)) => value,
            Some(Err(panic)) => resume_unwind(panic),
            None => unreachable!("the lcore sends exactly one outcome, and only `join` and `drop` take it"),
        }
    }

    fn wait(&mut self) -> Option<Outcome<T>> {
        let outcome = self.outcome.take()?.recv().ok();
        // SAFETY: EAL is initialised and `lcore` is a worker. This spins for the moment between the outcome
        // and idle.
        unsafe { dpdk_sys::rte_eal_wait_lcore(self.lcore) };
        outcome
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if let Some(Err(_)) = self.wait() {
            ::log::error!("work on lcore {} panicked", self.lcore);
        }
    }
}

/// Why [`launch`] did not start the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchError {
    /// This lcore is the main one, or not EAL's.
    NotAWorker(u32),
    /// This lcore is still working.
    Busy(u32),
    /// DPDK could not wake this lcore.
    Failed(u32, Errno),
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAWorker(lcore) => {
                write!(
                    f,
                    "lcore {lcore} is not a worker lcore: choose one of Eal::worker_lcores, or start EAL \
                     with -l"
                )
            }
            Self::Busy(lcore) => write!(f, "lcore {lcore} is still working: join it first"),
            Self::Failed(lcore, errno) => {
                write!(f, "lcore {lcore} cannot be woken: {errno}")
            }
        }
    }
}

impl error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NotAWorker(_) | Self::Busy(_) => None,
            Self::Failed(_, errno) => Some(errno),
        }
    }
}

/// Gives the calling thread an lcore id, and with it the mempools' caches, until the guard is dropped.
///
/// # Errors
/// [`RegisterError`] if it has one already or DPDK has none left.
pub fn register_thread(eal: &Eal) -> Result<Registered, RegisterError> {
    if let Some(lcore) = current() {
        return Err(RegisterError::Already(lcore));
    }
    // SAFETY: EAL is initialised, and this thread is neither EAL's nor registered.
    let ret = unsafe { dpdk_sys::rte_thread_register() };
    if ret != 0 {
        return Err(RegisterError::Failed(Errno::last()));
    }
    Ok(Registered { _eal: eal.clone(), _this_thread: PhantomData })
}

/// The calling thread's registration. It stays in its thread.
#[derive(Debug)]
pub struct Registered {
    _eal: Eal,
    _this_thread: PhantomData<*const ()>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: this thread registered itself (the guard cannot leave it), and EAL lives.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
}

/// Why [`register_thread`] did not register the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The thread has this lcore id already.
    Already(u32),
    /// DPDK refuses.
    Failed(Errno),
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Already(lcore) => {
                write!(f, "this thread has the lcore id {lcore} already: register a thread once")
            }
            Self::Failed(errno) => {
                write!(f, "DPDK has no lcore id for this thread: {errno}; register fewer threads")
            }
        }
    }
}

impl error::Error for RegisterError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Already(_) => None,
            Self::Failed(errno) => Some(errno),
        }
    }
}
