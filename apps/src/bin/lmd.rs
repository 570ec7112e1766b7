//! lmd: makes a DPDK port an interface of the kernel, on which datagrams are whole.
//!
//! Only the entry point is here. The program is the module `lmd` of the library `lm_apps`.

fn main() -> std::process::ExitCode {
    lm_apps::lmd()
}
