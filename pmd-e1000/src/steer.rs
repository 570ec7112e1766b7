//! [`Steering`]: directs frames for each landing address to a landing queue of its own.
//!
//! All fragments of a datagram carry the destination MAC address, so frames are steered by it. The 82576 has
//! VMDq pools: pool N gets the frames for its addresses, and its queue is queue N. All other frames go to
//! pool 0, the ordinary queue. Broadcasts could be copied to all pools or to none. LM chooses none, so no
//! node can ask such a port for its address by ARP. A virtual function needs no setup: it is a queue with an
//! address of its own.
//!
//! 82580, I350 and I210 have filters on the first bytes of a frame instead. All other frames go to queue 0,
//! including broadcasts.
//!
//! Whether a card really steers is tested by live frames: [`crate::probe`] collects where they arrived. A
//! filter that does not work is removed.

use std::{error, fmt};

use dpdk_sys::RTE_ETH_VMDQ_ACCEPT_UNTAG;
use rte::port::{FlowRule, MacAddr, MqMode, Port, PortInfo, StartError};

use crate::cards;
use crate::cards::Card;
use crate::probe::Proofs;
use crate::rules::Rules;

/// Where frames of each landing address go.
#[derive(Debug)]
pub struct Steering {
    macs: Vec<MacAddr>,
    way: Way,
}

/// How frames are led to their queues.
#[derive(Debug)]
enum Way {
    /// Pools, this many, each with addresses of its own.
    Pools(u8),
    /// A rule for each address.
    Rules(Rules<FlowRule>),
}

/// The number of filters that a card has.
const FILTERS: u16 = 8;

impl Steering {
    /// Plans a landing queue for each of these addresses on this card.
    ///
    /// # Errors
    /// [`SteerError`]: the card cannot steer, or not to so many queues, or an address is not usable.
    pub fn plan(
        card: Option<&Card>,
        info: &PortInfo,
        mtu: u16,
        macs: &[MacAddr],
    ) -> Result<Self, SteerError> {
        let Some(card) = card else { return Err(SteerError::Unknown(info.driver.clone())) };
        let (way, most) = match card.steering {
            // Pool 0 is the ordinary queue.
            cards::Steering::Pools(pools) => (Way::Pools(pools), u16::from(pools) - 1),
            cards::Steering::Filter => (Way::Rules(Rules::new()), FILTERS),
            cards::Steering::None => return Err(SteerError::OneQueue(card.name)),
        };
        let most = most.min(info.max_rx_queues.saturating_sub(1));
        if macs.len() > usize::from(most) {
            return Err(SteerError::TooMany { asked: macs.len(), most });
        }
        if mtu > 1500 && matches!(way, Way::Pools(_)) {
            return Err(SteerError::Mtu(mtu));
        }
        for (i, &mac) in macs.iter().enumerate() {
            if mac.0[0] & 1 != 0 || mac.0 == [0; 6] {
                return Err(SteerError::NotUnicast(mac));
            }
            if mac == info.mac || macs[..i].contains(&mac) {
                return Err(SteerError::Taken(mac));
            }
        }
        Ok(Self { macs: macs.to_vec(), way })
    }

    /// The addresses, that of the first landing queue first.
    pub fn macs(&self) -> &[MacAddr] {
        &self.macs
    }

    /// The number of the first landing queue.
    pub fn first_queue(&self) -> u16 {
        1
    }

    pub(crate) fn mq_mode(&self) -> MqMode {
        match self.way {
            Way::Pools(pools) => MqMode::VmdqByMac { pools, accept: RTE_ETH_VMDQ_ACCEPT_UNTAG },
            Way::Rules(_) => MqMode::None,
        }
    }

    /// Tells a started port of the addresses. (At later starts drivers set the addresses again themselves.
    /// They accept an address that they have already.)
    pub(crate) fn apply(&mut self, port: &mut Port) -> Result<(), StartError> {
        let first = self.first_queue();
        for (queue, &mac) in (first..).zip(&self.macs) {
            let pool = if matches!(self.way, Way::Pools(_)) { u32::from(queue) } else { 0 };
            port.mac_addr_add(mac, pool).map_err(|e| {
                log::error!("{e}");
                StartError::Refused(e.port, e.errno)
            })?;
        }
        let Way::Rules(rules) = &mut self.way else { return Ok(()) };
        rules.make(&self.macs, first, port).map_err(|e| {
            log::error!("{e}");
            StartError::Refused(e.port, e.errno)
        })
    }

    /// Notes that the port was reset, so that it has no rules any more.
    pub(crate) fn was_reset(&mut self) {
        if let Way::Rules(rules) = &mut self.way {
            rules.went();
        }
    }

    /// Takes rules out for good if live frames have refuted them. Pools stay, because they do no harm.
    /// Returns whether there are rules that may still be refuted.
    pub(crate) fn look(&mut self, proofs: &Proofs, port: &mut Port) -> bool {
        let Way::Rules(rules) = &mut self.way else { return false };
        let before = rules.are_retracted();
        let left = rules.look(proofs, port);
        if rules.are_retracted() && !before {
            log::warn!(
                "port {}: its card does not steer by the filters that were set, so they are taken out",
                port.id()
            );
        }
        left
    }
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("queue 0 ordinary")?;
        for (i, mac) in self.macs.iter().enumerate() {
            write!(f, ", queue {} lands {mac}", usize::from(self.first_queue()) + i)?;
        }
        Ok(())
    }
}

/// Why frames cannot be steered as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SteerError {
    /// The device, which has this driver, is not in the table of cards.
    Unknown(String),
    /// This card has one receive queue, or its driver offers no way to steer.
    OneQueue(&'static str),
    /// There are more addresses than the card has queues for.
    TooMany {
        /// How many addresses were given.
        asked: usize,
        /// How many landing queues there can be.
        most: u16,
    },
    /// The MTU is above 1500, and the card's pools drop frames longer than 1522 bytes.
    Mtu(u16),
    /// The address is a group's, or all zeros.
    NotUnicast(MacAddr),
    /// The address is the port's own, or was given twice.
    Taken(MacAddr),
}

impl fmt::Display for SteerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(driver) => {
                write!(
                    f,
                    "LM does not know how to steer on its device ({driver}): leave the landing addresses \
                     out, or use a card that steers, such as the 82576"
                )
            }
            Self::OneQueue(name) => {
                write!(
                    f,
                    "LM cannot steer on an {name}: leave the landing addresses out; all frames then go to \
                     one landing queue"
                )
            }
            Self::TooMany { asked, most } => {
                write!(f, "{asked} landing addresses are too many for its card: give at most {most}")
            }
            Self::Mtu(mtu) => {
                write!(f, "its card drops frames of MTU {mtu} when it steers: use an MTU of 1500 or less")
            }
            Self::NotUnicast(mac) => {
                write!(f, "the landing address {mac} is a group's or empty: give a unicast address")
            }
            Self::Taken(mac) => {
                write!(f, "the landing address {mac} is the port's own, or was given twice: give another")
            }
        }
    }
}

impl error::Error for SteerError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    #[test]
    fn the_plan_is_told_queue_by_queue() {
        let steering = Steering { macs: vec![mac(1), mac(2)], way: Way::Pools(8) };
        assert_eq!(
            steering.to_string(),
            "queue 0 ordinary, queue 1 lands 02:00:00:00:00:01, queue 2 lands 02:00:00:00:00:02"
        );
    }
}
