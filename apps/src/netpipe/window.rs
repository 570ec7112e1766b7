//! [`Window`]: how many datagrams of a stream may be in flight, so that the receiver's ring takes them.
//!
//! The options make one for each size, and [`super::stream`] asks it before each datagram that it sends. It
//! opens by what the responder says has arrived, and never stays closed for longer than `--patience`.

/// How many datagrams of a stream are in flight, and may be.
pub(crate) struct Window {
    /// At most.
    most: u64,
    /// Datagrams that arrived, by the responder's last message, and datagrams that are given up.
    gone: u64,
    /// When that number last changed, in ticks.
    heard: u64,
}

impl Window {
    /// A window of as many datagrams as fit into so many frames, and of one at least.
    pub(crate) fn of(frames: u16, fragments: usize) -> Self {
        Self { most: (u64::from(frames) / fragments.max(1) as u64).max(1), gone: 0, heard: 0 }
    }

    /// Patience counts from now on.
    pub(super) fn begin(&mut self, now: u64) {
        self.heard = now;
    }

    /// The responder reports each time that so many more have arrived. Half a window is often enough: a
    /// sender with a full window hears of its first half.
    pub(super) fn every(&self) -> u64 {
        self.most.div_ceil(2)
    }

    /// Whether `sent` datagrams fill it.
    pub(super) fn is_full(&self, sent: u64) -> bool {
        sent.saturating_sub(self.gone) >= self.most
    }

    /// Takes the responder's message that `came` datagrams have arrived, or none. After `patience` ticks
    /// without progress, all that is in flight counts as lost.
    pub(super) fn hear(&mut self, came: Option<u64>, sent: u64, now: u64, patience: u64) {
        match came {
            Some(came) if came > self.gone => (self.gone, self.heard) = (came, now),
            _ if now.saturating_sub(self.heard) > patience => (self.gone, self.heard) = (sent, now),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_fits_into_the_ring() {
        for (frames, fragments, most) in [(512, 5, 102), (512, 45, 11), (32, 45, 1), (1, 1, 1), (0, 0, 1)] {
            assert_eq!(Window::of(frames, fragments).most, most, "{frames} {fragments}");
        }
    }

    #[test]
    fn a_window_opens_by_what_came_or_is_given_up() {
        let mut window = Window::of(4, 1);
        assert!(!window.is_full(3) && window.is_full(4));
        // A sender with a full window is told of something before it waits for ever.
        assert!(window.every() <= window.most);
        window.hear(None, 4, 10, 100);
        assert!(window.is_full(4), "nothing came");
        window.hear(Some(2), 4, 10, 100);
        assert!(!window.is_full(5) && window.is_full(6));
        window.hear(Some(1), 6, 20, 100);
        assert!(window.is_full(6), "a number that comes late opens nothing");
        window.hear(None, 6, 111, 100);
        assert!(!window.is_full(6), "given up");
        assert!(!window.is_full(9) && window.is_full(10));
    }
}
