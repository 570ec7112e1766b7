//! The number of a node's last life, kept on disk (`--ac-state`). The next life has the number after it,
//! whatever the clock says.
//!
//! A number only has to be new: other nodes accept a life because it answers a challenge, not because of its
//! number. So a file that is missing, or that a crash has left empty, does no harm: a random number is drawn,
//! as without a file. A file with other contents is not overwritten.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ac::Config;
use rustix::fs::OFlags;

/// The text in front of the number in a state file.
const HEAD: &str = "lm-ac-incarnation ";

/// A length that no state file exceeds.
const MOST: u64 = 64;

/// The number for the next life, which is in the file when this returns.
pub(crate) fn next(path: &Path) -> Result<u64, String> {
    let next = match read(path)? {
        // After the largest number comes 1.
        Some(last) => last.checked_add(1).unwrap_or(1),
        None => Config::any_incarnation(),
    };
    replace(path, next).map_err(|e| format!("--ac-state={}: cannot be written: {e}", path.display()))?;
    Ok(next)
}

/// The number of the last life. `None`: the file does not exist, or is empty.
pub(crate) fn read(path: &Path) -> Result<Option<u64>, String> {
    let wrong = |what: &str| format!("--ac-state={}: {what}", path.display());
    // Opening a FIFO that nobody writes to would wait.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| wrong(&e.to_string()))?,
    };
    if !file.metadata().map_err(|e| wrong(&e.to_string()))?.is_file() {
        return Err(wrong("not a regular file"));
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(|e| wrong(&e.to_string()))?;
    if text.is_empty() {
        log::warn!("--ac-state={}: empty; a number is drawn", path.display());
        return Ok(None);
    }
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.strip_prefix(HEAD)?.strip_suffix('\n'));
    let digits = number.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|n| n.parse().ok());
    number.map(Some).ok_or_else(|| {
        wrong(
            "not a state file of lm-testpmd (a line \"lm-ac-incarnation NUMBER\"): remove it, or name \
             another",
        )
    })
}

/// Replaces the file. If the process or the machine fails meanwhile, the file is the old one or the new one.
fn replace(path: &Path, number: u64) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(new, "{HEAD}{number}")?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn with(content: Option<&[u8]>, test: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        if let Some(content) = content {
            fs::write(&path, content).expect("a file");
        }
        test(&path);
        let there = fs::read_dir(folder.path()).expect("a folder").count();
        assert!(there <= 1, "nothing else is left behind");
    }

    #[test]
    fn each_life_is_one_more() {
        for content in [None, Some(&b""[..])] {
            with(content, |path| {
                let first = next(path).expect("a number");
                for n in 1..5 {
                    assert_eq!(next(path), Ok(first.wrapping_add(n)));
                }
            });
        }
    }

    #[test]
    fn the_last_number_is_not_the_last_life() {
        with(Some(b"lm-ac-incarnation 18446744073709551615\n"), |path| assert_eq!(next(path), Ok(1)));
        with(Some(b"lm-ac-incarnation 41\n"), |path| {
            assert_eq!(next(path), Ok(42));
            assert_eq!(fs::read(path).expect("there"), b"lm-ac-incarnation 42\n");
        });
    }

    #[test]
    fn what_is_no_state_file_is_left_as_it_is() {
        let long = [b'1'; 100];
        for content in [
            &b"root:x:0:0\n"[..],
            b"lm-ac-incarnation \n",
            b"lm-ac-incarnation 41",
            b"lm-ac-incarnation +41\n",
            b"lm-ac-incarnation 18446744073709551616\n",
            b"lm-ac-incarnation 41\n42\n",
            b"\0\0\0\0",
            &long,
        ] {
            with(Some(content), |path| {
                let why = next(path).expect_err("no state file");
                assert!(why.contains("--ac-state=") && why.contains("remove it"), "{why}");
                assert_eq!(fs::read(path).expect("there"), content);
            });
        }
        let folder = tempfile::tempdir().expect("a folder");
        assert!(next(folder.path()).expect_err("a folder").contains("not a regular file"));
        let nowhere = folder.path().join("no").join("where");
        assert!(next(&nowhere).expect_err("no folder").contains("cannot be written"));
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a FIFO");
        assert!(next(&fifo).expect_err("a FIFO").contains("not a regular file"));
    }
}
