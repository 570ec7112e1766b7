//! [`Store`]: the folder with the files that say what a card has to be given back as, and which process has
//! it.
//!
//! lmd writes a card's file before it changes anything, and removes it when the card was given back. A file
//! is replaced as a whole, so a crash leaves the old one or the new one. The lock of a card is held by one
//! process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::saved::{Saved, VERSION};

/// The folder, unless the environment names one.
const FOLDER: &str = "/run/lmd";
/// The variable of systemd's `RuntimeDirectory`.
const VARIABLE: &str = "RUNTIME_DIRECTORY";
/// The longest file that is read or written, in bytes.
const LONGEST: u64 = 4 << 20;

/// A folder of files, two for each card: what it was like, and a lock.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

/// A card's lock cannot be had. Its text says why.
#[derive(Debug)]
pub enum Unlocked {
    /// Another process has it.
    Taken(String),
    /// The lock's file cannot be used.
    Failed(String),
}

impl From<String> for Unlocked {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<Unlocked> for String {
    fn from(why: Unlocked) -> Self {
        match why {
            Unlocked::Taken(why) | Unlocked::Failed(why) => why,
        }
    }
}

/// The lock of a card. As long as a process has it, no other process takes the card or gives it back.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// The folder that the environment names, else `/run/lmd`.
    pub fn of_environment() -> Self {
        let named = std::env::var(VARIABLE).ok();
        // It may be a list.
        let first = named.as_deref().and_then(|list| list.split(':').next()).filter(|path| !path.is_empty());
        Self(first.unwrap_or(FOLDER).into())
    }

    /// A store in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The file of a card.
    pub fn file(&self, card: &str) -> PathBuf {
        self.0.join(format!("{card}.json"))
    }

    fn told<T>(path: &Path, result: io::Result<T>) -> Result<T, String> {
        result.map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Takes the lock of a card, and makes the folder if it is not there.
    ///
    /// # Errors
    /// Who has it, or what prevents it.
    pub fn lock(&self, card: &str) -> Result<Lock, Unlocked> {
        Self::told(&self.0, fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0))?;
        let path = self.0.join(format!("{card}.lock"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = Self::told(&path, options.open(&path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut who = String::new();
            let _ = file.read_to_string(&mut who);
            let who = who.trim();
            let who = if who.is_empty() { String::new() } else { format!(", process {who}") };
            return Err(Unlocked::Taken(format!(
                "{card} is taken over already: an lmd has it{who}; end that one first"
            )));
        }
        let pid = format!("{}\n", std::process::id());
        Self::told(&path, file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())))?;
        Ok(Lock { _file: file })
    }

    /// The cards of which something is written down, in the order of their names.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn cards(&self) -> Result<Vec<String>, String> {
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => Self::told(&self.0, other)?,
        };
        let mut cards = Vec::new();
        for entry in entries {
            let name = Self::told(&self.0, entry)?.file_name();
            cards.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        cards.sort();
        Ok(cards)
    }

