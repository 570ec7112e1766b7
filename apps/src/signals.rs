//! SIGINT and SIGTERM: the first one ends the program in order, a second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::console;

/// A signal has come.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether a signal has come: what waits for others need not wait any more.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// A second signal within this time is the first one's double: `timeout` signals a process and then its group.
const DOUBLE: Duration = Duration::from_millis(10);

/// Calls `first` at the first signal. After it, the next ends the process at once, with 128 and its number.
pub(crate) fn watch(first_one: impl Fn() + Send + 'static) -> io::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In the handler itself, so that nothing that hangs can be in the way.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("lm-signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in &mut signals {
            console::restore_terminal();
            match first {
                None => {
                    first = Some(Instant::now());
                    ENDING.store(true, Ordering::Relaxed);
                    first_one();
                    thread::sleep(DOUBLE);
                    armed.store(true, Ordering::Relaxed);
                }
                Some(then) if then.elapsed() > 2 * DOUBLE => low_level::exit(128 + signal),
                Some(_) => {}
            }
        }
    })?;
    Ok(())
}

/// What the prompt does when the terminal, in raw mode, gives it Ctrl-C as a character.
pub(crate) fn interrupt() {
    let _ = low_level::raise(SIGINT);
}
