//! Finds libdpdk with pkg-config, generates the bindings, and compiles the inline functions that need a
//! symbol.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs, panic};

use bindgen::callbacks::{IntKind, ParseCallbacks};

/// The libraries that are linked, where the installed DPDK has them (`rte_log` is part of `rte_eal` before
/// 23.11). PMDs, buses and mempool drivers are not: EAL loads them from its PMD directory at run time.
const LIBRARIES: &[&str] = &[
    "rte_eal",
    "rte_log",
    "rte_ethdev",
    "rte_net",
    "rte_ip_frag",
    "rte_gso",
    "rte_gro",
    "rte_mbuf",
    "rte_mempool",
    "rte_ring",
    "rte_kvargs",
    "rte_telemetry",
];

/// Functions with a symbol of their own, and inline ones for which bindgen writes a wrapper.
const FUNCTIONS: &[&str] = &[
    "dpdk_sys_.*",
    "rte_version.*",
    "rte_eal_(init|cleanup|alarm_set|process_type|iova_mode|has_hugepages|has_pci|primary_proc_alive|vfio_.*|get_.*)",
    "rte_eal_(hotplug_.*|remote_launch|wait_lcore|mp_wait_lcore|create_uio_dev|using_phys_addrs)",
    "rte_strerror",
    "rte_intr_(instance_(alloc|free)|fd_set|type_set|callback_(un)?register)",
    "rte_epoll_wait",
    "rte_(log|openlog_stream|log_get_stream|log_cur_msg_.*|log_set_.*level.*|log_get_.*level|log_register.*)",
    "rte_lcore_(id|count|index|to_socket_id|to_cpu_id|has_role|is_enabled|cpuset)",
    "rte_(get_main_lcore|get_next_lcore|socket_id|socket_count|socket_id_by_idx)",
    "rte_(thread_register|thread_unregister|thread_is_intr|gettid|sys_gettid)",
    "rte_(rdtsc|rdtsc_precise|get_tsc_hz|get_tsc_cycles|delay_us_block|delay_us_callback_register)",
    "rte_dev_(name|bus|bus_info|driver|numa_node|devargs|dma_map|dma_unmap|probe|remove|is_probed)",
    "rte_(driver_name|bus_name|bus_find_by_name)",
    "rte_mem_(virt2iova|virt2phy|virt2memseg|virt2memseg_list|iova2virt|check_dma_mask|lock_page)",
    "rte_(extmem_(un)?register|memseg_contig_walk|memory_get_.*)",
    "rte_memzone_(reserve.*|free|lookup|walk|dump)",
    "rte_(malloc|zmalloc|calloc|realloc|malloc_socket|zmalloc_socket|free|malloc_virt2iova|malloc_validate)",
    "rte_mempool_(create|create_empty|free|set_ops_byname|register_ops|populate_.*|obj_iter|mem_iter)",
    "rte_mempool_(avail_count|in_use_count|lookup|from_obj|virt2iova|op_.*_helper|calc_obj_size|walk)",
    "rte_mempool_(put_bulk|get_bulk|put|get|get_priv|audit)",
    "rte_pktmbuf_(init|pool_init|pool_create.*|alloc|alloc_bulk|free|free_seg|free_bulk|clone|copy|chain)",
    "rte_pktmbuf_(attach_extbuf|ext_shinfo_init_helper|detach|reset|read|linearize|append|prepend|adj|trim)",
    "rte_pktmbuf_(data_room_size|priv_size|refcnt_update|headroom|tailroom|lastseg)",
    "rte_mbuf_(raw_alloc|raw_free|refcnt_.*|ext_refcnt_.*|check|sanity_check|dynfield_.*|dynflag_.*)",
    "rte_mbuf_best_mempool_ops",
    "rte_eth_dev_.*",
    "rte_eth_(macaddr_.*|promiscuous_.*|allmulticast_.*|link_.*|stats_.*|xstats_.*|iterator_.*|find_next.*)",
    "rte_eth_((rx|tx)_queue_setup|tx_done_cleanup|(rx|tx)_queue_info_get|(add|remove)_.*_callback)",
    "rte_eth_((rx|tx)_descriptor_status|rx_queue_count|(rx|tx)_burst_mode_get|call_(rx|tx)_callbacks)",
    "rte_eth_(led_.*|speed_bitflag|allmulticast_.*)",
    "rte_flow_(validate|create|destroy|flush)",
    "rte_ip_frag_(table_create|table_destroy|free_death_row)",
    "rte_ipv4_(fragment_packet|frag_reassemble_packet)",
    "rte_net_get_ptype",
    "rte_gso_segment",
    "rte_gro_reassemble_burst",
    "rte_kvargs_(parse|count|get|free)",
    "rte_telemetry_register_cmd",
    "rte_tel_data_(alloc|free|string|start_array|start_dict)",
    "rte_tel_data_add_(array|dict)_(string|container)",
    "rte_vfio_get_group_(num|fd)",
];

