//! The checksum and digest of a datagram are sent on with it, as long as nobody can have changed the payload.
//!
//! A changed payload gets a new checksum. Each size and each layout of slots is tested, from where the
//! datagram lies and as a copy.

use std::time::{Duration, Instant};

use lm_engine::{Message, Unsent};
use lm_landing::SlotLayout;
use lm_proto::alf::{self, Blocks, ChecksumMode, Ends};
use lm_proto::carried::Claims;
use lm_proto::counters::Reason;
use lm_proto::policy::{Require, WholeBy};

use super::{ENDS, FLOW, Failed, G, Node, await_one, ensure, pass, payload, sendable};

const BACK: Ends = Ends { src_mac: ENDS.dst_mac, dst_mac: ENDS.src_mac, flow: ends_back() };

const fn ends_back() -> lm_proto::wire::Flow {
    let lm_proto::wire::Flow { src, dst, src_port, dst_port } = FLOW;
    lm_proto::wire::Flow { src: dst, dst: src, src_port: dst_port, dst_port: src_port }
}

/// Every way that a payload can end: in the guard, with a tag in a fragment of its own, in a trailer.
const SIZES: [usize; 19] = [
    0, 1, 7, 63, 192, 193, 1430, 1431, 1438, 1471, 1472, 1473, 2910, 2911, 2953, 7168, 65_499, 65_500, 65_507,
];

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Sends a message from `b` to `a`: from where it lies, or a copy of it.
fn forward(a: &mut Node, b: &mut Node, message: Message) -> Result<Message, Failed> {
    start(b, message)?;
    await_one(b, a, soon())
}

fn start(b: &mut Node, message: Message) -> Result<(), Failed> {
    let message = match b.sender.send_message(message, &BACK) {
        Ok(()) => return Ok(()),
        // Joined from pieces, it lies where no device reads.
        Err(Unsent::NotFromHere(message)) if !sendable(&message) || message.is_copied() => message,
        Err(e) => return Err(format!("it is not sent: {e:?}").into()),
    };
    let copy = b.sender.buffer_of(&message).ok_or("no send buffer")?;
    b.sender.send(copy, &BACK).map_err(|_| "the copy is not sent".into())
}

/// Frames with whatever claims about a payload, by `a`.
fn send_with(a: &mut Node, data: &[u8], claims: Claims) -> Result<(), Failed> {
    let mut buf = vec![0; G.buffer_len()];
    let mut blocks = Blocks::new(G);
    blocks.fill(&mut buf, data, ChecksumMode::Zero);
    let layout = blocks.seal_as(&mut buf, &ENDS, 4711, claims);
    for i in (0..layout.fragments()).rev() {
        let mut frame = a.strangers.alloc().ok_or("no mbuf")?;
        let bytes = &buf[alf::frame(G, &layout, i)];
        frame.append(bytes.len() as u16).ok_or("no room")?.copy_from_slice(bytes);
        a.sender.send_frame(frame).map_err(|_| "the queue is full")?;
    }
    Ok(())
}

/// What `a` would say of a payload.
fn claims(data: &[u8]) -> Claims {
    let mut buf = vec![0; G.buffer_len()];
    let mut blocks = Blocks::new(G);
    blocks.fill(&mut buf, data, ChecksumMode::Full);
    blocks.claims(&buf, &FLOW)
}

/// The next slots are laid like this.
fn lay(a: &mut Node, b: &mut Node, layout: SlotLayout) -> Result<(), Failed> {
    b.receiver.set_layout(layout);
    // More frames than the ring has slots.
    (0..60).try_for_each(|i| pass(a, b, &payload(20_000, i)).map(drop))
}

/// At every boundary, in both layouts: what is sent on unread says what a fresh sum says.
pub(crate) fn as_it_came(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    for layout in [SlotLayout::Separate, SlotLayout::Overlapping] {
        lay(a, b, layout)?;
        for (i, size) in SIZES.into_iter().enumerate() {
            let data = payload(size, i);
            let message = pass(a, b, &data)?;
            ensure(message.carried().is_some(), &format!("nothing is known of {size} bytes"))?;
            let unread = forward(a, b, message)?;
            let mut message = pass(a, b, &data)?;
            message.forget_carried();
            ensure(message.carried().is_none(), "it is forgotten")?;
            let summed = forward(a, b, message)?;
            for echo in [&unread, &summed] {
                ensure(echo.as_slice() == Some(&data[..]), &format!("{size} bytes differ"))?;
            }
            ensure(unread.carried() == summed.carried(), &format!("{size} bytes, {layout:?}: another sum"))?;
            // A copy of it says the same.
            let message = pass(a, b, &data)?;
            let copy = b.sender.buffer_of(&message).ok_or("no send buffer")?;
            b.sender.send(copy, &BACK)?;
            let copied = await_one(b, a, soon())?;
            ensure(copied.as_slice() == Some(&data[..]), &format!("the copy of {size} bytes differs"))?;
            ensure(copied.carried() == summed.carried(), &format!("{size} bytes copied: another sum"))?;
        }
    }
    Ok(())
}

