//! [`Outbound`]: the way out of a port, and what waits there.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};
use std::{error, fmt};

use lm_engine::{Message, SendBuffer, WouldBlock};
use lm_node::Outlet;
use lm_proto::wire::{Flow, MAX_PAYLOAD};

/// Messages that wait at most: for room in the transmit queue, for a hardware address, for admission.
const WAITING: usize = 256;
/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// It is in the transmit queue.
    Now,
    /// It waits, for room in the transmit queue, the peer's hardware address or admission; later polls send it. After 2 s it is
    /// dropped and counted.
    Waiting,
    /// It was dropped, and counted in [`Outbound::dropped`]: 256 wait already, or there is no buffer to copy it to.
    Dropped,
}

/// A message that cannot be sent at all.
///
/// ```
/// let error = lm::SendError::TooLong { len: 70_000 };
/// assert!(error.to_string().contains("65507"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// It is longer than any UDP datagram.
    TooLong {
        /// Its bytes.
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

impl error::Error for SendError {}

/// Something that waits.
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
    dropped: u64,
}

impl Outbox {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What was dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops what waits.
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
    /// [`SendError::TooLong`]: it can never be sent. That the queue is full or the peer unknown is no error: see [`Sent`].
    pub fn send(&mut self, data: &[u8], to: SocketAddrV4) -> Result<Sent, SendError> {
        if data.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong { len: data.len() });
        }
        let Some(mut buffer) = self.buffer() else { return Ok(self.drop_one()) };
        buffer.fill(data);
        Ok(self.send_buffer(buffer, to))
    }

    /// An empty buffer to write a message in place: by [`std::io::Write`], by `bytes::BufMut`, or block by block. `None`: all
    /// are in flight; poll, and ask again.
    pub fn buffer(&mut self) -> Option<SendBuffer> {
        self.outlet.sender.buffer()
    }

    /// Sends what was written, without a copy.
    pub fn send_buffer(&mut self, buffer: SendBuffer, to: SocketAddrV4) -> Sent {
        self.put(Content::Buffer(buffer), to)
    }

    /// Sends a received message on from where it lies, without a copy, from this node's address and UDP port. (A message that
    /// lies where a device cannot read it in one piece is copied.)
    pub fn forward(&mut self, message: Message, to: SocketAddrV4) -> Sent {
        self.put(Content::Message(message), to)
    }

    /// Messages that were dropped on the way out, since the port was opened.
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.outbox.waiting.len()
    }

    fn drop_one(&mut self) -> Sent {
        self.outbox.dropped += 1;
        Sent::Dropped
    }

    fn put(&mut self, content: Content, to: SocketAddrV4) -> Sent {
        let ours = self.outlet.ours();
        let flow = Flow { dst: to.ip().to_bits(), dst_port: to.port(), ..ours };
        // Nothing overtakes what waits for the same peer.
        let behind = self.outbox.waiting.iter().any(|other| other.flow.dst == flow.dst);
        let content = match if behind { Err(content) } else { self.go(content, flow) } {
            Ok(()) => return Sent::Now,
            Err(content) => content,
        };
        if self.outbox.waiting.len() >= WAITING {
            return self.drop_one();
        }
        self.outbox.waiting.push_back(Waiting { content, flow, since: self.now });
        Sent::Waiting
    }

    /// Sends what waits, as far as it can go now; how much went or was dropped.
    pub(crate) fn flush(&mut self) -> usize {
        let mut done = 0;
        let mut held: Vec<u32> = Vec::new();
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
        done
    }

    fn go(&mut self, content: Content, flow: Flow) -> Result<(), Content> {
        let Some(ends) = self.outlet.ends(flow, self.now) else { return Err(content) };
        match content {
            Content::Buffer(buffer) => {
                self.outlet.send(buffer, &ends).map_err(|WouldBlock(b)| Content::Buffer(b))
            }
            Content::Message(message) => match self.outlet.send_message(message, &ends) {
                Ok(()) => Ok(()),
                // With nothing in its way, it is the place where it lies that it cannot go from.
                Err(WouldBlock(message)) => {
                    if self.outlet.sender.flush() == 0 && self.outlet.send_copy(&message, &ends) {
                        return Ok(());
                    }
                    Err(Content::Message(message))
                }
            },
        }
    }
}
