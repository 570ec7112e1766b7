//! The files that a command line names, and a check that none of them is overwritten by accident.
//!
//! [`crate::start`] calls [`check`] before EAL starts and before any file is created. A file that is written
//! must not have another use, under whatever name. Files are compared by device and inode, or by place if
//! they do not exist yet. Devices and pipes may have many writers.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file that the command line names, and what it is used for.
#[derive(Debug)]
pub(crate) struct FileUse {
    /// The option, with the path.
    what: String,
    path: PathBuf,
    written: bool,
}

/// What tells files apart, whatever they are called.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// It exists.
    Node { device: u64, inode: u64 },
    /// It does not exist, and would be made here.
    Place(PathBuf),
}

impl FileUse {
    /// A file that is read.
    pub(crate) fn read(what: impl Into<String>, path: &Path) -> Self {
        Self { what: what.into(), path: path.to_owned(), written: false }
    }

    /// A file that is written.
    pub(crate) fn written(what: impl Into<String>, path: &Path) -> Self {
        Self { what: what.into(), path: path.to_owned(), written: true }
    }

    /// `None`: a device or a pipe, which may have several writers, or a path at which no file can be made.
    fn identity(&self) -> Option<Identity> {
        if let Ok(data) = self.path.metadata() {
            return data.is_file().then(|| Identity::Node { device: data.dev(), inode: data.ino() });
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(Identity::Place(folder.join(self.path.file_name()?)))
    }
}

/// Whether no file that is written is named twice.
pub(crate) fn check(uses: &[FileUse]) -> Result<(), String> {
    let known: Vec<_> = uses.iter().map(FileUse::identity).collect();
    for (i, one) in uses.iter().enumerate() {
        for (j, other) in uses.iter().enumerate().take(i) {
            if (one.written || other.written) && known[i].is_some() && known[i] == known[j] {
                return Err(format!(
                    "{} and {} are one file, which would be overwritten: name another one",
                    other.what, one.what
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_known_by_any_name() {
        let folder = std::env::temp_dir().join(format!("lm-uses-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name);
        std::fs::write(at("file"), "").expect("a file");
        std::fs::write(at("other"), "").expect("a file");
        std::fs::hard_link(at("file"), at("hard")).expect("a link");
        std::os::unix::fs::symlink(at("file"), at("soft")).expect("a link");
        let clash = |read: &str, written: &str| {
            check(&[FileUse::read("a", &at(read)), FileUse::written("b", &at(written))]).is_err()
        };
        for name in ["file", "hard", "soft", "./file", "../".to_owned().as_str()] {
            let name = if name == "../" {
                format!("../{}/file", folder.file_name().expect("a name").display())
            } else {
                name.to_owned()
            };
            assert!(clash("file", &name) && clash(&name, "file"), "{name}");
        }
        assert!(!clash("file", "other") && !clash("file", "new") && clash("new", "./new"));
        let reads = [FileUse::read("a", &at("file")), FileUse::read("b", &at("soft"))];
        assert!(check(&reads).is_ok(), "both may read");
        let writes = [FileUse::written("a", &at("new")), FileUse::written("b", &at("new"))];
        assert!(check(&writes).expect_err("both write").contains("a and b"));
        let nowhere = Path::new("/dev/null");
        assert!(check(&[FileUse::written("a", nowhere), FileUse::written("b", nowhere)]).is_ok());
        std::fs::remove_dir_all(folder).expect("was there");
    }
}
