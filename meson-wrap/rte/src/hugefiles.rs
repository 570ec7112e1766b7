//! The files of hugepages. EAL makes one per page or per segment, and does not remove them, so their pages
//! remain reserved.
//!
//! [`Eal`](crate::Eal) removes the files of its own process when it is cleaned up, or when it cannot be
//! initialised. [`dead`] finds the files of processes that ended without doing so: EAL holds a lock on each
//! of its files as long as the process runs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files that one process left behind when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Where they are, and how their names begin: `/dev/hugepages/rtemap_`.
    pub stem: PathBuf,
    /// How many there are.
    pub files: usize,
    /// Bytes of memory that they occupy.
    pub bytes: u64,
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stem, files, megabytes) = (self.stem.display(), self.files, self.bytes >> 20);
        write!(f, "{stem}* ({files} files, {megabytes} MB)")
    }
}

/// Where hugepages are mounted (hugetlbfs).
pub fn mounts() -> Vec<PathBuf> {
    places(&fs::read_to_string("/proc/mounts").unwrap_or_default())
}

/// The mount points of hugepages in a text like `/proc/mounts`. If two are mounted at the same place, only
/// the upper one can be seen, so the place counts once.
fn places(mounts: &str) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = mounts.lines().filter_map(mount).collect();
    places.sort();
    places.dedup();
    places
}

/// The mount point of a line of `/proc/mounts`, if it is one of hugepages.
fn mount(line: &str) -> Option<PathBuf> {
    let mut words = line.split(' ').skip(1);
    let (place, kind) = (words.next()?, words.next()?);
    (kind == "hugetlbfs").then(|| PathBuf::from(place))
}

/// The name of one of EAL's files, `PREFIXmap_NUMBER`, without its number.
fn stem(name: &str) -> Option<&str> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.len() < name.len() && stem.ends_with("map_")).then_some(stem)
}

/// The files in these directories that belong to no living process, as far as this process may open them.
pub fn dead(directories: &[PathBuf]) -> Vec<Dead> {
    let mut all = BTreeMap::<PathBuf, Dead>::new();
    let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let Some(stem) = entry.file_name().to_str().and_then(stem).map(|stem| path.with_file_name(stem))
        else {
            continue;
        };
        if let Some(bytes) = held_by_nobody(&path) {
            let dead = all.entry(stem.clone()).or_insert(Dead { stem, files: 0, bytes: 0 });
            dead.files += 1;
            dead.bytes += bytes;
        }
    }
    all.into_values().collect()
}

/// EAL may be about to lock a file that is younger than this. It must not find our lock there.
const YOUNG: Duration = Duration::from_secs(1);

/// The bytes of this file, if no process has a lock on it.
fn held_by_nobody(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    let about = file.metadata().ok()?;
    if about.modified().ok()?.elapsed().unwrap_or_default() < YOUNG {
        return None;
    }
    match file.try_lock() {
        // The lock goes with the file.
        Ok(()) => Some(about.blocks() * 512),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// The files that this process has mapped.
pub(crate) fn ours() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    mapped(&maps, &mounts())
}

/// The files of EAL in these directories that a text like `/proc/PID/maps` lists.
fn mapped(maps: &str, directories: &[PathBuf]) -> Vec<PathBuf> {
    // Address, rights, offset, device, inode, and a path, which may have spaces in it.
    let path = |line: &str| line.find('/').map(|at| PathBuf::from(line[at..].trim_end()));
    let is_eals = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(stem).is_some()
            && path.parent().is_some_and(|p| directories.iter().any(|d| p.starts_with(d)))
    };
    let mut files: Vec<_> = maps.lines().filter_map(path).filter(is_eals).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Removes files. A file that cannot be removed is logged.
pub(crate) fn remove(files: &[PathBuf]) {
    for path in files {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                ::log::warn!("{} holds hugepages and cannot be removed: {e}", path.display());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn eals_names_are_known() {
        assert_eq!(stem("rtemap_0"), Some("rtemap_"));
        assert_eq!(stem("lm7x12map_1023"), Some("lm7x12map_"));
        for other in ["rtemap_", "map", "12", "rtemap_1.bak", "memory_3", ""] {
            assert_eq!(stem(other), None, "{other}");
        }
    }

    #[test]
    fn mounts_are_told_by_their_kind() {
        assert_eq!(mount("nodev /mnt/huge hugetlbfs rw,pagesize=2M 0 0"), Some("/mnt/huge".into()));
        assert_eq!(mount("tmpfs /tmp tmpfs rw 0 0"), None);
        assert_eq!(mount("hugetlbfs"), None);
    }

    #[test]
    fn a_mount_over_another_counts_once() {
        let mounts =
            "a /dev/hugepages hugetlbfs rw 0 0\nb /mnt hugetlbfs rw 0 0\nc /dev/hugepages hugetlbfs rw 0 0\n";
        assert_eq!(places(mounts), [PathBuf::from("/dev/hugepages"), "/mnt".into()]);
    }

    #[test]
    fn mapped_files_are_found_once() {
        let maps = "\
            100000000-100200000 rw-s 00000000 00:2f 1 /dev/hugepages/amap_0\n\
            100200000-100400000 rw-s 00200000 00:2f 1 /dev/hugepages/amap_0\n\
            100400000-100600000 rw-s 00000000 00:2f 2 /dev/hugepages/amap_1\n\
            100600000-100800000 rw-s 00000000 00:2f 3 /tmp/amap_2\n\
            7f0000000-7f0001000 r-xp 00000000 00:01 4 /usr/lib/libc.so.6\n\
            7f0001000-7f0002000 rw-p 00000000 00:00 0\n";
        let directories = [PathBuf::from("/dev/hugepages")];
        let want: Vec<PathBuf> = vec!["/dev/hugepages/amap_0".into(), "/dev/hugepages/amap_1".into()];
        assert_eq!(mapped(maps, &directories), want);
    }

    #[test]
    fn what_nobody_holds_is_found_and_named() {
        let place = std::env::temp_dir().join(format!("rte-hugefiles-{}", std::process::id()));
        fs::create_dir(&place).expect("a directory of ours");
        let old = SystemTime::now() - 2 * YOUNG;
        for name in ["xmap_0", "xmap_1", "ymap_0", "other", "youngmap_0"] {
            fs::write(place.join(name), [1; 8192]).expect("a file");
            let file = File::options().write(true).open(place.join(name)).expect("ours");
            file.set_modified(if name == "youngmap_0" { SystemTime::now() } else { old }).expect("ours");
        }
        let lives = File::open(place.join("ymap_0")).expect("ours");
        lives.lock_shared().expect("a lock, as EAL has one");
        let found = dead(std::slice::from_ref(&place));
        drop(lives);
        let all = dead(std::slice::from_ref(&place));
        remove(&[place.join("xmap_0"), place.join("gone")]);
        let left = dead(std::slice::from_ref(&place));
        fs::remove_dir_all(&place).expect("ours");
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].stem, found[0].files), (&place.join("xmap_"), 2));
        assert!(found[0].to_string().contains("xmap_* (2 files, "), "{}", found[0]);
        assert_eq!((all.len(), left[0].files), (2, 1));
    }
}
