//! Opens regular files, and reads text files of a bounded size. A device, a pipe or a folder is refused,
//! because opening or reading it could block for ever.
//!
//! Command files, configurations, keys and captures are opened here.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file if it is a regular one.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe without a writer would wait, and a terminal would become the process's controlling one.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}

/// Reads a text file of `most` bytes at most.
pub(crate) fn text(path: &Path, most: u64) -> io::Result<String> {
    let file = open(path)?;
    let mut text = String::new();
    // The file may grow while it is read, so its length is not trusted.
    file.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_told_and_not_waited_for() {
        let pipe = std::env::temp_dir().join(format!("lm-pipe-{}", std::process::id()));
        let _ = std::fs::remove_file(&pipe);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
        for path in [Path::new("/dev/zero"), Path::new("/"), Path::new("/dev/stdin"), &pipe] {
            // Standard input may be a file.
            if path.metadata().is_ok_and(|m| m.is_file()) {
                continue;
            }
            let told = text(path, 10).expect_err("no regular file").to_string();
            assert!(told.contains("regular") || told.contains("os error"), "{}: {told}", path.display());
        }
        std::fs::remove_file(&pipe).expect("was there");
    }

    #[test]
    fn files_are_read_up_to_their_bound() {
        let path = std::env::temp_dir().join(format!("lm-bound-{}", std::process::id()));
        std::fs::write(&path, "0123456789").expect("a file");
        assert_eq!(text(&path, 10).expect("fits"), "0123456789");
        assert!(text(&path, 9).expect_err("too long").to_string().contains("9 bytes"));
        std::fs::write(&path, [0xff, 0xfe]).expect("a file");
        assert!(text(&path, 10).is_err(), "no text");
        std::fs::remove_file(&path).expect("was there");
    }
}
