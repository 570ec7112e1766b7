//! [`Rules`]: the filters of a card that steers by them, until live frames refute them.
//!
//! Drivers accept rules that their devices ignore. So after a rule is made, it is tested with live frames
//! ([`crate::probe`]). If one of these frames arrives on the ordinary queue, all rules are removed for good.

use std::fmt::Debug;

use rte::port::{FlowError, FlowRule, MacAddr, Port};

use crate::probe::Proofs;

/// What makes and removes rules: a port's driver, or a mock of it in tests.
pub(crate) trait Filters {
    /// A rule in force.
    type Rule: Debug;

    /// Makes a rule that leads frames for an address to a queue.
    fn lead(&mut self, mac: MacAddr, queue: u16) -> Result<Self::Rule, FlowError>;

    /// Removes a rule.
    fn take_out(&mut self, rule: Self::Rule) -> Result<(), FlowError>;
}

impl Filters for Port {
    type Rule = FlowRule;

    fn lead(&mut self, mac: MacAddr, queue: u16) -> Result<FlowRule, FlowError> {
        self.flow_by_prefix(&mac.0, queue)
    }

    fn take_out(&mut self, rule: FlowRule) -> Result<(), FlowError> {
        self.flow_destroy(rule)
    }
}

/// A rule for each landing address, once they are made.
#[derive(Debug)]
pub(crate) struct Rules<R> {
    made: Vec<R>,
    /// Whether frames were seen to go where they should not.
    retracted: bool,
}

