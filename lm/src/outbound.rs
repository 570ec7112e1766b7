//! [`Outbound`]: the way out of a port, and what waits there.
//!
//! The closure of [`Port::poll`](crate::Port::poll) is given one, and
//! [`Port::outbound`](crate::Port::outbound) makes one. Nothing here blocks. A message that cannot go now
//! waits in the port's outbox, and later polls send it. Messages for the same peer keep their order, and do
//! not hold up those for another.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};
use std::{error, fmt};

use lm_engine::{Arrived, Message, SendBuffer, WouldBlock};
use lm_node::{Link, Outlet};
use lm_proto::wire::{Flow, MAX_PAYLOAD};

use crate::config::Config;

/// The most messages that wait, for room in the transmit queue, a hardware address or admission.
const WAITING: usize = 256;
/// The longest that a message waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// One turn of a port's loop: sends what waits, then hands each message that arrived and is taken to `each`.
/// What is not taken is counted in `ignored`. Returns how much was found.
pub(crate) fn turn(
    link: &mut Link,
    config: &Config,
    outbox: &mut Outbox,
    ignored: &mut u64,
    now: Instant,
    mut each: impl FnMut(Message, &mut Outbound<'_>),
) -> usize {
    let each = |message: Arrived<'_>, out: &mut Outbound<'_>| each(message.take(), out);
    let (done, frames) = first_half(link, config, outbox, ignored, now, each);
    done + frames + link.settle(frames, now)
}

/// The first half of a turn, which ends when the messages have been given out. Returns how many of those that
/// waited were sent, and how many frames came. [`Link::settle`] is the other half.
#[inline]
fn first_half(
    link: &mut Link,
    config: &Config,
    outbox: &mut Outbox,
    ignored: &mut u64,
    now: Instant,
    mut each: impl FnMut(Arrived<'_>, &mut Outbound<'_>),
) -> (usize, usize) {
    let done = if outbox.is_empty() { 0 } else { Outbound { outlet: &mut link.outlet, outbox, now }.flush() };
    let frames = link.take(config.node.burst.into(), now, |message, outlet| {
        if config.takes(&message.flow()) {
            each(message, &mut Outbound { outlet, outbox, now });
        } else {
            *ignored += 1;
        }
    });
    (done, frames)
}

/// What the last poll left to be done once its messages have been answered: see
/// [`Port::poll_ahead`](crate::Port::poll_ahead).
pub(crate) struct Ahead {
    /// When that poll was.
    polled: Instant,
    /// The frames that it found, if its second half is still to come.
    owes: Option<usize>,
}

impl Ahead {
    pub(crate) fn new() -> Self {
        Self { polled: Instant::now(), owes: None }
    }

    /// The time of the last poll.
    pub(crate) fn polled(&self) -> Instant {
        self.polled
    }

    /// Whether the second half of a turn is still to come.
    pub(crate) fn owes(&self) -> bool {
        self.owes.is_some()
    }

    /// Does what the last poll left. Returns how much there was to do.
    #[inline]
    pub(crate) fn catch_up(&mut self, link: &mut Link) -> usize {
        self.owes.take().map_or(0, |frames| link.settle(frames, self.polled))
    }

    /// A turn that leaves its second half to the next one if it gave out messages.
    #[inline]
    pub(crate) fn turn(
        &mut self,
        link: &mut Link,
        config: &Config,
        outbox: &mut Outbox,
        ignored: &mut u64,
        now: Instant,
        mut each: impl FnMut(Arrived<'_>),
    ) -> usize {
        let late = self.catch_up(link);
        self.polled = now;
        let mut given = false;
        let (done, frames) = first_half(link, config, outbox, ignored, now, |message, _| {
            given = true;
            each(message);
        });
        if given {
            self.owes = Some(frames);
            return late + done + frames;
        }
        late + done + frames + link.settle(frames, now)
    }
}

/// What became of a message that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// It is in the transmit queue.
    Now,
    /// It waits for room in the transmit queue, for the peer's hardware address or for admission. Later polls
    /// send it. After 2 s it is dropped, and counted in [`Outbound::dropped`].
    Waiting,
    /// It was dropped: 256 messages wait already, there is no buffer to copy it to, or the port is closed.
    /// The first two are counted in [`Outbound::dropped`].
    Dropped,
}

/// Why a message can never be sent.
///
/// ```
/// let error = lm::SendError::TooLong { len: 70_000 };
/// assert!(error.to_string().contains("65507"));
/// // What Rust prints if `main` returns it.
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// It is longer than any UDP datagram.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => write!(
                f,
                "a message of {len} bytes is longer than a UDP datagram: send {MAX_PAYLOAD} bytes at most"
            ),
        }
    }
}

