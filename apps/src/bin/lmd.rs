//! lmd: makes a DPDK port an interface of the kernel, on which datagrams are whole.

fn main() -> std::process::ExitCode {
    lm_apps::lmd()
}
