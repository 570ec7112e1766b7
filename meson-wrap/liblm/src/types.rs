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

/// How a node is opened. lm_config_default() fills it in. `size` lets the library understand programs that
/// were compiled with an older or a newer header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_config {
    /// sizeof(lm_config), as the program was compiled.
    pub size: u32,
    /// sizeof(lm_message), as the program was compiled.
    pub message_size: u32,
    /// The node's IPv4 address, such as "10.1.0.2". It must be set. The node answers ARP for it. Only
    /// lm_open() and lm_adopt() read the string.
    pub address: *const c_char,
    /// The UDP port that the node receives on and sends from. 0: it receives datagrams to any port.
    pub port: u16,
    /// The link's MTU: bytes of an IP packet, 576 to 9216. All nodes need the same. Default: 1500.
    pub mtu: u16,
    /// Descriptors of each receive queue, 1 to 32768, as many as the device allows. Default: 512.
    pub rx_descriptors: u16,
    /// Descriptors of the transmit queue. 0: as many as suit the device (lm_adopt: 512).
    pub tx_descriptors: u16,
    /// Frames that one lm_poll() takes from a queue at most, 1 to 512. Default: 32.
    pub burst: u16,
    /// How many datagrams each queue can put together from interleaved fragments at once, 1 to 256. Each
    /// needs a buffer of 64 KiB. Default: 64.
    pub reassembly: u16,
    /// The accepted proofs that a datagram is whole: bits of lm_proof, one of which suffices. Default:
    /// LM_PROOF_HEADERS | LM_PROOF_CHECKSUM.
    pub require: u16,
    /// 1: sent datagrams get a UDP checksum. 0: they get none. Default: 1.
    pub checksum: u8,
    /// 1: lm_get_fd() and lm_arm() can be used, if the device can interrupt. Default: 0.
    pub interrupts: u8,
    /// Bytes of the landing region. It grows while messages are held. Default: 4 MiB.
    pub region: u64,
    /// The hardware address that everything is sent to. All zero: the node asks its peers by ARP.
    pub peer_mac: [u8; 6],
    /// Admission control. 0: off. 1: exclusive, as in the paper. 2: per receiver. All nodes of a cluster need
    /// the same. It is only for ports that lm_open() opens.
    pub admission: u16,
    /// The cluster's key of 32 bytes, by which control messages are signed. NULL: they are not signed.
    pub key: *const u8,
}

/// How a datagram is known to be whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lm_proof {
    /// The header of every fragment was read.
    Headers = 1,
    /// The UDP checksum is right, and the order of the fragments is proven.
    Checksum = 2,
    /// The end tag ties the last fragment to the first.
    Tags = 4,
}

/// A datagram that is whole. lm_poll() fills it in. The structure may be copied, but all copies are the same
/// message, which is released once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_message {
    /// The payload, where it landed. NULL: it lies in pieces: use lm_pieces() or lm_contiguous().
    pub data: *const c_void,
    /// Bytes of payload: 0 to 65507.
    pub len: usize,
    /// Who sent it.
    pub from: lm_address,
    /// Whom it was sent to.
    pub to: lm_address,
    /// Bytes of payload that were copied to put it together: none, or all.
    pub copied: u32,
    /// How it is known to be whole: one of lm_proof.
    pub proof: u16,
    /// In how many fragments it came.
    pub fragments: u16,
    /// For the library. NULL: this is no message, or it was given back.
    pub owner: *mut lm_t,
    /// The library's.
    pub slot: u32,
    /// The library's.
    pub generation: u32,
}

/// A buffer to send from, which leaves room for headers between the blocks of payload. lm_buffer() fills it
/// in. The program writes to `data`, and says by lm_advance() how much it wrote.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lm_sendbuf {
    /// Where the next bytes go. NULL: nothing more fits.
    pub data: *mut c_void,
    /// How many bytes fit there. When this block is full, lm_advance() goes on to the next one.
    pub room: usize,
    /// Bytes of payload so far.
    pub len: usize,
    /// For the library. NULL: this is no buffer, or it was given back.
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
