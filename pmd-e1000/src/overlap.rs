//! [`OverlapPolicy`]: whether datagrams may land in overlapping slots on a port, and why.
//!
//! Overlap is safe if the device writes to the posted buffers, if its writes reach memory in order, if no
//! erratum forbids it, and if the longest frame that it accepts ends within its slot. (The bytes of a frame
//! beyond its stride overwrite the datagram above.) The first three conditions depend on the device, and the
//! last one on the MTU.

use std::fmt;

use rte::port::PortInfo;

use crate::cards::{Card, Erratum, find};
use crate::device::{Refused, traits_of};
use crate::order::{Doubt, OrderGuard, Proof};
use crate::pci::{Function, Ids};
use lm_landing::device::{Allowed, Traits};
use lm_proto::frame::FRONT;
use lm_proto::layout::stride;
use lm_proto::wire::HEADERS;

/// The properties of a port's device, and the layouts of slots that they allow.
#[derive(Clone, Debug)]
pub struct OverlapPolicy {
    traits: Traits,
    ids: Option<Ids>,
    card: Option<&'static Card>,
    guard: Option<OrderGuard>,
    mtu: u16,
}

/// The decision of the policy.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What may be done with the device.
    pub traits: Traits,
    /// Whether its slots may overlap, and why.
    pub why: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may = if self.traits.allowed == Allowed::Both { "allowed" } else { "not allowed" };
        write!(f, "overlapping slots are {may}: {}", self.why)
    }
}

/// Whether the longest frame that the card accepts at this MTU ends within its slot.
pub fn fits(longest: usize, mtu: u16) -> bool {
    longest.saturating_sub(HEADERS) <= usize::from(stride(mtu)) + FRONT
}

/// Why a defect forbids overlap, whatever the user assumes of the card.
const fn forbids(erratum: Erratum) -> Option<&'static str> {
    match erratum {
        Erratum::No64KCrossing => {
            Some("no write of this card may cross 64 KiB, which overlapping slots do (erratum 23)")
        }
        Erratum::Unproven => Some("nobody has seen datagrams land whole on this card yet"),
        Erratum::HeldReports => None,
    }
}

impl OverlapPolicy {
    /// The policy of a port with these device arguments and this MTU. `assume`: see [`OrderGuard::new`].
    ///
    /// # Errors
    /// [`Refused`]: nothing can land on the device.
    pub fn of(info: &PortInfo, args: &str, mtu: u16, assume: bool) -> Result<Self, Refused> {
        let traits = traits_of(&info.driver, args)?;
        let function = Some(Function::of(&info.device)).filter(|_| info.bus == "pci");
        let ids = function.as_ref().and_then(|f| f.ids().ok());
        let card = ids.and_then(|ids| find(ids.vendor, ids.device)).filter(|c| c.driver == info.driver);
        Ok(Self::new(traits, card, function, ids, mtu, assume))
    }

    fn new(
        traits: Traits,
        card: Option<&'static Card>,
        function: Option<Function>,
        ids: Option<Ids>,
        mtu: u16,
        assume: bool,
    ) -> Self {
        let guard = function.zip(card).map(|(function, card)| OrderGuard::new(function, card, assume));
        let traits = match card {
            Some(card) => Traits {
                declared_room: card.declared(mtu),
                reach: card.reach(mtu),
                boundary: if card.has(Erratum::No64KCrossing) { 64 << 10 } else { 0 },
                ..traits
            },
            None => traits,
        };
        Self { traits, ids, card, guard, mtu }
    }

