//! Admission control: who may land on whom, and when.
//!
//! A datagram lands whole only if exactly its fragments reach the landing queue meanwhile. On a card with one receive
//! queue a protocol has to see to that: the paper's section 3.3 of "LM". This crate will be that protocol;
//! for now it is this essay, so that its place among the crates is fixed: below the applications, beside the engine, without
//! DPDK.
//!
//! # What the paper has
//! Six control messages (`LM_REQ`, `LM_ENDME`, `LM_ACQ_OK`, `LM_ACQ_REJ`, `LM_APPEND_ADDR`, `LM_REMOVE_ADDR`), a list
//! of nodes with an active landing (`LM_RECV_ADDR`, flags 00, 01, 10), and Fig. 3: a receiver with an empty list
//! announces itself to all nodes, activates landing and accepts; with any entry in the list it rejects. One node in
//! the cluster lands at one instant.
//!
//! # What a network adds
//! Messages are lost, doubled, late; nodes die with a grant in hand and come back with the old message in flight; two
//! requests cross; somebody forges. So: sequence numbers and retransmission, leases, incarnation numbers, a fair
//! queue, optional authentication. And a policy without the cluster-wide lock: each receiver grants its own queues.
//!
//! # Shape
//! Sans-IO: `handle(frame, now)`, `request(destination, bytes, now)`, `poll_transmit`, `poll_timeout`, `poll_event`;
//! time is an argument; the transitions are one table. A control lcore pumps it, joined to data lcores by channels.
//! What it grants, a receiver needs in one place only: end tags as proof of wholeness are allowed
//! on a granted queue (`lm::ground::Require`).
#![forbid(unsafe_code)]
