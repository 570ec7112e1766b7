//! [`Writer`]: a file that a thread of its own writes. Threads that push lines never wait for a disk, a FIFO
//! or a pipe.
//!
//! Lines that wait are bounded in number. A line for which there is no room is lost and counted.
//! [`Writer::finish`] tells whether every line is written: a file that is not complete is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// Bytes that are handed over at once.
const BATCH: usize = 1 << 16;
/// Batches that may wait: 32 MB.
const WAITING: usize = 512;
/// How long the end waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// What the thread has done so far.
#[derive(Debug, Default)]
struct Progress {
    /// Writes that are done.
    writes: AtomicU64,
    /// Whole lines that were written.
    lines: AtomicU64,
    /// Why it takes no more.
    error: Mutex<Option<io::Error>>,
}

/// A file that a thread writes.
pub(crate) struct Writer {
    path: PathBuf,
    queue: SyncSender<Vec<u8>>,
    /// What is to be handed over next.
    batch: Vec<u8>,
    /// Lines so far, with those for which there was no room.
    pushed: u64,
    progress: Arc<Progress>,
    /// Closed by the thread when all is done.
    done: Receiver<()>,
}

impl Writer {
    /// Creates the file, or empties it. A FIFO needs its reader by now.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let cannot = |e: io::Error| {
            let why = if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
                "nobody reads this FIFO; start its reader first".to_owned()
            } else {
                format!("{e}; choose another file")
            };
            format!("{} cannot be written: {why}", path.display())
        };
        let mut options = OpenOptions::new();
        // Else the open itself waits for a FIFO's reader.
        options.write(true).create(true).truncate(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(path).map_err(cannot)?;
        let flags = fcntl_getfl(&file).map_err(|e| cannot(e.into()))?;
        fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(|e| cannot(e.into()))?;
        let (queue, batches) = sync_channel(WAITING);
        let (ended, done) = channel();
        let progress = Arc::<Progress>::default();
        let theirs = Arc::clone(&progress);
        let name = path.display().to_string();
        let write = move || {
            write_all(file, &batches, &theirs, &name);
            drop(ended);
        };
        thread::Builder::new().name("lm-writer".into()).spawn(write).map_err(cannot)?;
        Ok(Self { path: path.to_owned(), queue, batch: Vec::new(), pushed: 0, progress, done })
    }

    /// A line, or several. Never waits.
    pub(crate) fn push(&mut self, lines: &[u8]) {
        self.pushed += newlines(lines);
        if self.batch.len() < BATCH || self.hand_over() {
            self.batch.extend_from_slice(lines);
        }
    }

    /// Lets others read what was pushed so far. Never waits.
    pub(crate) fn flush(&mut self) {
        self.hand_over();
    }

    /// Whether the thread has it now, or there was nothing.
    fn hand_over(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        match self.queue.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => true,
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.batch = batch;
                false
            }
        }
    }

    /// Writes what waits. An error of one line: the reader takes nothing, or lines were lost before.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        let mut watch = Watch { progress: Arc::clone(&self.progress), seen: 0, since: Instant::now() };
        while !self.hand_over() && !watch.is_stuck() {
            thread::sleep(LOOK);
        }
        let Self { path, queue, pushed, progress, done, .. } = self;
        // The thread ends when nobody can send it any more.
        drop(queue);
        let mut stuck = false;
        while !stuck && done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            stuck = watch.is_stuck();
        }
        let path = path.display();
        let missing = pushed.saturating_sub(progress.lines.load(Ordering::Relaxed));
        let error = progress.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        match error {
            Some(e) => Err(format!(
                "{path} is not complete: {e}; {missing} of {pushed} lines are missing: make room and \
                 start again"
            )),
            None if stuck => Err(format!(
                "{path} is not complete: its reader has taken nothing for {} s; {missing} of {pushed} \
                 lines are missing",
                PATIENCE.as_secs()
            )),
            None if missing > 0 => Err(format!(
                "{path} is not complete: {missing} of {pushed} lines are missing, as it was not written \
                 as fast as they came"
            )),
            None => Ok(()),
        }
    }
}

/// Watches whether the thread makes progress.
struct Watch {
    progress: Arc<Progress>,
    seen: u64,
    since: Instant,
}

impl Watch {
    /// Nothing was taken for a long time.
    fn is_stuck(&mut self) -> bool {
        let now = self.progress.writes.load(Ordering::Relaxed);
        if now != self.seen {
            (self.seen, self.since) = (now, Instant::now());
        }
        self.since.elapsed() > PATIENCE
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// The thread: writes until nobody can send any more. After an error nothing more is written.
fn write_all(mut file: File, batches: &Receiver<Vec<u8>>, progress: &Progress, name: &str) {
    let mut broken = false;
    for batch in batches {
        let mut rest = &batch[..];
        while !broken && !rest.is_empty() {
            match file.write(rest) {
                Ok(n) if n > 0 => {
                    progress.lines.fetch_add(newlines(&rest[..n]), Ordering::Relaxed);
                    rest = &rest[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    broken = true;
                    let e = other.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    log::error!("{name} ends here: {e}");
                    *progress.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                }
            }
            progress.writes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lm-writer-{}-{name}", std::process::id()))
    }

    fn fifo(name: &str) -> PathBuf {
        let path = place(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        path
    }

    #[test]
    fn every_line_arrives_in_order() {
        let path = place("lines");
        let mut writer = Writer::create(&path).expect("a file");
        let mut want = String::new();
        for i in 0..50_000 {
            let line = format!("line {i}\n");
            writer.push(line.as_bytes());
            want += &line;
        }
        writer.finish().expect("complete");
        let got = std::fs::read_to_string(&path).expect("the file");
        std::fs::remove_file(&path).expect("ours");
        assert!(got == want, "{} bytes of {}", got.len(), want.len());
    }

    #[test]
    fn a_full_disk_is_an_error_with_a_count() {
        let mut writer = Writer::create(Path::new("/dev/full")).expect("it can be opened");
        writer.push(b"one\n");
        writer.flush();
        writer.push(b"two\n");
        let why = writer.finish().expect_err("no room");
        assert!(why.contains("/dev/full") && why.contains("2 of 2 lines") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn a_fifo_needs_its_reader() {
        let path = fifo("alone");
        let why = Writer::create(&path).err().expect("nobody reads");
        std::fs::remove_file(&path).expect("ours");
        assert!(why.contains("start its reader first"), "{why}");
    }

    #[test]
    fn a_reader_that_reads_nothing_holds_nobody_up() {
        let path = fifo("slow");
        let options = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&path);
        let mut reader = options.expect("a reader");
        let mut writer = Writer::create(&path).expect("it is read");
        // Longer than a pipe takes.
        let line = [&vec![b'x'; 1 << 17][..], b"\n"].concat();
        let began = Instant::now();
        let pushed = WAITING + 8;
        for _ in 0..pushed {
            writer.push(&line);
        }
        assert!(began.elapsed() < PATIENCE, "it waited");
        let why = writer.finish().expect_err("nobody reads");
        assert!(
            why.contains("taken nothing") && why.contains(&format!("{pushed} of {pushed} lines")),
            "{why}"
        );
        let mut some = [0; 16];
        assert_eq!(reader.read(&mut some).expect("what was written"), 16);
        std::fs::remove_file(&path).expect("ours");
    }
}