    /// The card, if the table has it.
    pub fn card(&self) -> Option<&'static Card> {
        self.card
    }

    /// What the device was recognised as, for logs.
    pub fn recognised(&self) -> String {
        match (self.card, self.ids) {
            (Some(card), Some(ids)) => format!("{} ({ids}), {}", card.name, card.source),
            (_, Some(ids)) => format!("unknown card ({ids})"),
            _ if self.traits.dma => "unknown card (no ids in sysfs)".to_owned(),
            _ => "not a card".to_owned(),
        }
    }

    /// Decides before the port is started, and switches relaxed ordering off where it can.
    pub fn settle(&mut self) -> Verdict {
        self.verdict(OrderGuard::settle)
    }

    /// Decides again after the port was started. Nothing is changed.
    pub fn verify(&mut self) -> Verdict {
        self.verdict(|guard| guard.verify())
    }

    fn verdict(&mut self, ask: impl Fn(&mut OrderGuard) -> Result<Proof, Doubt>) -> Verdict {
        if !self.traits.dma {
            let (allowed, why) = match self.traits.allowed {
                Allowed::Both => {
                    (Allowed::Both, "the driver writes each frame to the buffer that was posted")
                }
                Allowed::SeparateOnly(why) => (self.traits.allowed, why),
            };
            return Verdict { traits: Traits { allowed, ..self.traits }, why: why.to_owned() };
        }
        let (allowed, why) = match self.check_card(ask) {
            Ok(why) => (Allowed::Both, why),
            Err((short, why)) => (Allowed::SeparateOnly(short), why),
        };
        Verdict { traits: Traits { allowed, ..self.traits }, why }
    }

    fn check_card(
        &mut self,
        ask: impl Fn(&mut OrderGuard) -> Result<Proof, Doubt>,
    ) -> Result<String, (&'static str, String)> {
        let recognised = self.recognised();
        let (Some(card), Some(guard)) = (self.card, &mut self.guard) else {
            let short = "the card is not in the table";
            return Err((short, format!("{short}: {recognised}")));
        };
        if let Some((erratum, short)) = card.errata.iter().find_map(|e| Some((e, forbids(*e)?))) {
            return Err((short, format!("{}: {erratum}", card.name)));
        }
        let longest = card.longest(self.mtu);
        if !fits(longest, self.mtu) {
            let short = "at this MTU the card accepts frames that are longer than a slot";
            let slot = usize::from(stride(self.mtu)) + HEADERS;
            let better = (1500..=self.mtu.max(1500)).rev().find(|&mtu| fits(card.longest(mtu), mtu));
            let why = format!(
                "at MTU {} frames of {longest} bytes are let in, and a slot has {slot}; use MTU {}",
                self.mtu,
                better.unwrap_or(1500)
            );
            return Err((short, why));
        }
        match ask(guard) {
            Ok(proof) => Ok(format!("relaxed ordering: {proof}; no frame is longer than {longest} bytes")),
            Err(doubt) => Err((
                "relaxed ordering of its writes cannot be proven to be off",
                format!("relaxed ordering is not proven to be off: {doubt}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn policy(id: u16, mtu: u16, assume: bool) -> OverlapPolicy {
        let card = find(0x8086, id);
        let driver = card.map_or("net_e1000_igb", |c| c.driver);
        let traits = traits_of(driver, "").expect("known");
        let ids = Ids { vendor: 0x8086, device: id, revision: 1 };
        // No such function: nothing can be proven of it.
        let function = Function::under(Path::new("/nonexistent"), "0000:01:00.0");
        OverlapPolicy::new(traits, card, Some(function), Some(ids), mtu, assume)
    }

    #[test]
    fn without_proof_of_order_slots_are_separate_and_the_reason_is_told() {
        let verdict = policy(0x10c9, 1500, false).settle();
        assert!(matches!(verdict.traits.allowed, Allowed::SeparateOnly(_)));
        assert!(verdict.why.contains("0000:01:00.0") && verdict.why.contains("relaxed ordering"));
        let verdict = policy(0x10c9, 1500, true).settle();
        assert_eq!(verdict.traits.allowed, Allowed::Both);
        assert!(verdict.why.contains("on your word"), "{}", verdict.why);
    }

    #[test]
    fn erratum_23_forbids_overlap_whatever_is_assumed() {
        for id in [0x100f, 0x1011, 0x1010, 0x1012, 0x101d] {
            let verdict = policy(id, 1500, true).settle();
            assert!(
                matches!(verdict.traits.allowed, Allowed::SeparateOnly(why) if why.contains("erratum 23"))
            );
            assert_eq!(verdict.traits.boundary, 64 << 10);
        }
        assert_eq!(policy(0x10c9, 1500, true).settle().traits.boundary, 0);
    }

    #[test]
    fn a_card_that_nobody_has_seen_is_separate_whatever_is_assumed() {
        // I225, I226, 82541EI, 82567 and 82579V.
        for id in [0x15f3, 0x125c, 0x1013, 0x10bf, 0x1503] {
            let verdict = policy(id, 1500, true).settle();
            assert!(matches!(verdict.traits.allowed, Allowed::SeparateOnly(_)), "{id:#x}");
            assert!(verdict.why.contains("nobody has seen"), "{verdict}");
            assert_eq!(verdict.traits.boundary, 0);
        }
    }

    #[test]
    fn a_newer_i219_is_judged_as_an_older_one() {
        for id in [0x15b8, 0x15fb, 0x0dc7, 0x57b3] {
            let allowed = |assume| policy(id, 1500, assume).settle().traits.allowed;
            assert!(matches!(allowed(false), Allowed::SeparateOnly(_)), "{id:#x}");
            assert_eq!(allowed(true), Allowed::Both, "{id:#x}");
        }
    }

    #[test]
    fn overlap_needs_a_length_filter_that_ends_frames_within_their_slots() {
        let allowed = |id, mtu| policy(id, mtu, true).settle().traits.allowed == Allowed::Both;
        // 1518 bytes are let in below MTU 1500 too; without a register, any length is above.
        for (id, mtu, expected) in [
            (0x100e, 1500, true),
            (0x100e, 1492, false),
            (0x100e, 1501, false),
            (0x100e, 9000, false),
            (0x10c9, 1500, true),
            (0x10c9, 1492, false),
            (0x10c9, 4004, true),
            (0x10c9, 9000, true),
            (0x10c9, 9001, false),
            (0x10ca, 1500, true),
            (0x10ca, 9004, true),
            (0x10ca, 9000, false),
        ] {
            assert_eq!(allowed(id, mtu), expected, "{id:#x} at {mtu}");
        }
        let told = |id, mtu| policy(id, mtu, true).settle().why;
        assert!(told(0x100e, 9000).ends_with("use MTU 1500"));
        assert!(told(0x10ca, 9000).ends_with("use MTU 8996"));
    }

    #[test]
    fn a_card_that_is_not_in_the_table_is_separate() {
        let verdict = policy(0x1572, 1500, true).settle();
        assert!(verdict.why.contains("8086:1572"), "{}", verdict.why);
        assert!(matches!(verdict.traits.allowed, Allowed::SeparateOnly(_)));
    }
}
