//! What an attacker can send, and what must come of it.
//!
//! Each file is one kind of attack, run under every policy and on every kind of device that it concerns. The
//! judge is [`stage`]: it knows the frames as they were on the wire, header and all, and asks of everything
//! that was delivered or handed out whether one of them, or the fragments of one datagram among them, said
//! so. It takes nothing from the code under test but the types.

mod cost;
mod counting;
mod ecn;
mod flows;
mod forged;
mod halves;
mod hand;
mod hostile;
mod options;
mod short;
mod stage;
mod streams;

use lm_proto::wire::Flow;

/// The one whose name is misused.
const VICTIM: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };
/// The one who sends, or chooses what an honest sender sends.
const SENDER: Flow = Flow { src: 0xc0a8_0042, dst: 0x0a00_00fe, src_port: 666, dst_port: 80 };
