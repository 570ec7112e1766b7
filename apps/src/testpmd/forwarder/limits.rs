//! [`Limits`]: when the forwarding loop ends by itself, and what it does while it is idle.
//!
//! The session fills them in from `--stop-after-idle`, `--rx-mode` and `--yield-after`. [`super::run`] asks
//! them between two turns.

use std::time::Duration;

use lm_node::receive_mode::Idler;

/// The default of [`Limits::patience`].
pub(crate) const PATIENCE: u32 = 256;
/// How much longer the loop waits while no link has come up: negotiation takes time, and a peer may start
/// late.
const LATE: Duration = Duration::from_secs(5);

/// When the loop ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The loop ends when nothing was received or sent for this time; `None`: it does not.
    pub(crate) idle: Option<Duration>,
    /// Whether and when the loop may sleep while it is idle.
    pub(crate) idler: Idler,
    /// Idle turns in a row after which the thread yields its CPU between two turns. It also holds for the
    /// thread of admission control, if that has an lcore of its own.
    pub(crate) patience: u32,
}

impl Limits {
    /// Whether a loop that has done nothing for `time` ends; `up`: a link has come up.
    pub(super) fn is_idle(&self, time: Duration, up: bool) -> bool {
        let late = if up { Duration::ZERO } else { LATE };
        self.idle.is_some_and(|limit| time >= limit.saturating_add(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_node::receive_mode::RxMode;

    #[test]
    fn a_link_that_never_came_up_is_no_reason_to_stay() {
        let ms = Duration::from_millis;
        let idler = Idler::new(RxMode::Poll, ms(1));
        let limits = |idle| Limits { idle, idler, patience: u32::MAX };
        assert!(
            limits(Some(ms(300))).is_idle(ms(300), true) && !limits(Some(ms(300))).is_idle(ms(299), true)
        );
        assert!(
            !limits(Some(ms(300))).is_idle(ms(5299), false) && limits(Some(ms(300))).is_idle(ms(5300), false)
        );
        assert!(!limits(None).is_idle(Duration::MAX, false));
        assert!(!limits(Some(Duration::MAX)).is_idle(ms(1), false));
    }
}
