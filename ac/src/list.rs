//! The LM_RECV_ADDR list: which nodes land now (section 3.3 of the paper).
//!
//! [`Node`](crate::Node) appends and removes entries as messages say. It reads the list before each request,
//! and under the policy `Exclusive` before each grant. An address is in the list at most once, and the list
//! has at most [`Config::nodes`](crate::Config::nodes) entries. The entry of another node expires, in case
//! that the message that should remove it is lost.

use crate::time::Instant;
use crate::wire::NodeId;

/// The paper's `flag`: what a listed address is to this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Flag {
    /// `00`: no LM_RECV traffic between the listed address and this node.
    Foreign = 0b00,
    /// `01`: this node is transmitting LM_RECV traffic to the listed address.
    Sending = 0b01,
    /// `10`: the listed address is this node; others transmit LM_RECV traffic to it.
    Local = 0b10,
}

/// A member of the list.
///
/// In the paper a member has an address, a flag and a pointer to the next. The other fields are for messages
/// that are lost or late: an entry expires, and a late message does not bring it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// The node with an active landing.
    pub address: NodeId,
    /// What it is to this node.
    pub flag: Flag,
    /// The incarnation of that node.
    pub incarnation: u64,
    /// Its latest grant; with several landing queues, the latest of them.
    pub grant: u64,
    /// When the entry expires.
    pub expires: Instant,
}

/// The list. It is made with room for [`crate::Config::nodes`] entries, and never grows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReceiverList {
    room: usize,
    entries: Vec<Entry>,
}

impl ReceiverList {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, entries: Vec::with_capacity(room) }
    }

    /// Whether nobody lands ("LM_RECV_ADDR list is null").
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of `address`.
    pub fn find(&self, address: NodeId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.address == address)
    }

    /// The entries, in the order in which they were appended.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Appends the entry, or renews that of its address. An older grant changes nothing; an older incarnation
    /// never gets here.
    pub(crate) fn append(&mut self, entry: Entry) {
        if let Some(old) = self.entries.iter_mut().find(|e| e.address == entry.address) {
            if entry.incarnation != old.incarnation || entry.grant > old.grant {
                *old = Entry { flag: if old.flag == Flag::Local { old.flag } else { entry.flag }, ..entry };
            } else if entry.grant == old.grant {
                old.expires = old.expires.max(entry.expires);
            }
        } else if self.entries.len() < self.room {
            self.entries.push(entry);
        }
    }

    /// Removes `address` unless the entry is of a later grant of this incarnation.
    pub(crate) fn remove(&mut self, address: NodeId, incarnation: u64, grant: u64) {
        self.entries.retain(|e| e.address != address || (e.incarnation == incarnation && e.grant > grant));
    }

    /// Sets the flag of `address`, if it is listed.
    pub(crate) fn mark(&mut self, address: NodeId, flag: Flag) {
        if let Some(e) = self.entries.iter_mut().find(|e| e.address == address) {
            e.flag = flag;
        }
    }

    /// Drops what has expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.entries.retain(|e| e.expires > now);
    }

    #[cfg(feature = "mock")]
    pub(crate) fn each(&mut self, f: impl FnMut(&mut Entry)) {
        self.entries.iter_mut().for_each(f);
    }

    /// Sorts the entries by address: their order has no meaning, so worlds that differ in it alone are equal.
    #[cfg(feature = "mock")]
    pub(crate) fn sort(&mut self) {
        self.entries.sort_by_key(|e| e.address);
    }

    /// When the next entry expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().map(|e| e.expires).min()
    }
}
