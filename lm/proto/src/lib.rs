//! Lightweight Messages: UDP datagrams of up to 65,507 bytes over commodity gigabit NICs, without a copy.
//!
//! A sender cuts a payload into fragments *in place*: its buffer has holes where the headers go. It sends the
//! last fragment first. A receiver posts buffers that descend by one fragment, so each payload lands right
//! below the one before and overwrites its headers, which are no longer needed. When the first fragment
//! arrives, the datagram lies whole in memory.
//!
//! This crate has the logic for this. It is pure: no DPDK, no `unsafe`, no clock, no threads. `lm-landing`
//! provides the memory, and `lm-engine` runs the logic on DPDK ports.
//!
//! # Bytes on the wire
//!
//! [`wire`] has the headers of Ethernet, IPv4, UDP and ARP. [`layout`] says how a payload is cut, and where
//! the holes, the guard and the end tag are. [`tag`] is the end tag, by which a receiver recognises the last
//! fragment. [`checksum`] is the UDP checksum and the order digest, computed in one pass, with or without a
//! copy. [`alf`] writes a payload into a buffer with holes, and the headers into the holes. [`stencil`] does
//! so for datagrams of one frame, whose headers differ little. [`carried`] is the checksum and digest that a
//! datagram arrived with, which are used when the datagram is sent on. [`service`] is the type of service and
//! the time to live that it arrived with.
//!
//! # Frames where they landed
//!
//! [`frame`] is a frame in the slot that it landed in. [`raw_headers`] are its headers, read in three loads.
//! [`packet`] parses headers that are known to be intact. [`slot_memory`] is the trait through which the
//! matcher reads the memory of the frames, and delivers, copies or returns them.
//!
//! # From frames to datagrams
//!
//! [`policy`] says what counts as proof that a datagram is whole, and whose datagrams are taken. [`matcher`]
//! finds whole datagrams among landed frames, in constant work per frame. [`reassembler`] is classic
//! reassembly, for frames whose headers are all intact. [`mtu_check`] notices peers that cut their datagrams
//! for another MTU. [`card`] checks what a card reports of each frame, before it is believed. [`auto_layout`]
//! decides whether slots overlap, if neither the user nor a grant decides it.
//!
//! # Around the datagrams
//!
//! [`neighbours`] has the hardware addresses of peers, fixed or learnt by ARP, and knows which of them are
//! nodes of LM's. [`order`] says in which order those and others get fragments. [`counters`] has a name for
//! everything that can go wrong.
//!
//! The feature `mock` adds a landing region without a card, for tests, fuzzing and benchmarks.
#![forbid(unsafe_code)]

pub mod alf;
pub mod auto_layout;
pub mod card;
pub mod carried;
pub mod checksum;
pub mod counters;
pub mod frame;
pub mod layout;
pub mod matcher;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
pub mod mtu_check;
pub mod neighbours;
pub mod order;
pub mod packet;
pub mod policy;
pub mod raw_headers;
pub mod reassembler;
pub mod service;
pub mod slot_memory;
pub mod stencil;
pub mod tag;
pub mod wire;

pub use neighbours::Neighbours;