    /// What was written down of a card. `None`: nothing is.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub fn read(&self, card: &str) -> Result<Option<Saved>, String> {
        let path = self.file(card);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => Self::told(&path, other)?,
        };
        let mut text = String::new();
        Self::told(&path, file.take(LONGEST).read_to_string(&mut text))?;
        let saved = Saved::of_text(&text)
            .map_err(|e| format!("{}: it says not what is to be given back: {e}", path.display()))?;
        if saved.version != VERSION || saved.card != card {
            return Err(format!("{}: it is of {}, version {}", path.display(), saved.card, saved.version));
        }
        Ok(Some(saved))
    }

    /// Writes down what a card was like: all of it or nothing.
    ///
    /// # Errors
    /// The file cannot be written, or is longer than one that is read.
    pub fn write(&self, saved: &Saved) -> Result<(), String> {
        let (path, part) = (self.file(&saved.card), self.0.join(format!("{}.part", saved.card)));
        let text = serde_json::to_string_pretty(saved).map_err(|e| format!("{}: {e}", path.display()))?;
        if text.len() as u64 > LONGEST {
            return Err(format!(
                "{}: it would have {} bytes, and at most {LONGEST} are read: {} has too many routes",
                path.display(),
                text.len(),
                saved.card
            ));
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&part).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        let written = Self::told(&part, written).and_then(|()| Self::told(&path, fs::rename(&part, &path)));
        if written.is_err() {
            // On a full disk it would take room that others need. What prevented it is told.
            let _ = fs::remove_file(&part);
        }
        written?;
        Self::told(&self.0, File::open(&self.0).and_then(|folder| folder.sync_all()))
    }

    /// Removes the file of a card that was given back.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, card: &str) -> Result<(), String> {
        let path = self.file(card);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => Self::told(&path, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::tests::saved;

    #[test]
    fn it_is_written_read_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path().join("lmd"));
        let lock = store.lock("eth0").expect("nobody has it");
        assert_eq!(store.read("eth0"), Ok(None));
        let saved = saved();
        store.write(&saved).expect("written");
        store.write(&saved).expect("written again");
        assert_eq!(store.read("eth0"), Ok(Some(saved.clone())));
        let text = fs::read_to_string(store.file("eth0")).expect("text");
        assert!(text.contains("10.1.2.0/24 metric 100"), "for people, too: {text}");
        fs::rename(store.file("eth0"), store.file("eth1")).expect("moved");
        store.read("eth1").expect_err("another's");
        drop(lock);
        store.remove("eth1").expect("removed");
        store.remove("eth1").expect("gone already");
    }

    #[test]
    fn it_names_the_cards_that_were_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Store::at(folder.path().join("none")).cards(), Ok(Vec::new()));
        let store = Store::at(folder.path());
        let _lock = store.lock("eth2").expect("nobody has it");
        for card in ["eth1", "eth0"] {
            store.write(&Saved { card: card.to_owned(), ..saved() }).expect("written");
        }
        assert_eq!(store.cards(), Ok(vec!["eth0".to_owned(), "eth1".to_owned()]));
        let why = Store::at(store.file("eth0")).cards().expect_err("no folder");
        assert!(why.contains("eth0.json"), "{why}");
    }

    #[test]
    fn what_is_too_long_to_be_read_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        let of = |len| Saved { overridden: Some("x".repeat(len)), ..saved() };
        let most = LONGEST as usize - serde_json::to_string_pretty(&of(0)).expect("text").len();
        store.write(&of(most)).expect("written");
        assert_eq!(store.read("eth0"), Ok(Some(of(most))));
        let why = store.write(&of(most + 1)).expect_err("too long");
        assert!(why.contains("4194305") && !why.contains('\n'), "{why}");
        assert_eq!(store.read("eth0"), Ok(Some(of(most))), "the old one is left");
    }

    #[test]
    fn nothing_is_left_of_what_cannot_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        fs::create_dir(store.file("eth0")).expect("a folder in its place");
        let why = store.write(&saved()).expect_err("it is a folder");
        assert!(why.contains("eth0.json") && !why.contains('\n'), "{why}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn one_has_it_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        let lock = store.lock("eth0").expect("nobody has it");
        let Err(Unlocked::Taken(why)) = store.lock("eth0") else { panic!("we have it") };
        assert!(why.contains(&std::process::id().to_string()) && why.contains("already"), "{why}");
        store.lock("eth1").expect("another card");
        drop(lock);
        store.lock("eth0").expect("nobody has it");
    }

    #[test]
    fn what_is_broken_is_told_in_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        let good = serde_json::to_string(&saved()).expect("text");
        for text in
            ["", "{}", "[1]", &good[..good.len() / 2], &good.replace("\"version\":1", "\"version\":2")]
        {
            fs::write(store.file("eth0"), text).expect("written");
            let why = store.read("eth0").expect_err(text);
            assert!(why.contains("eth0.json") && !why.contains('\n'), "{why}");
        }
    }
}
