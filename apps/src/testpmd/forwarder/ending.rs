//! [`Ending`]: tells the control thread that a forwarding loop has ended, in order or by a panic.
//!
//! [`super::Forwarder::start`] moves it into the loop's thread, where it is dropped when the loop ends. The
//! number of the run distinguishes this loop from an earlier one.

use std::sync::mpsc::Sender;

use crate::testpmd::event::Event;

/// Sends [`Event::Finished`] when it is dropped: the loop that has it has ended, in order or by a panic.
pub(crate) struct Ending {
    events: Sender<Event>,
    run: u64,
}

impl Ending {
    /// For the loop of this number.
    pub(crate) fn new(events: Sender<Event>, run: u64) -> Self {
        Self { events, run }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // A control thread that is gone need not know.
        let _ = self.events.send(Event::Finished(self.run));
    }
}