impl<R> Rules<R> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { made: Vec::new(), retracted: false }
    }

    /// Makes the rules that are not made yet, unless they were refuted. The first address leads to the queue
    /// `first`, the others to the queues after it. (Drivers repeat rules at later starts themselves.)
    pub(crate) fn make(
        &mut self,
        macs: &[MacAddr],
        first: u16,
        driver: &mut impl Filters<Rule = R>,
    ) -> Result<(), FlowError> {
        if self.retracted {
            return Ok(());
        }
        for (queue, &mac) in (first..).zip(macs).skip(self.made.len()) {
            self.made.push(driver.lead(mac, queue)?);
        }
        Ok(())
    }

    /// Removes all rules if live frames have refuted one. Returns whether there are rules that may still be
    /// refuted.
    pub(crate) fn look(&mut self, proofs: &Proofs, driver: &mut impl Filters<Rule = R>) -> bool {
        if proofs.are_refuted() && !self.made.is_empty() {
            self.retracted = true;
            for rule in self.made.drain(..) {
                if let Err(e) = driver.take_out(rule) {
                    log::warn!("{e}");
                }
            }
        }
        !self.made.is_empty()
    }

    /// Notes that the card was reset, so that it has no rules any more.
    pub(crate) fn went(&mut self) {
        self.made.clear();
    }

    /// Whether they were refuted.
    pub(crate) fn are_retracted(&self) -> bool {
        self.retracted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use rte::Errno;
    use rte::port::PortId;

    use super::*;
    use crate::probe::Probing;
    use crate::probe::Proof;

    const MACS: [MacAddr; 3] =
        [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 3])];

    /// A driver that takes rules, and its card, which does what they say for so many of them. Rules are
    /// numbered.
    struct Card {
        rules: Vec<(u32, MacAddr, u16)>,
        made: u32,
        honoured: usize,
        room: usize,
    }

    impl Card {
        fn new(honoured: usize) -> Self {
            Self { rules: Vec::new(), made: 0, honoured, room: 8 }
        }

        /// The queue that a frame for this address comes to.
        fn receive(&self, to: MacAddr) -> u16 {
            let rules = &self.rules[..self.honoured.min(self.rules.len())];
            rules.iter().find(|(_, mac, _)| *mac == to).map_or(0, |&(_, _, queue)| queue)
        }

        /// Answers to what was asked, each seen where it comes to.
        fn answer(&self, asked: &[MacAddr], proofs: &Proofs) {
            for &mac in asked {
                match self.receive(mac) {
                    0 => drop(proofs.strayed(&mac.0)),
                    queue => proofs.landed(usize::from(queue) - 1),
                }
            }
        }
    }

    fn refusal(queue: u16) -> FlowError {
        let errno = Errno::of_return(-libc::ENOSPC);
        FlowError { port: PortId(0), queue, errno, told: "no room".to_owned() }
    }

    impl Filters for Card {
        type Rule = u32;

        fn lead(&mut self, mac: MacAddr, queue: u16) -> Result<u32, FlowError> {
            if self.rules.len() == self.room {
                return Err(refusal(queue));
            }
            self.made += 1;
            self.rules.push((self.made, mac, queue));
            Ok(self.made)
        }

        fn take_out(&mut self, rule: u32) -> Result<(), FlowError> {
            let at = self.rules.iter().position(|&(number, ..)| number == rule).ok_or_else(|| refusal(0))?;
            self.rules.remove(at);
            Ok(())
        }
    }

    /// Asks for frames once, and lets them come.
    fn probe(card: &Card, proofs: &Arc<Proofs>) {
        let now = Instant::now();
        let mut asked = Vec::new();
        Probing::new(Arc::clone(proofs), now).due(now + Duration::from_secs(1), |mac| asked.push(mac));
        assert_eq!(asked, MACS);
        card.answer(&asked, proofs);
    }

    #[test]
    fn rules_that_steer_stay() {
        let (mut card, mut rules, proofs) = (Card::new(8), Rules::new(), Arc::new(Proofs::new(&MACS)));
        rules.make(&MACS, 1, &mut card).expect("room");
        assert!(rules.look(&proofs, &mut card), "nothing is known yet");
        probe(&card, &proofs);
        assert!(proofs.all().all(|(_, proof)| proof == Proof::Steered));
        assert!(rules.look(&proofs, &mut card) && !rules.are_retracted());
        assert_eq!(card.rules.iter().map(|&(_, _, queue)| queue).collect::<Vec<_>>(), [1, 2, 3]);
        rules.make(&MACS, 1, &mut card).expect("nothing to do");
        assert_eq!(card.made, 3, "a later start makes none again");
    }

    #[test]
    fn rules_that_do_nothing_are_taken_out_for_good() {
        // The second one of three is the first that the card ignores.
        for honoured in [0, 1] {
            let (mut card, mut rules) = (Card::new(honoured), Rules::new());
            let proofs = Arc::new(Proofs::new(&MACS));
            rules.make(&MACS, 1, &mut card).expect("room");
            probe(&card, &proofs);
            assert!(proofs.are_refuted());
            assert!(!rules.look(&proofs, &mut card), "none is left");
            assert!(card.rules.is_empty() && rules.are_retracted());
            rules.make(&MACS, 1, &mut card).expect("nothing to do");
            assert!(card.rules.is_empty() && card.made == 3, "nor is one made at the next start");
            assert!(!rules.look(&proofs, &mut card));
        }
    }

    #[test]
    fn a_rule_that_worked_once_is_watched() {
        let (mut card, mut rules, proofs) = (Card::new(8), Rules::new(), Arc::new(Proofs::new(&MACS)));
        rules.make(&MACS, 1, &mut card).expect("room");
        probe(&card, &proofs);
        card.honoured = 0;
        card.answer(&MACS[2..], &proofs);
        assert!(!rules.look(&proofs, &mut card) && card.rules.is_empty());
    }

    #[test]
    fn rules_that_went_with_a_reset_are_made_again_unless_they_were_refuted() {
        for (honoured, again) in [(8, 3), (0, 0)] {
            let (mut card, mut rules) = (Card::new(honoured), Rules::new());
            let proofs = Arc::new(Proofs::new(&MACS));
            rules.make(&MACS, 1, &mut card).expect("room");
            probe(&card, &proofs);
            rules.look(&proofs, &mut card);
            card.rules.clear();
            rules.went();
            rules.make(&MACS, 1, &mut card).expect("room");
            assert_eq!(card.rules.len(), again);
        }
    }

    #[test]
    fn what_a_driver_refuses_is_an_error_and_is_asked_for_again_at_the_next_start() {
        let (mut card, mut rules) = (Card { room: 2, ..Card::new(8) }, Rules::new());
        assert_eq!(rules.make(&MACS, 1, &mut card), Err(refusal(3)));
        card.room = 8;
        rules.make(&MACS, 1, &mut card).expect("room");
        assert_eq!(card.rules.iter().map(|&(_, mac, _)| mac).collect::<Vec<_>>(), MACS);
    }

    #[test]
    fn a_driver_that_keeps_a_refuted_rule_is_not_asked_twice() {
        let (mut card, mut rules, proofs) = (Card::new(0), Rules::new(), Arc::new(Proofs::new(&MACS)));
        rules.make(&MACS, 1, &mut card).expect("room");
        card.rules.clear();
        probe(&card, &proofs);
        assert!(!rules.look(&proofs, &mut card) && rules.are_retracted());
    }
}
