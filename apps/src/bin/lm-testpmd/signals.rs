//! SIGINT and SIGTERM: the first one ends the program in order, a second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::console;
use crate::control::Event;

/// Turns signals into events. After the first one, the next ends the process at once, with 128 and its number.
pub(crate) fn watch(events: Sender<Event>) -> io::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("lm-signals".into()).spawn(move || {
        for _ in &mut signals {
            console::restore_terminal();
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// What the prompt does when the terminal, in raw mode, gives it Ctrl-C as a character.
pub(crate) fn interrupt() {
    let _ = signal_hook::low_level::raise(SIGINT);
}