/// Handed out to be changed: it is a datagram of this node's, with sums of its own.
pub(crate) fn changed(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    for layout in [SlotLayout::Separate, SlotLayout::Overlapping] {
        lay(a, b, layout)?;
        for size in SIZES.into_iter().filter(|&size| size > 0) {
            let mut data = payload(size, size);
            for at in [0, size / 2, size - 1] {
                let mut message = pass(a, b, &data)?;
                data[at] ^= 0x5a;
                message.contiguous_mut()[at] ^= 0x5a;
                ensure(message.carried().is_none(), "it was handed out mutably")?;
                let echo = forward(a, b, message).map_err(|e| format!("{size} bytes, {layout:?}: {e}"))?;
                ensure(echo.as_slice() == Some(&data[..]), &format!("{size} bytes, changed, differ"))?;
                // And what was copied to a buffer and written to.
                let message = pass(a, b, &data)?;
                if size < 65_507 {
                    let mut buffer = b.sender.buffer_of(&message).ok_or("no send buffer")?;
                    buffer.fill(&[7]);
                    b.sender.send(buffer, &BACK)?;
                    let echo = await_one(b, a, soon())?;
                    let longer: Vec<u8> = data.iter().copied().chain([7]).collect();
                    ensure(echo.as_slice() == Some(&longer[..]), &format!("{size} bytes and one differ"))?;
                }
            }
        }
    }
    Ok(())
}

/// A tag is proof enough, so nobody has summed the payload, which is not what its sender summed: whoever sums
/// it next has to see that.
pub(crate) fn wrong(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    lay(a, b, SlotLayout::Overlapping)?;
    b.receiver.set_require(Require { tags: true, ..Require::default() });
    let (mut sent, before) = (0, a.receiver.counters().dropped(Reason::BadChecksum));
    for size in SIZES.into_iter().filter(|&size| size > 0) {
        // Twice, so that the second one is one of a stream.
        for _ in 0..2 {
            let data = payload(size, size);
            let right = claims(&data);
            let mut damaged = data.clone();
            damaged[size / 2] ^= 0x10;
            send_with(a, &damaged, right)?;
            let Ok(message) = await_one(a, b, Instant::now() + Duration::from_millis(500)) else {
                return Err(format!("{size} bytes: a tag proves them").into());
            };
            ensure(message.proof() == WholeBy::Tags, &format!("{size} bytes: {:?}", message.proof()))?;
            ensure(message.as_slice() == Some(&damaged[..]), "they are what was sent")?;
            start(b, message)?;
            sent += 1;
            let until = soon();
            while a.receiver.counters().dropped(Reason::BadChecksum) < before + sent {
                b.sender.flush();
                let mut got = false;
                a.receiver.receive(32, |_| got = true);
                ensure(!got, &format!("{size} bytes that are wrong came with a checksum that is right"))?;
                ensure(Instant::now() < until, &format!("{size} bytes: {:?}", a.receiver.counters()))?;
            }
        }
    }
    b.receiver.set_require(Require::default());
    println!("    {sent} were wrong, and stayed so");
    Ok(())
}

/// A datagram without a checksum has nothing to carry: the sender's policy says what it gets.
pub(crate) fn none(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    b.receiver.set_require(Require { tags: true, ..Require::default() });
    for size in SIZES {
        let data = payload(size, size);
        send_with(a, &data, Claims::NONE)?;
        let message = await_one(a, b, soon())?;
        ensure(message.carried().is_none(), &format!("{size} bytes have no checksum"))?;
        let echo = forward(a, b, message)?;
        ensure(echo.as_slice() == Some(&data[..]), &format!("{size} bytes differ"))?;
        ensure(echo.carried().is_some(), &format!("{size} bytes: this sender sums what it sends"))?;
    }
    b.receiver.set_require(Require::default());
    Ok(())
}
