//! [`Limits`]: when the forwarding loop ends by itself, and what it does while it is idle.

use std::time::Duration;

use lm_node::receive_mode::Idler;

/// [`Limits::patience`], if the user does not say.
pub(crate) const PATIENCE: u32 = 256;
/// How much longer than idle links may be that have not come up: a cable is slow, and a peer may be late.
const LATE: Duration = Duration::from_secs(5);

/// When the loop ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nothing was received or sent for so long.
    pub(crate) idle: Option<Duration>,
    /// When the loop may sleep meanwhile.
    pub(crate) idler: Idler,
    /// Idle turns after which others may have the CPU between two turns: the loop's, and admission control's
    /// if that has an lcore of its own.
    pub(crate) patience: u32,
}

impl Limits {
    /// Whether the loop ends that has done nothing for this time.
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
