//! The control messages on the wire: one layout for all seven, in the payload of one UDP datagram.
//!
//! `docs/admission-control.md` specifies the layout, and `tests/vectors.rs` checks the test vectors there.

use core::fmt;
use core::time::Duration;

use crate::mac::{Key, MAC};

/// The UDP port that control messages are sent from and to: "LM" in ASCII.
pub const PORT: u16 = 0x4c4d;

/// The first two bytes of a control message: "AC".
pub const MAGIC: [u8; 2] = *b"AC";

/// The version of the layout, the third byte.
pub const VERSION: u8 = 1;

/// Bytes of a message without its MAC.
pub const LENGTH: usize = 96;

/// Bytes of the longest message: the room that [`crate::Node::poll_transmit`] wants.
pub const MAX_LENGTH: usize = LENGTH + MAC;

/// Flag bit 0: a MAC follows.
const KEYED: u8 = 1;

/// A node of the cluster: the paper's `long long address`.
///
/// Any number that belongs to one node for good, by convention its IPv4 address. [`NodeId::ALL`] is no node's
/// number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u64);

impl NodeId {
    /// In the place of an addressee: all nodes.
    pub const ALL: Self = Self(0);
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            Ok(a) if a > 0xffff => fmt::Display::fmt(&core::net::Ipv4Addr::from(a), f),
            _ => write!(f, "node {}", self.0),
        }
    }
}

/// An address on the link.
pub type HardwareAddress = [u8; 6];

/// Whether it is the address of one station: not of a group, and not all zeros.
pub(crate) fn is_one_station(address: &HardwareAddress) -> bool {
    address[0] & 1 == 0 && *address != [0; 6]
}

/// The six messages of the paper's Table 1, and one more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// `LM_REQ`: require LM_RECV traffic with specified data size. Repeated by its holder, it renews the
    /// lease.
    Req = 1,
    /// `LM_ENDME`: LM_RECV traffic is finished, or no longer wanted.
    EndMe = 2,
    /// `LM_ACQ_OK`: the request is accepted.
    AcqOk = 3,
    /// `LM_ACQ_REJ`: the request is rejected; [`Reason`] says why.
    AcqRej = 4,
    /// `LM_APPEND_ADDR`: append the address to the LM_RECV_ADDR list.
    AppendAddr = 5,
    /// `LM_REMOVE_ADDR`: remove the address from the list. To one node, it answers its `LM_ENDME`.
    RemoveAddr = 6,
    /// `LM_CHALLENGE`, beyond the paper: asks a node to prove that it lives in the incarnation that it names,
    /// or proves it.
    Challenge = 16,
}

impl Kind {
    /// All of them: the six in the order of Table 1, then what is beyond the paper.
    pub const EVERY: [Self; 7] = [
        Self::Req,
        Self::EndMe,
        Self::AcqOk,
        Self::AcqRej,
        Self::AppendAddr,
        Self::RemoveAddr,
        Self::Challenge,
    ];

    /// The paper's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Req => "LM_REQ",
            Self::EndMe => "LM_ENDME",
            Self::AcqOk => "LM_ACQ_OK",
            Self::AcqRej => "LM_ACQ_REJ",
            Self::AppendAddr => "LM_APPEND_ADDR",
            Self::RemoveAddr => "LM_REMOVE_ADDR",
            Self::Challenge => "LM_CHALLENGE",
        }
    }
}

/// Why an `LM_ACQ_REJ` was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The sender's list is not empty: somebody else lands (the paper's only reason). Also: it rests after a
    /// restart.
    #[default]
    Busy = 0,
    /// The sender of the rejection lands itself, for another: list its address.
    Landing = 1,
    /// Not refused but queued; the answer comes later.
    Queued = 2,
    /// The queue of waiting requests is full.
    Full = 3,
    /// The grant that the message names is withdrawn: stop.
    Withdrawn = 4,
    /// The request is over: it was ended, or its lease ran out.
    Over = 5,
}

impl Reason {
    const EVERY: [Self; 6] =
        [Self::Busy, Self::Landing, Self::Queued, Self::Full, Self::Withdrawn, Self::Over];
}

/// One control message. Which fields a kind uses is in `docs/admission-control.md`; the others are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Why, in a rejection.
    pub reason: Reason,
    /// The request's priority, 0 … 7, seven first.
    pub priority: u8,
    /// The landing queue granted.
    pub queue: u8,
    /// Who sent it.
    pub from: NodeId,
    /// Who it is for, or [`NodeId::ALL`].
    pub to: NodeId,
    /// The sender's incarnation: another one in each life.
    pub incarnation: u64,
    /// The sender's sequence number: one larger with each message of an incarnation.
    pub sequence: u64,
    /// The addressee's incarnation, in answers and challenges; zero in what answers nothing.
    pub echo_incarnation: u64,
    /// The sequence number of the message answered; in a challenge the addressee's highest that was seen.
    pub echo_sequence: u64,
    /// The address listed, or the destination requested.
    pub address: NodeId,
    /// Bytes that the sender wants to send; in `LM_ACQ_OK` see [`Message::landing`]. In `LM_CHALLENGE` the
    /// nonce that the addressee is to send back, 0: none.
    pub size: u64,
    /// The applicant's number of the request; in `LM_CHALLENGE` the nonce sent back, 0: none.
    pub request: u64,
    /// The receiver's number of the grant.
    pub grant: u64,
    /// Microseconds that the grant (or the entry of the list) has left.
    pub lease: u32,
    /// Minimum-size frames to send before the data.
    pub flush: u16,
    /// Requests that go before this one.
    pub position: u16,
}

