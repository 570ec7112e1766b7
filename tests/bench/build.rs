//! Compiles the simulated driver and the peers with DPDK's own flags, and links the libraries that they use,
//! DPDK's reassembler among them. cargo runs it before it builds the benchmark.

use std::process::Command;

/// `-march=corei7 -include rte_config.h` and such: what the peers' inline functions are made for.
fn other_cflags() -> Vec<String> {
    let pkg_config = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let out = Command::new(pkg_config).args(["--cflags-only-other", "libdpdk"]).output();
    let text = out.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn main() {
    println!("cargo:rerun-if-changed=c");
    let library = pkg_config::Config::new().cargo_metadata(false).probe("libdpdk");
    let library = library.unwrap_or_else(|e| panic!("libdpdk is needed (apt install libdpdk-dev): {e}"));
    let mut build = cc::Build::new();
    for file in ["client.c", "driver.c", "peers.c", "reader.c"] {
        build.file(format!("c/{file}"));
    }
    for path in &library.include_paths {
        build.flag(format!("-isystem{}", path.display()));
    }
    build.flags(other_cflags()).opt_level(3).warnings(true).extra_warnings(true).compile("lm_bench_peers");
    for path in &library.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for name in ["rte_ip_frag", "rte_ethdev", "rte_mempool", "rte_mbuf", "rte_hash", "rte_eal"] {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
}
