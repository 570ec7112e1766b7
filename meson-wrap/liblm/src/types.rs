//! The structures that C and the library share.
//!
//! `header.sh` generates `lm.h` from them, so a change here changes the ABI. `lm_config` and `lm_message` may
//! grow at their end: `lm_config` contains the sizes of both as the program was compiled.

use std::ffi::{c_char, c_void};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::handle::lm_t;

/// An IPv4 address and a UDP port, both in host byte order, as DPDK's RTE_IPV4() makes them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lm_address {
    /// 10.1.0.2 is 0x0a010002.
    pub ip: u32,
    /// The UDP port.
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

impl lm_address {
    pub(crate) fn of(address: SocketAddrV4) -> Self {
        Self { ip: address.ip().to_bits(), port: address.port(), reserved: 0 }
    }

    pub(crate) fn socket(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(self.ip), self.port)
    }
}

/// How a node is opened. lm_config_default() fills it in; a program that is older or newer than the library
/// is understood by `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_config {
    /// sizeof(lm_config), as the program was compiled.
    pub size: u32,
    /// sizeof(lm_message), as the program was compiled.
    pub message_size: u32,
    /// The node's IPv4 address, such as "10.1.0.2", for which it answers ARP. It must be set; it is read by
    /// lm_open() and lm_adopt() only.
    pub address: *const c_char,
    /// The UDP port whose datagrams are taken, and that is sent from. 0: datagrams to any port are taken.
    pub port: u16,
    /// Bytes of IP packet on the link, 576 to 9216; all nodes have the same. Default: 1500.
    pub mtu: u16,
    /// Descriptors to receive into, 1 to 32768 as the device allows. Default: 512.
    pub rx_descriptors: u16,
    /// Descriptors to send from. 0: as many as suit the device (lm_adopt: 512).
    pub tx_descriptors: u16,
    /// Frames that one lm_poll() takes of a queue, 1 to 512. Default: 32.
    pub burst: u16,
    /// Datagrams that can be put together from interleaved fragments at the same time, 1 to 256, each of
    /// which takes 64 KiB. Default: 64.
    pub reassembly: u16,
    /// Bits of lm_proof that each suffice as proof that a datagram is whole. Default: LM_PROOF_HEADERS |
    /// LM_PROOF_CHECKSUM.
    pub require: u16,
    /// 1: UDP checksums are computed for what is sent. 0: they are not. Default: 1.
    pub checksum: u8,
    /// 1: lm_get_fd() and lm_arm() work, where the device can interrupt. Default: 0.
    pub interrupts: u8,
    /// Bytes of the landing region. It grows while messages are held. Default: 4 MiB.
    pub region: u64,
    /// The hardware address that everything is sent to. All zero: peers are asked by ARP.
    pub peer_mac: [u8; 6],
    /// Admission control, as all nodes of a cluster have it. 0: off. 1: exclusive, the
    /// paper's policy. 2: per receiver. Ports of LM's own only.
    pub admission: u16,
    /// 32 bytes that control messages are signed with. NULL: they are not signed.
    pub key: *const u8,
}

/// How a datagram is known to be whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lm_proof {
    /// Every fragment's header was seen.
    Headers = 1,
    /// The UDP checksum agrees, and so does what proves the fragments' order.
    Checksum = 2,
    /// The end tag ties the last fragment to the first.
    Tags = 4,
}

/// A datagram that is whole. lm_poll() fills it in. It may be copied; the copies are one message, which is
/// released once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_message {
    /// The payload where it landed. NULL: it lies in pieces: lm_pieces(), or lm_contiguous().
    pub data: *const c_void,
    /// Bytes of payload: 0 to 65507.
    pub len: usize,
    /// Who sent it.
    pub from: lm_address,
    /// Whom it was sent to.
    pub to: lm_address,
    /// Bytes that were copied to make it whole: none, or all.
    pub copied: u32,
    /// How it is known to be whole: one of lm_proof.
    pub proof: u16,
    /// In how many fragments it came.
    pub fragments: u16,
    /// The library's. NULL: this is no message, or it was given back.
    pub owner: *mut lm_t,
    /// The library's.
    pub slot: u32,
    /// The library's.
    pub generation: u32,
}

/// A buffer that is sent from, with holes for headers. lm_buffer() gives it; `data` is written, and
/// lm_advance() says how much.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_sendbuf {
    /// Where the next bytes go. NULL: nothing more fits.
    pub data: *mut c_void,
    /// How many of them fit there; behind them lm_advance() goes to the next block.
    pub room: usize,
    /// Bytes of payload so far.
    pub len: usize,
    /// The library's. NULL: this is no buffer, or it was given back.
    pub owner: *mut lm_t,
    /// The library's.
    pub slot: u32,
    /// The library's.
    pub generation: u32,
}

/// A counter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_counter {
    /// Its name.
    pub name: [c_char; 32],
    /// Its value.
    pub value: u64,
}