rte::debug_is_display!(SendError);

impl error::Error for SendError {}

/// What is to be sent.
enum Content {
    Message(Message),
    Buffer(SendBuffer),
}

struct Waiting {
    content: Content,
    flow: Flow,
    since: Instant,
}

/// What waits for a port, and what was dropped.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Waiting>,
    /// Peers for which something still waits, while what waits is sent; empty but for then. It keeps its
    /// memory, so that a flush does not allocate.
    held: Vec<u32>,
    dropped: u64,
}

impl Outbox {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many messages were dropped since the port was opened.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops the messages that wait, and counts them.
    pub(crate) fn clear(&mut self) {
        self.dropped += self.waiting.len() as u64;
        self.waiting.clear();
    }
}

/// The way out of a port. Nothing here blocks.
pub struct Outbound<'a> {
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) now: Instant,
}

impl Outbound<'_> {
    /// Sends a copy of `data`, 65,507 bytes at most.
    ///
    /// # Errors
    /// [`SendError::TooLong`]: `data` has more than 65,507 bytes. A full queue or an unknown peer is no
    /// error: see [`Sent`].
    pub fn send(&mut self, data: &[u8], to: SocketAddrV4) -> Result<Sent, SendError> {
        if data.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong { len: data.len() });
        }
        let flow = self.flow_to(to);
        // One frame's worth is copied once, behind its headers.
        if !self.is_behind(flow)
            && let Some(ends) = self.outlet.ends(flow, self.now)
            && self.outlet.send_small(data, &ends)
        {
            return Ok(Sent::Now);
        }
        let Some(mut buffer) = self.buffer() else { return Ok(self.drop_one()) };
        buffer.fill(data);
        Ok(self.send_buffer(buffer, to))
    }

    /// An empty buffer to write a message in place: by [`std::io::Write`], by `bytes::BufMut`, or block by
    /// block. `None`: all buffers are in flight. Poll, and ask again.
    pub fn buffer(&mut self) -> Option<SendBuffer> {
        self.outlet.sender.buffer()
    }

    /// Sends what was written to a buffer, without a copy.
    pub fn send_buffer(&mut self, buffer: SendBuffer, to: SocketAddrV4) -> Sent {
        self.put(Content::Buffer(buffer), to)
    }

    /// Sends a received message on from where it lies. Full frames are not copied. A message of one frame is
    /// copied behind its headers, which costs less. The payload is not summed: the message keeps the checksum
    /// that it arrived with, so that the next receiver detects whether its bytes changed on the way to this
    /// node. Its source is this node's address and UDP port. A message that lies where a device cannot read
    /// it in one piece is copied at once.
    pub fn forward(&mut self, message: Message, to: SocketAddrV4) -> Sent {
        self.try_forward(message, to).unwrap_or_else(|_| self.drop_one())
    }

    /// As [`Outbound::forward`], but a message that would be dropped comes back instead.
    ///
    /// # Errors
    /// The message: 256 wait already. Poll, and try again.
    pub fn try_forward(&mut self, message: Message, to: SocketAddrV4) -> Result<Sent, Message> {
        if self.forward_copy(&message, to) {
            return Ok(Sent::Now);
        }
        self.offer(Content::Message(message), to).map_err(|content| match content {
            Content::Message(message) => message,
            Content::Buffer(_) => unreachable!("what is offered comes back"),
        })
    }

    /// Sends a copy of a received message that makes one frame, with the checksum that it arrived with, and
    /// leaves the message. Returns whether it was sent: if it is longer, or cannot go now, nothing was sent.
    #[inline]
    pub fn forward_copy(&mut self, message: &Message, to: SocketAddrV4) -> bool {
        let flow = self.flow_to(to);
        message.len() < self.outlet.sender.config().geometry.stride()
            && !self.is_behind(flow)
            && self
                .outlet
                .ends(flow, self.now)
                .is_some_and(|ends| self.outlet.send_message_copied(message, &ends))
    }

    /// As [`Outbound::send_buffer`], but a buffer that would be dropped comes back instead.
    ///
    /// # Errors
    /// The buffer: 256 messages wait already. Poll, and try again.
    pub fn try_send_buffer(&mut self, buffer: SendBuffer, to: SocketAddrV4) -> Result<Sent, SendBuffer> {
        self.offer(Content::Buffer(buffer), to).map_err(|content| match content {
            Content::Buffer(buffer) => buffer,
            Content::Message(_) => unreachable!("what is offered comes back"),
        })
    }

    /// Messages that were dropped on the way out, since the port was opened.
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped
    }

    /// Messages that wait now.
    pub fn waiting(&self) -> usize {
        self.outbox.waiting.len()
    }

    fn drop_one(&mut self) -> Sent {
        self.outbox.dropped += 1;
        Sent::Dropped
    }

    fn flow_to(&self, to: SocketAddrV4) -> Flow {
        Flow { dst: to.ip().to_bits(), dst_port: to.port(), ..self.outlet.ours() }
    }

    /// Whether something waits for the same peer: nothing overtakes that.
    fn is_behind(&self, flow: Flow) -> bool {
        !self.outbox.is_empty() && self.outbox.waiting.iter().any(|other| other.flow.dst == flow.dst)
    }

    fn put(&mut self, content: Content, to: SocketAddrV4) -> Sent {
        self.offer(content, to).unwrap_or_else(|_| self.drop_one())
    }

    /// Sends, or has it wait.
    ///
    /// # Errors
    /// The content: as many wait already as may.
    fn offer(&mut self, content: Content, to: SocketAddrV4) -> Result<Sent, Content> {
        let flow = self.flow_to(to);
        let content = match if self.is_behind(flow) { Err(content) } else { self.go(content, flow) } {
            Ok(()) => return Ok(Sent::Now),
            Err(content) => content,
        };
        if self.outbox.waiting.len() >= WAITING {
            return Err(content);
        }
        // The time of the poll may be long past.
        self.outbox.waiting.push_back(Waiting { content, flow, since: Instant::now() });
        Ok(Sent::Waiting)
    }

    /// Sends what waits, as far as it can go now. Returns how many messages went or were dropped.
    pub(crate) fn flush(&mut self) -> usize {
        let mut done = 0;
        let mut held = std::mem::take(&mut self.outbox.held);
        for _ in 0..self.outbox.waiting.len() {
            let Some(Waiting { content, flow, since }) = self.outbox.waiting.pop_front() else { break };
            let content = match if held.contains(&flow.dst) { Err(content) } else { self.go(content, flow) } {
                Ok(()) => {
                    done += 1;
                    continue;
                }
                Err(content) => content,
            };
            if self.now.saturating_duration_since(since) > PATIENCE {
                done += 1;
                self.drop_one();
                continue;
            }
            held.push(flow.dst);
            self.outbox.waiting.push_back(Waiting { content, flow, since });
        }
        held.clear();
        self.outbox.held = held;
        done
    }

    fn go(&mut self, content: Content, flow: Flow) -> Result<(), Content> {
        let Some(ends) = self.outlet.ends(flow, self.now) else { return Err(content) };
        match content {
            Content::Buffer(buffer) => {
                self.outlet.send(buffer, &ends).map_err(|WouldBlock(b)| Content::Buffer(b))
            }
            Content::Message(message) => {
                let sent = self.outlet.send_message(message, &ends);
                sent.map(drop).map_err(|WouldBlock(m)| Content::Message(m))
            }
        }
    }
}