/// Constants.
const VARIABLES: &[&str] = &[
    "DPDK_SYS_.*",
    "RTE_VER_.*",
    "RTE_MAX_(LCORE|ETHPORTS|QUEUES_PER_PORT|MEMZONE|NUMA_NODES|MEMPOOL.*)",
    "RTE_CACHE_LINE_.*",
    "RTE_PKTMBUF_.*",
    "RTE_MBUF_.*",
    "RTE_MEMPOOL_.*",
    "RTE_MEMZONE_.*",
    "RTE_ETH.*",
    "RTE_BAD_IOVA",
    "RTE_LOG_.*",
    "RTE_LOGTYPE_.*",
    "RTE_PROC_.*",
    "RTE_IOVA_.*",
    "SOCKET_ID_ANY",
    "LCORE_ID_ANY",
    "RTE_FLOW_.*",
    "RTE_INTR_EVENT_.*",
    "RTE_LIBRTE_IP_FRAG_MAX_FRAG",
    "RTE_PTYPE_.*",
    "RTE_GRO_.*",
    "rte_eth_fp_ops",
    "rte_mempool_ops_table",
    "RTE_TEL_.*",
];

/// Types that no function above mentions.
const TYPES: &[&str] = &[
    "rte_pktmbuf_pool_private",
    "rte_mbuf_ext_shared_info",
    "rte_mempool_.*",
    "rte_ether_(addr|hdr)",
    "rte_log_level",
    "rte_proc_type_t",
    "rte_iova_mode",
    "rte_flow_(attr|item|action|error|item_eth|item_raw|item_vlan|action_queue)",
];

/// Flags of the fast path are 64 bits wide in C, whatever their value: give them one type.
#[derive(Debug)]
struct FlagTypes;

impl ParseCallbacks for FlagTypes {
    fn int_macro(&self, name: &str, _value: i64) -> Option<IntKind> {
        let wide = ["RTE_ETH_RX_OFFLOAD_", "RTE_ETH_TX_OFFLOAD_", "RTE_ETH_RSS_", "RTE_MBUF_F_"];
        wide.iter().any(|prefix| name.starts_with(prefix)).then_some(IntKind::U64)
    }
}

/// Every DPDK that is supported, one a line: its version and where it is found. README and docs name this
/// file.
const SUPPORTED: &str = include_str!("supported.txt");

/// A variable for those who port LM to another DPDK: if it is set, every DPDK is accepted.
const ANY_VERSION: &str = "DPDK_SYS_ANY_VERSION";

/// Variables that decide which DPDK, and which libclang, is found.
const ENVIRONMENT: &[&str] = &[
    "PKG_CONFIG",
    "PKG_CONFIG_PATH",
    "PKG_CONFIG_LIBDIR",
    "PKG_CONFIG_SYSROOT_DIR",
    "LIBCLANG_PATH",
    "CC",
    ANY_VERSION,
];

/// Stops the build with one line: what is wrong, and what to do about it.
fn give_up(what: &str) -> ! {
    eprintln!("dpdk-sys: {what}");
    exit(1);
}

