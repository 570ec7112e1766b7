//! [`Steering`]: frames for an address of its own go to a landing queue of its own.
//!
//! What all fragments of a datagram carry is their destination address, so that is what they are steered by. The
//! 82576 has pools: each takes the frames for its addresses, pool N is queue N, and what no pool claims goes to pool 0,
//! the ordinary queue. Broadcasts would be copied to all pools or to none: it is none, so nobody can ask such a port
//! for its address by ARP. A virtual function needs none of this: it is a queue with an address of its own.
//!
//! Whether a card really steers is proven by live frames: [`Proof`] collects what was seen where.

use std::{error, fmt};

use dpdk_sys::RTE_ETH_VMDQ_ACCEPT_UNTAG;
use rte::port::{MacAddr, MqMode, Port, PortInfo, StartError};

use crate::cards;
use crate::cards::Card;

/// Where frames of each landing address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steering {
    macs: Vec<MacAddr>,
    pools: u8,
}

impl Steering {
    /// A landing queue for each of these addresses on this card.
    ///
    /// # Errors
    /// [`SteerError`]: it can't, or not to so many, or not by such addresses.
    pub fn plan(
        card: Option<&Card>,
        info: &PortInfo,
        mtu: u16,
        macs: &[MacAddr],
    ) -> Result<Self, SteerError> {
        let Some(card) = card else { return Err(SteerError::Unknown(info.driver.clone())) };
        let pools = match card.steering {
            cards::Steering::Pools(pools) => pools,
            cards::Steering::None => return Err(SteerError::OneQueue(card.name)),
            cards::Steering::Filter => return Err(SteerError::Unproven(card.name)),
        };
        // Pool 0 is the ordinary queue. Each address takes a place in the table of addresses; the first is the port's.
        let most = u16::from(pools).min(info.max_rx_queues).saturating_sub(1);
        if macs.len() > usize::from(most) {
            return Err(SteerError::TooMany { asked: macs.len(), most });
        }
        if mtu > 1500 {
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
        Ok(Self { macs: macs.to_vec(), pools })
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
        MqMode::VmdqByMac { pools: self.pools, accept: RTE_ETH_VMDQ_ACCEPT_UNTAG }
    }

    /// Tells a started port of the addresses. (DPDK repeats them at later starts itself; that does no harm.)
    pub(crate) fn apply(&self, port: &mut Port) -> Result<(), StartError> {
        for (i, &mac) in self.macs.iter().enumerate() {
            port.mac_addr_add(mac, u32::from(self.first_queue()) + i as u32).map_err(|e| {
                log::error!("{e}");
                StartError::Refused(e.port, e.errno)
            })?;
        }
        Ok(())
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

/// What live frames say of a steered address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// None was seen yet.
    #[default]
    Unseen,
    /// Frames for it came to its queue, none elsewhere.
    Steered,
    /// A frame for it came to the ordinary queue: the card does not steer.
    Refuted,
}

impl Proof {
    /// A frame for the address came to its landing queue.
    pub fn landed(&mut self) {
        if *self == Self::Unseen {
            *self = Self::Steered;
        }
    }

    /// A frame for the address came to the ordinary queue. Whether that is news.
    pub fn strayed(&mut self) -> bool {
        std::mem::replace(self, Self::Refuted) != Self::Refuted
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "no frame seen yet",
            Self::Steered => "proven by live frames",
            Self::Refuted => "refuted: frames for it came to queue 0",
        }
    }
}

/// Nothing can be steered, or not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteerError {
    /// A device of this driver is not in the table of cards.
    Unknown(String),
    /// The card has one receive queue.
    OneQueue(&'static str),
    /// The card has filters that nobody has seen at work.
    Unproven(&'static str),
    /// More addresses than the card has queues for.
    TooMany {
        /// Addresses.
        asked: usize,
        /// Queues that can land.
        most: u16,
    },
    /// Pools drop frames longer than 1522 bytes.
    Mtu(u16),
    /// A group's address, or none.
    NotUnicast(MacAddr),
    /// The port's own, or given twice.
    Taken(MacAddr),
}

impl fmt::Display for SteerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(driver) => {
                write!(f, "its device ({driver}) is not a card that is known to steer; 82576 is")
            }
            Self::OneQueue(name) => {
                write!(f, "an {name} has one way in; on a virtual function, everything lands")
            }
            Self::Unproven(name) => {
                write!(
                    f,
                    "the filters of an {name} have not been seen at work; leave the landing addresses out"
                )
            }
            Self::TooMany { asked, most } => {
                write!(f, "{asked} landing addresses are too many: give at most {most}")
            }
            Self::Mtu(mtu) => write!(f, "its pools drop frames of MTU {mtu}: use 1500"),
            Self::NotUnicast(mac) => write!(f, "{mac} is not one node's address"),
            Self::Taken(mac) => write!(f, "{mac} is the port's own address, or given twice"),
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
    fn a_card_that_steers_in_fact_is_told_from_one_that_does_not() {
        let mut proof = Proof::default();
        proof.landed();
        assert_eq!(proof, Proof::Steered);
        assert!(proof.strayed() && !proof.strayed(), "news only once");
        proof.landed();
        assert_eq!(proof, Proof::Refuted, "what was refuted stays so");
    }

    #[test]
    fn the_plan_is_told_queue_by_queue() {
        let steering = Steering { macs: vec![mac(1), mac(2)], pools: 8 };
        assert_eq!(
            steering.to_string(),
            "queue 0 ordinary, queue 1 lands 02:00:00:00:00:01, queue 2 lands 02:00:00:00:00:02"
        );
    }
}
