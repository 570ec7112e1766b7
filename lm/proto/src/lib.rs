//! Lightweight Messages: UDP datagrams of up to 65,507 bytes over commodity gigabit NICs, without a copy.
//!
//! A sender cuts a payload into fragments *in place*: the buffer has holes where the headers go ([`layout`]).
//! It sends the last fragment first. A receiver posts buffers that descend by one fragment, so each payload
//! lands right below the one before and overwrites that one's headers, which are spent; when the first
//! fragment arrives, the datagram lies whole in memory.
//!
//! The crate in the order of a datagram's life:
//!
//! - [`wire`]: Ethernet, IPv4, UDP and ARP headers;
//! - [`raw_headers`]: the same of a landed frame, in three loads;
//! - [`checksum`]: the UDP checksum and the order digest, in one pass, with or without a copy;
//! - [`layout`]: how a payload is cut, where the holes, the guard and the end tag are;
//! - [`tag`]: the end tag;
//! - [`alf`]: a payload into a buffer with holes, headers into the holes;
//! - [`frame`]: a frame in the slot that it landed in;
//! - [`slot_memory`]: what the matcher asks of the memory under the frames, and where its decisions go;
//! - [`policy`]: what counts as proof, and whose datagrams are taken;
//! - [`packet`]: what a frame is, by headers that are known to be intact;
//! - [`matcher`]: finds whole datagrams among landed frames, in constant work per frame;
//! - [`reassembler`]: classic reassembly, for frames whose headers are all intact;
//! - [`mtu_check`]: peers that cut their datagrams for another MTU;
//! - [`neighbours`]: hardware addresses, fixed or learnt by ARP;
//! - [`counters`]: a name for everything that can go wrong.
//!
//! All of that is pure: no DPDK, no `unsafe`, no clock. `lm-engine` runs it on DPDK ports.
#![forbid(unsafe_code)]

pub mod alf;
pub mod checksum;
pub mod counters;
pub mod frame;
pub mod layout;
pub mod matcher;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
pub mod mtu_check;
pub mod neighbours;
pub mod packet;
pub mod policy;
pub mod raw_headers;
pub mod reassembler;
pub mod slot_memory;
pub mod tag;
pub mod wire;

pub use neighbours::Neighbours;