/// The first line of a text.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

/// What pkg-config answers; `None` if it says no.
fn ask_pkg_config(arguments: &[&str]) -> Option<String> {
    let pkg_config = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    match Command::new(&pkg_config).args(arguments).output() {
        Ok(out) => out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        Err(e) => give_up(&format!("cannot run {pkg_config} ({e}): apt install pkg-config")),
    }
}

/// Compiler flags that are neither `-I` nor `-l`, such as `-march=corei7` and `-include rte_config.h`.
fn other_cflags() -> Vec<String> {
    let flags = ask_pkg_config(&["--cflags-only-other", "libdpdk"]);
    flags.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The release and the update of a version: 22.11 and 11 of `22.11.11`, 24.11 and 0 of `24.11`.
fn parts(version: &str) -> (String, u32) {
    let mut numbers = version.split('.');
    let release = numbers.by_ref().take(2).collect::<Vec<_>>().join(".");
    let update = numbers.next().map(|n| n.chars().take_while(char::is_ascii_digit).collect::<String>());
    (release, update.and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Refuses a DPDK that is not in the table.
fn check_version(version: &str, place: &str) {
    let rows =
        || SUPPORTED.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let (release, update) = parts(version);
    let supports = |row: &str| matches!(parts(row), (of, least) if of == release && least <= update);
    if rows().any(|(supported, _)| supports(supported)) {
        return;
    }
    let all: Vec<_> = rows().map(|(least, place)| format!("{least} ({})", place.trim())).collect();
    let said = format!(
        "DPDK {version} in {place} is not supported; supported, with later updates: {}",
        all.join(", ")
    );
    if env::var_os(ANY_VERSION).is_none() {
        give_up(&format!("{said}. docs/dpdk-versions.md says how to build with another than the system's"));
    }
    println!("cargo:warning={said} ({ANY_VERSION} is set)");
}

/// Warns if pkg-config could have found another DPDK: which one is used, and how to use the other one.
fn tell_of_others(taken: &str) {
    let built_in = ask_pkg_config(&["--variable=pc_path", "pkg-config"]).unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        env::split_paths(&env::var_os("PKG_CONFIG_PATH").unwrap_or_default()).collect();
    match env::var_os("PKG_CONFIG_LIBDIR") {
        Some(instead) => folders.extend(env::split_paths(&instead)),
        None => folders.extend(env::split_paths(&built_in)),
    }
    let mut found: Vec<PathBuf> =
        folders.iter().filter_map(|folder| folder.join("libdpdk.pc").canonicalize().ok()).collect();
    found.sort();
    found.dedup();
    if found.len() > 1 {
        let all: Vec<_> = found.iter().map(|file| file.display().to_string()).collect();
        println!(
            "cargo:warning=there are {} DPDKs side by side ({}): {taken} is taken; PKG_CONFIG_PATH chooses another, and \
             LD_LIBRARY_PATH must name the same",
            all.len(),
            all.join(", ")
        );
    }
}

/// Warns if DPDK's folder of drivers has none for e1000 and igb. EAL would then find no card, and say
/// nothing.
fn look_for_drivers(folder: &Path) {
    let Ok(plugins) = fs::read_dir(folder.join("dpdk")) else { return };
    let plugins: Vec<PathBuf> = plugins.filter_map(|entry| Some(entry.ok()?.path())).collect();
    if !plugins.is_empty() && !plugins.iter().any(|plugin| plugin.join("librte_net_e1000.so").exists()) {
        println!(
            "cargo:warning=the DPDK in {} has no drivers for e1000 and igb cards (librte_net_e1000.so): apt install \
             libdpdk-dev, or build DPDK with net/e1000 (net/intel/e1000 from 25.03 on)",
            folder.display()
        );
    }
}

fn probe() -> pkg_config::Library {
    if ask_pkg_config(&["--version"]).is_none() {
        give_up("pkg-config does not work: apt install pkg-config");
    }
    let Some(version) = ask_pkg_config(&["--modversion", "libdpdk"]) else {
        give_up(
            "pkg-config knows no libdpdk: apt install libdpdk-dev, or PKG_CONFIG_PATH for one of your own",
        );
    };
    let place = ask_pkg_config(&["--variable=libdir", "libdpdk"]).unwrap_or_default();
    // Cargo shows this if it is asked to (-vv); `make build` says it, too.
    println!("found DPDK {version} in {place}");
    check_version(&version, &place);
    tell_of_others(&format!("{version} in {place}"));
    look_for_drivers(Path::new(&place));
    let found = pkg_config::Config::new().cargo_metadata(false).probe("libdpdk");
    found.unwrap_or_else(|e| {
        let text = e.to_string();
        give_up(&format!("pkg-config cannot say how to build with libdpdk: {}", first_line(&text)))
    })
}

fn generate(clang_args: &[String], out: &Path) -> PathBuf {
    let wrappers = out.join("inline.c");
    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(clang_args)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .rust_target(
            bindgen::RustTarget::stable(85, 0).unwrap_or_else(|_| give_up("bindgen: no Rust 1.85 target")),
        )
        .use_core()
        .derive_debug(false)
        .derive_default(false)
        .prepend_enum_name(false)
        .generate_comments(false)
        .clang_macro_fallback()
        .clang_macro_fallback_build_dir(out)
        .wrap_static_fns(true)
        .wrap_static_fns_path(&wrappers)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .parse_callbacks(Box::new(FlagTypes))
        // One layout for all releases; wrapper.h compares it with DPDK's own.
        .blocklist_type("rte_mbuf")
        .allowlist_type("dpdk_sys_mbuf")
        .raw_line("pub type rte_mbuf = dpdk_sys_mbuf;");
    for name in FUNCTIONS {
        builder = builder.allowlist_function(*name);
    }
    for name in VARIABLES {
        builder = builder.allowlist_var(*name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(*name);
    }
    // bindgen panics when it finds no libclang: one plain message is better than its trace.
    panic::set_hook(Box::new(|_| {}));
    let generated = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    let _ = panic::take_hook();
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(e)) => {
            let text = e.to_string();
            let error = text.lines().find(|line| line.contains("error")).unwrap_or(first_line(&text));
            // Of clang itself; they are a package of their own beside the library.
            let clangs = ["'stddef.h'", "'stdarg.h'", "'stdbool.h'"].iter().any(|name| text.contains(name));
            let what = if clangs { "libclang-dev, for clang's own headers" } else { "libdpdk-dev" };
            give_up(&format!("bindgen cannot read DPDK's headers: apt install {what} ({error})"))
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map_or("no reason given", String::as_str);
            give_up(&format!(
                "bindgen cannot load libclang: apt install libclang-dev, or LIBCLANG_PATH ({})",
                first_line(text)
            ))
        }
    };
    if let Err(e) = bindings.write_to_file(out.join("bindings.rs")) {
        give_up(&format!("cannot write {}: {e}", out.join("bindings.rs").display()));
    }
    wrappers
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=wrapper.h");
    println!("cargo:rerun-if-changed=supported.txt");
    for name in ENVIRONMENT {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_else(|| give_up("cargo sets no OUT_DIR")));
    let library = probe();
    let mut clang_args = other_cflags();
    for path in &library.include_paths {
        clang_args.push(format!("-I{}", path.display()));
    }
    // fopencookie
    clang_args.push("-D_GNU_SOURCE".into());

    let wrappers = generate(&clang_args, &out);
    let compiled = cc::Build::new()
        .file(&wrappers)
        .flags(&clang_args)
        .include(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .opt_level(3)
        .warnings(false)
        .try_compile("dpdk_sys_inline");
    if let Err(e) = compiled {
        give_up(&format!("the C compiler rejects the wrappers of the inline functions: {e}"));
    }

    for path in &library.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for name in LIBRARIES.iter().filter(|name| library.libs.iter().any(|lib| lib == *name)) {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
    println!("cargo:version={}", library.version);
}