impl Message {
    /// A message of `kind` with nothing in it but who sends it to whom.
    pub const fn new(kind: Kind, from: NodeId, to: NodeId) -> Self {
        Self {
            kind,
            reason: Reason::Busy,
            priority: 0,
            queue: 0,
            from,
            to,
            incarnation: 0,
            sequence: 0,
            echo_incarnation: 0,
            echo_sequence: 0,
            address: NodeId::ALL,
            size: 0,
            request: 0,
            grant: 0,
            lease: 0,
            flush: 0,
            position: 0,
        }
    }

    /// The lease as a duration.
    pub const fn lease(&self) -> Duration {
        Duration::from_micros(self.lease as u64)
    }

    /// Where frames for the queue granted go; `None`: where messages go. A hardware address is the low 48
    /// bits of the field.
    pub fn landing(&self) -> Option<HardwareAddress> {
        let [0, 0, address @ ..] = self.size.to_be_bytes() else { return None };
        is_one_station(&address).then_some(address)
    }

    /// The field for [`Message::landing`].
    pub(crate) fn of_landing(address: Option<&HardwareAddress>) -> u64 {
        let [a, b, c, d, e, f] = address.copied().unwrap_or_default();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// Writes the message, and its MAC if there is a `key`: the bytes written.
    pub fn encode(&self, key: Option<&Key>, out: &mut [u8; MAX_LENGTH]) -> usize {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        let flags = if key.is_some() { KEYED } else { 0 };
        put(&[VERSION, self.kind as u8, flags, self.reason as u8, self.priority, self.queue]);
        put(&self.from.0.to_be_bytes());
        put(&self.to.0.to_be_bytes());
        put(&self.incarnation.to_be_bytes());
        put(&self.sequence.to_be_bytes());
        put(&self.echo_incarnation.to_be_bytes());
        put(&self.echo_sequence.to_be_bytes());
        put(&self.address.0.to_be_bytes());
        put(&self.size.to_be_bytes());
        put(&self.request.to_be_bytes());
        put(&self.grant.to_be_bytes());
        put(&self.lease.to_be_bytes());
        put(&self.flush.to_be_bytes());
        put(&self.position.to_be_bytes());
        let Some(key) = key else { return LENGTH };
        let (message, mac) = out.split_at_mut(LENGTH);
        mac.copy_from_slice(&key.sign(message));
        MAX_LENGTH
    }

    /// Reads a message. With a `key`, only one that carries the right MAC; without, only one that carries
    /// none.
    ///
    /// Bytes beyond the message are refused: a message is the whole UDP payload. Ethernet's padding lies
    /// behind the UDP datagram and is the caller's to take off (by the UDP length).
    ///
    /// # Errors
    /// [`DecodeError`]: the bytes are not a message of this version, or the MAC is missing, wrong, or not
    /// expected.
    pub fn decode(bytes: &[u8], key: Option<&Key>) -> Result<Self, DecodeError> {
        let (head, rest) = bytes.split_first_chunk::<8>().ok_or(DecodeError::Length)?;
        let [m0, m1, version, kind, flags, reason, priority, queue] = *head;
        if [m0, m1] != MAGIC {
            return Err(DecodeError::Magic);
        }
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let keyed = match flags {
            0 => false,
            KEYED => true,
            _ => return Err(DecodeError::Flags(flags)),
        };
        if bytes.len() != if keyed { MAX_LENGTH } else { LENGTH } {
            return Err(DecodeError::Length);
        }
        match (key, keyed) {
            (None, false) => {}
            (Some(key), true) if key.verify(&bytes[..LENGTH], &bytes[LENGTH..]) => {}
            _ => return Err(DecodeError::Mac),
        }
        let mut fields = Fields(rest);
        let message = Self {
            kind: *Kind::EVERY.iter().find(|k| **k as u8 == kind).ok_or(DecodeError::Kind(kind))?,
            reason: *Reason::EVERY.get(usize::from(reason)).ok_or(DecodeError::Field)?,
            priority,
            queue,
            from: NodeId(fields.u64()),
            to: NodeId(fields.u64()),
            incarnation: fields.u64(),
            sequence: fields.u64(),
            echo_incarnation: fields.u64(),
            echo_sequence: fields.u64(),
            address: NodeId(fields.u64()),
            size: fields.u64(),
            request: fields.u64(),
            grant: fields.u64(),
            lease: fields.u32(),
            flush: fields.u16(),
            position: fields.u16(),
        };
        if message.from == NodeId::ALL || message.from == message.to || priority > 7 {
            return Err(DecodeError::Field);
        }
        if message.kind == Kind::AcqOk && message.size != 0 && message.landing().is_none() {
            return Err(DecodeError::Field);
        }
        Ok(message)
    }
}

/// Big-endian fields, one behind the other; [`Message::decode`] has checked that they are there.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not the length that its flags make it.
    Length,
    /// Does not begin with [`MAGIC`].
    Magic,
    /// Another version.
    Version(u8),
    /// Flags that this version has no meaning for.
    Flags(u8),
    /// None of [`Kind::EVERY`].
    Kind(u8),
    /// The MAC is wrong, missing, or there although no key is set.
    Mac,
    /// A field out of its range, or no sender.
    Field,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a control message has {LENGTH} bytes, or {MAX_LENGTH} with a MAC"),
            Self::Magic => f.write_str("not a control message: it does not begin with \"AC\""),
            Self::Version(v) => {
                write!(f, "a control message of version {v}; this node has version {VERSION}")
            }
            Self::Flags(b) => write!(f, "unknown flags {b:#04x} in a control message"),
            Self::Kind(k) => write!(f, "unknown kind {k} of a control message"),
            Self::Mac => f.write_str("not signed with this node's key, or signed and this node has no key"),
            Self::Field => f.write_str("a field of the control message is out of its range"),
        }
    }
}

impl core::error::Error for DecodeError {}
