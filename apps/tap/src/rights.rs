//! Gives up the capabilities of this process (capabilities(7)), in every thread.
//!
//! A thread can only change its own capabilities. So each thread is sent a signal, and the handler changes
//! those of the thread that it interrupts. Threads that are made later have what their maker had.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// Changes interfaces, addresses and routes.
pub const NET_ADMIN: u32 = 12;

/// The capabilities that a thread keeps, a bit for each.
static KEPT: AtomicU64 = AtomicU64::new(0);
/// How long all threads have to follow.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
const VERSION: u32 = 0x2008_0522;
/// The sets of `/proc/PID/status` that may hold no more than what is kept. The bounding set is not among
/// them, since it needs CAP_SETPCAP to be lowered.
const SETS: [&str; 4] = ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"];

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all capabilities but these, in every thread of this process, for good: no program that it starts
/// gets them back, either. Returns when each thread has done so.
///
/// # Errors
/// A thread has more after two seconds, for example one that blocks all signals.
pub fn keep_only(capabilities: &[u32]) -> io::Result<()> {
    KEPT.store(capabilities.iter().fold(0, |all, one| all | 1 << one), Ordering::SeqCst);
    let signal = libc::SIGRTMAX() - 1;
    let before = answer(signal, give_up as *const () as libc::sighandler_t)?;
    let ended = each_follows(signal);
    // A signal that is still on its way to a thread would end the process if nobody handled it.
    if ended.is_ok() {
        restore(signal, &before)?;
    }
    ended
}

fn each_follows(signal: libc::c_int) -> io::Result<()> {
    give_up(signal);
    let end = Instant::now() + PATIENCE;
    let mut asked: Vec<i32> = Vec::new();
    loop {
        let late = those_with_more()?;
        let Some(one) = late.first() else { return Ok(()) };
        if Instant::now() > end {
            let name = fs::read_to_string(format!("/proc/self/task/{one}/comm")).unwrap_or_default();
            return Err(io::Error::other(format!("thread {one} ({}) keeps capabilities", name.trim())));
        }
        for &thread in late.iter().filter(|thread| !asked.contains(thread)) {
            // SAFETY: takes no pointer. A thread that has gone meanwhile is not found.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
        }
        asked = late;
        thread::sleep(PAUSE);
    }
}

/// The threads that have capabilities which are not kept.
fn those_with_more() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // One that ends meanwhile has none.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        if has_more(&status, KEPT.load(Ordering::SeqCst)) {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
        }
    }
    Ok(found)
}

/// Whether a thread with this `/proc/PID/status` has capabilities that are not among these.
fn has_more(status: &str, kept: u64) -> bool {
    let sets = status.lines().filter_map(|line| SETS.iter().find_map(|name| line.strip_prefix(name)));
    sets.filter_map(|digits| u64::from_str_radix(digits.trim(), 16).ok()).any(|set| set & !kept != 0)
}

/// Makes this thread give up what is not kept. It is a signal's handler, so it makes system calls and nothing
/// else. Whether it succeeded is seen in `/proc`.
extern "C" fn give_up(_: libc::c_int) {
    let kept = KEPT.load(Ordering::SeqCst);
    let header = Header { version: VERSION, pid: 0 };
    let mut sets = [Data::default(); 2];
    // SAFETY: `__errno_location` is always valid in this thread. prctl takes numbers only here. capget and
    // capset read a header and two elements of the kernel's layout, which live through the calls.
    unsafe {
        let errno = *libc::__errno_location();
        for capability in (0..64).filter(|one| kept >> one & 1 == 0) {
            libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0);
        }
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as libc::c_ulong, 0, 0, 0);
        libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr());
        for (set, kept) in sets.iter_mut().zip([kept as u32, (kept >> 32) as u32]) {
            set.permitted &= kept;
            set.effective &= kept;
            set.inheritable = 0;
        }
        libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr());
        *libc::__errno_location() = errno;
    }
}

/// Has a signal handled by a function. Returns what was done before.
fn answer(signal: libc::c_int, by: libc::sighandler_t) -> io::Result<libc::sigaction> {
    // SAFETY: zeroes are a value of this plain structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = by;
    // System calls that wait in other threads go on afterwards.
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both structures live through the call. The handler is async-signal-safe.
    let ret = unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(before) }
}

fn restore(signal: libc::c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the structure was filled by the same call, and lives through this one.
    let ret = unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_what_is_kept_is_seen_in_any_set() {
        let status =
            |set: &str, value: &str| format!("Name:\tx\n{set}\t{value}\nCapBnd:\t000001ffffffffff\n");
        for set in SETS {
            assert!(has_more(&status(set, "0000000000003000"), 1 << NET_ADMIN), "{set}");
            assert!(!has_more(&status(set, "0000000000001000"), 1 << NET_ADMIN), "{set}");
        }
        assert!(!has_more("", 0));
    }
}
