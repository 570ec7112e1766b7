//! [`Eal`]: DPDK's environment.
//!
//! Every program makes one first, and [`Port::open`](crate::Port::open) takes it. It is `rte::Eal` with the
//! application's own arguments beside it.

use std::io::Write;

use rte::EalError;
use rte::lcore::{self, Join, LaunchError};
use rte::telemetry::TelemetryError;

/// The exit code where DPDK ends the process because of its arguments.
const REFUSED: u8 = 2;

/// DPDK's environment: memory, lcores, devices. There is one in a process, and everything that is made with
/// it keeps it alive.
#[derive(Clone, Debug)]
pub struct Eal {
    inner: rte::Eal,
    rest: Vec<String>,
}

impl Eal {
    /// Reserves a place for LM's mempool handler, which plug-ins that EAL loads could take otherwise. An
    /// application calls it before it calls `rte_eal_init` itself. [`Eal::init`] calls it, too.
    pub fn prepare() {
        // If DPDK's table has no place left, creating the first pool reports it.
        let _ = lm_landing::pool::register();
    }

    /// Initialises it from a command line as DPDK's programs have it, the program's name first:
    /// [`std::env::args`] will do.
    ///
    /// It works once in a process. The calling thread becomes the main lcore and is pinned to it.
    ///
    /// DPDK ends the process on `--help`, and from 25.11 on also for an option that it does not take. In the
    /// second case one line on stderr says what is wrong, and the exit code is 2. A program that wants
    /// something else calls [`rte::Eal::init_or`].
    ///
    /// # Errors
    /// [`EalError`]: the command line or the machine does not allow it. Its text says what to do.
    pub fn init(args: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, EalError> {
        Self::prepare();
        let args: Vec<String> = args.into_iter().map(Into::into).collect();
        let program = args.first().map_or("lm", |path| path.rsplit('/').next().unwrap_or(path)).to_owned();
        let ended = move |e: EalError| {
            // The process ends anyway, whether anybody can read the line or not.
            let _ = writeln!(std::io::stderr(), "{program}: {e}");
            REFUSED
        };
        let (inner, rest) = rte::Eal::init_or(args, ended)?;
        Ok(Self { inner, rest })
    }

    /// The environment that the application has initialised itself, by `rte_eal_init`.
    ///
    /// # Safety
    /// `rte_eal_init` has succeeded in this process, which is a primary one. `rte_eal_cleanup` is not called
    /// before this value and all that was made with it are gone.
    #[allow(unsafe_code)]
    pub unsafe fn adopt() -> Self {
        // SAFETY: the caller's promise.
        Self { inner: unsafe { rte::Eal::adopt() }, rest: Vec::new() }
    }

    /// Shows all ports of LM to DPDK's telemetry: `/lm/ports` and others, as `docs/telemetry.md` has them. It
    /// lasts as long as the process.
    ///
    /// # Errors
    /// [`TelemetryError`]: DPDK does not take the commands.
    pub fn telemetry(&self) -> Result<(), TelemetryError> {
        lm_node::watch::register(&self.inner)
    }

    /// The arguments after `--`, which are the application's. Empty if the environment was adopted.
    pub fn args(&self) -> &[String] {
        &self.rest
    }

    /// The devices that have a port, by name, such as `net_tap0` or `0000:01:00.0`.
    pub fn devices(&self) -> Vec<String> {
        rte::port::ports(&self.inner).filter_map(|id| rte::port::name_of(&self.inner, id)).collect()
    }

    /// The lcores that [`launch`](Self::launch) can use, in ascending order.
    pub fn worker_lcores(&self) -> Vec<u32> {
        self.inner.worker_lcores()
    }

    /// Runs `work` on a worker lcore. The result is had by [`Join::join`]; dropping the [`Join`] waits, too.
    ///
    /// # Errors
    /// [`LaunchError`] if `lcore` is no worker or is busy; `work` is dropped then.
    pub fn launch<T: Send + 'static>(
        &self,
        lcore: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Join<T>, LaunchError> {
        lcore::launch(&self.inner, lcore, work)
    }

    /// The environment for functions of [`rte`].
    pub fn as_rte(&self) -> &rte::Eal {
        &self.inner
    }
}
