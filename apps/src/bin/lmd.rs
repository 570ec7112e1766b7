//! lmd: a DPDK port as an interface of the kernel's, on which datagrams are whole.

fn main() -> std::process::ExitCode {
    lm_apps::lmd()
}
