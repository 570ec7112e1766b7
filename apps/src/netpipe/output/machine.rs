//! [`Machine`]: the machine on which the figures were measured, for the JSON document and the pictures.
//!
//! It reads `/proc/cpuinfo` and `uname`. What cannot be read is called `unknown`, or 0; no run fails because
//! of it.

use serde::Serialize;

/// Machine and versions.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    tsc_hz: u64,
    kernel: String,
    dpdk: Option<String>,
    program: &'static str,
    command: String,
    /// Seconds since 1970, UTC.
    ended: u64,
}

impl Machine {
    /// The machine that this process runs on, and the versions that it uses.
    pub(crate) fn here(tsc_hz: u64, dpdk: Option<String>) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let uname = rustix::system::uname();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            cpu: cpu.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
            // All CPUs of the machine, not only those that this thread may use.
            cpus: info.lines().filter(|line| line.starts_with("processor")).count(),
            tsc_hz,
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            dpdk,
            program: concat!("lm-netpipe ", env!("CARGO_PKG_VERSION")),
            command: std::env::args_os()
                .map(|a| a.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" "),
            ended: since.as_secs(),
        }
    }

    /// Processor, number of CPUs and kernel, in one line.
    pub(crate) fn in_short(&self) -> String {
        format!("{}, CPUs: {}, {}", self.cpu, self.cpus, self.kernel)
    }
}
