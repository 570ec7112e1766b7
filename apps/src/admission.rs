//! [`Admission`]: admission control of one port (`--ac`). The pump runs inline, between two polls of the port.
//!
//! Before a datagram goes to a destination, it is asked for; until the answer is there nothing is sent to it. With a
//! grant, flush frames go first: they push the receiver's ring on to the slots that overlap. Without one, datagrams go
//! the ordinary way, or, where the destination lands for somebody else, not at all for a while.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ac::control::{Answer, Caller, Control, Lane, Order};
use ac::{Config, Event, Grant, Key, Node, NodeId, Policy};
use lm::Receiver;
use lm::wire::{Flow, IPV4, MIN_FRAME, UDP, ethernet};
use pmd_e1000::SlotLayout;

/// What `--ac` chooses; `None`: off.
pub(crate) type Choice = Option<Policy>;

/// The policy of `--ac`.
pub(crate) fn policy(text: &str) -> Result<Choice, String> {
    match text {
        "off" => Ok(None),
        "exclusive" => Ok(Some(Policy::Exclusive)),
        "per-receiver" => Ok(Some(Policy::PerReceiver)),
        _ => Err("give off, exclusive or per-receiver".to_owned()),
    }
}

/// A cluster's key: a file of 32 bytes, or of 64 hexadecimal digits.
pub(crate) fn key(path: &Path) -> Result<Key, String> {
    let wrong = || format!("--ac-key-file={}: a key is 32 bytes, or 64 hexadecimal digits", path.display());
    let bytes = std::fs::read(path).map_err(|e| format!("--ac-key-file={}: {e}", path.display()))?;
    if let Ok(key) = <[u8; 32]>::try_from(&bytes[..]) {
        return Ok(Key::new(key));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?.trim();
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Key::new(key))
}

/// What became of a destination.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// It was asked for, since then; the answer may be lost with its channel.
    Asked(Instant),
    /// Datagrams land. So many flush frames are still to go first.
    Granted { grant: Grant, flush: u16 },
    /// Datagrams go the ordinary way; it is asked for again at this moment.
    Ordinary(Instant),
    /// Nothing goes; it is asked for again at this moment.
    Cancelled(Instant),
}

/// A destination.
#[derive(Clone, Copy, Debug)]
struct Destination {
    address: u32,
    standing: Standing,
    used: Instant,
}

/// What may be sent to a destination now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Datagrams.
    Send,
    /// First so many flush frames: see [`Admission::flushed`].
    Flush(u16),
    /// Nothing.
    Wait,
}

/// After a refusal, or while datagrams go the ordinary way, a destination is asked for again after this.
const AGAIN: Duration = Duration::from_millis(20);
/// An answer that is later than this was lost.
const LOST: Duration = Duration::from_secs(2);
/// A grant that has not been used for so long is released.
const IDLE: Duration = Duration::from_millis(5);
/// What a request names as its size: a stream of unknown length.
const SIZE: u64 = 1 << 20;

/// Admission control of a port.
#[derive(Debug)]
pub(crate) struct Admission {
    control: Control,
    lane: Lane,
    caller: Caller,
    /// The node's clock begins here.
    start: Instant,
    /// Whether the device lets slots overlap.
    overlap: bool,
    destinations: Vec<Destination>,
}

/// What a report shows of it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Lines of `show ac`.
    pub(crate) lines: Vec<String>,
    /// Lines of `show ac list`.
    pub(crate) list: Vec<String>,
}

impl Admission {
    /// Admission control of the node with this address, whose ring has `ring` descriptors.
    pub(crate) fn new(
        address: u32,
        policy: Policy,
        key: Option<Key>,
        ring: u16,
        overlap: bool,
    ) -> Result<Self, String> {
        // Larger than in any earlier life.
        let life = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let config = Config { key, flush: ring, ..Config::new(NodeId(address.into()), life, policy) };
        let node = Node::new(config, ac::Instant::ZERO).map_err(|e| format!("--ac: {e}"))?;
        let mut control = Control::new(node);
        let (lane, caller) = (control.lane(), control.caller());
        Ok(Self { control, lane, caller, start: Instant::now(), overlap, destinations: Vec::new() })
    }

    fn clock(&self, now: Instant) -> ac::Instant {
        ac::Instant::from_nanos(now.saturating_duration_since(self.start).as_nanos() as u64)
    }

    /// A datagram to [`ac::PORT`] was received. Flush frames have nothing in them.
    pub(crate) fn received(&self, payload: &[u8]) {
        if !payload.is_empty() {
            self.lane.received(payload);
        }
    }

    /// One turn: what the node has to say is obeyed; `transmit` sends a control message.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        receivers: &mut [Receiver],
        mut transmit: impl FnMut(NodeId, &[u8]),
    ) {
        self.control.turn(self.clock(now));
        while let Some(order) = self.lane.order() {
            match order {
                Order::Transmit { to, message } => transmit(to, message.bytes()),
                Order::Open { queue, .. } if self.overlap => lay(receivers, queue, SlotLayout::Overlapping),
                Order::Open { .. } => {}
                Order::Close { queue } => lay(receivers, queue, SlotLayout::Separate),
            }
        }
        while let Some(answer) = self.caller.answer() {
            self.hear(answer, now);
        }
        let idle = |d: &&mut Destination| now.saturating_duration_since(d.used) > IDLE;
        for d in self.destinations.iter_mut().filter(idle) {
            if matches!(d.standing, Standing::Granted { .. })
                && self.caller.release(NodeId(d.address.into())).is_ok()
            {
                d.standing = Standing::Cancelled(now);
            }
        }
        self.destinations.retain(|d| now.saturating_duration_since(d.used) < LOST);
    }

    fn hear(&mut self, answer: Answer, now: Instant) {
        let (to, standing) = match answer {
            Answer::Taken { .. } => return,
            Answer::NotTaken { to, why } => {
                log::debug!("{to} was not asked for: {why}");
                (to, Standing::Cancelled(now + AGAIN))
            }
            Answer::Event(event) => match event {
                Event::Granted { to, grant, .. } => (to, Standing::Granted { grant, flush: grant.flush }),
                Event::Renewed { to, until, .. } => {
                    if let Some(Standing::Granted { grant, .. }) = self.standing_mut(to) {
                        grant.until = until;
                    }
                    return;
                }
                Event::Ordinary { to, .. } => (to, Standing::Ordinary(now + AGAIN)),
                Event::Unanswered { to, .. } => {
                    log::warn!("{to} does not answer admission control: is --ac on there?");
                    (to, Standing::Cancelled(now + AGAIN))
                }
                Event::Cancelled { to, .. } => (to, Standing::Cancelled(now + AGAIN)),
                Event::Revoked { to, .. } | Event::Lapsed { to, .. } => {
                    log::warn!("the grant for {to} has ended before its time");
                    (to, Standing::Cancelled(now + AGAIN))
                }
                _ => return,
            },
        };
        if let Some(place) = self.standing_mut(to) {
            *place = standing;
        }
    }

    fn standing_mut(&mut self, to: NodeId) -> Option<&mut Standing> {
        self.destinations.iter_mut().find(|d| u64::from(d.address) == to.0).map(|d| &mut d.standing)
    }

    /// What may be sent to this address. It is asked for, if it was not.
    pub(crate) fn may(&mut self, address: u32, now: Instant) -> May {
        let clock = self.clock(now);
        let known = self.destinations.iter().position(|d| d.address == address);
        if known.is_none() && self.destinations.len() >= self.control.node().config().nodes {
            // Who echoes is asked by addresses that a stranger makes up.
            return May::Wait;
        }
        let at = known.unwrap_or_else(|| {
            let standing = Standing::Cancelled(now);
            self.destinations.push(Destination { address, standing, used: now });
            self.destinations.len() - 1
        });
        let d = &mut self.destinations[at];
        d.used = now;
        let ask = match d.standing {
            Standing::Granted { grant, .. } if grant.until <= clock => return May::Wait,
            Standing::Granted { flush: 0, .. } => return May::Send,
            Standing::Granted { flush, .. } => return May::Flush(flush),
            Standing::Asked(since) => now.saturating_duration_since(since) >= LOST,
            Standing::Ordinary(again) | Standing::Cancelled(again) => now >= again,
        };
        let may = if matches!(d.standing, Standing::Ordinary(_)) { May::Send } else { May::Wait };
        if ask && self.caller.request(NodeId(address.into()), SIZE, 0).is_ok() {
            d.standing = Standing::Asked(now);
            return May::Wait;
        }
        may
    }

    /// So many flush frames have gone.
    pub(crate) fn flushed(&mut self, address: u32, frames: u16) {
        if let Some(Standing::Granted { flush, .. }) = self.standing_mut(NodeId(address.into())) {
            *flush = flush.saturating_sub(frames);
        }
    }

    /// Ends all grants: forwarding ends.
    pub(crate) fn release_all(&mut self) {
        for d in self.destinations.drain(..) {
            // If the channel is full the lease runs out.
            let _ = self.caller.release(NodeId(d.address.into()));
        }
    }

    /// What there is to show.
    pub(crate) fn view(&self) -> View {
        let node = self.control.node();
        let c = node.counters();
        let (config, clock) = (node.config(), self.clock(Instant::now()));
        let mut lines = vec![
            format!(
                "  policy={:?} node={} incarnation={} key={}",
                config.policy,
                config.node,
                config.incarnation,
                if config.key.is_some() { "set" } else { "none: whoever can send a frame is believed" }
            ),
            format!(
                "  messages: received={} sent={} malformed={} forged={} replayed={} stale={} misdirected={} ignored={}",
                c.received, c.sent, c.malformed, c.forged, c.replayed, c.stale, c.misdirected, c.ignored
            ),
            format!(
                "  as applicant: granted={}; as receiver: opened={} refused={} expired={} withdrawn={} waiting={}",
                c.granted,
                c.opened,
                c.refused,
                c.expired,
                c.withdrawn,
                node.waiting()
            ),
            format!("  lost in channels={} unsent={}", self.control.lost(), c.unsent),
            format!("  time to grant: {}", self.control.latency()),
        ];
        for queue in 0..config.queues {
            if let Some((state, holder)) = node.landing(queue) {
                let holder = holder.map_or_else(|| "nobody".to_owned(), |holder| holder.to_string());
                lines.push(format!("  landing queue {queue}: {state:?}, held by {holder}"));
            }
        }
        lines.extend(self.destinations.iter().map(|d| {
            format!("  destination {}: {:?}", std::net::Ipv4Addr::from_bits(d.address), d.standing)
        }));
        let list = node.list().iter().map(|e| {
            let left = e.expires.since(clock);
            format!("  {} flag={:02b} grant={} expires in {left:?}", e.address, e.flag as u8, e.grant)
        });
        View { lines, list: list.collect() }
    }
}

fn lay(receivers: &mut [Receiver], queue: u8, layout: SlotLayout) {
    if let Some(receiver) = receivers.get_mut(usize::from(queue)) {
        receiver.set_layout(layout);
    }
}

/// Who a control message comes from and goes to.
pub(crate) fn control_flow(src: u32, to: NodeId) -> Flow {
    let dst = if to == NodeId::ALL { u32::MAX } else { u32::try_from(to.0).unwrap_or(u32::MAX) };
    Flow { src, dst, src_port: ac::PORT, dst_port: ac::PORT }
}

/// The shortest frame that there is: a datagram to [`ac::PORT`] with nothing in it.
pub(crate) fn flush_frame(flow: Flow, src: lm::wire::Mac, dst: lm::wire::Mac) -> [u8; MIN_FRAME] {
    let mut frame = [0; MIN_FRAME];
    let (ether, rest) = frame.split_at_mut(14);
    if let Some(ether) = ether.first_chunk_mut() {
        ethernet(ether, dst, src, lm::wire::TYPE_IPV4);
    }
    let ip = lm::wire::Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id: 0,
        protocol: lm::wire::PROTO_UDP,
        ttl: 64,
        more: false,
        offset: 0,
        header_len: IPV4 as u8,
        payload_len: UDP as u16,
    };
    if let Some(header) = rest.first_chunk_mut() {
        ip.emit(header);
    }
    let udp = lm::wire::Udp { src_port: ac::PORT, dst_port: ac::PORT, len: UDP as u16, checksum: 0 };
    rest[IPV4..IPV4 + UDP].copy_from_slice(&udp.bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_their_names() {
        assert_eq!(policy("off"), Ok(None));
        assert_eq!(policy("exclusive"), Ok(Some(Policy::Exclusive)));
        assert_eq!(policy("per-receiver"), Ok(Some(Policy::PerReceiver)));
        assert!(policy("maybe").expect_err("no policy").contains("per-receiver"));
    }

    #[test]
    fn keys_are_32_bytes_or_64_digits() {
        let path = std::env::temp_dir().join(format!("lm-key-{}", std::process::id()));
        for (text, good) in [
            (&[7_u8; 32][..], true),
            (&[b'a'; 64], true),
            (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", true),
            (&[b'x'; 64], false),
            (b"secret", false),
        ] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(key(&path).is_ok(), good, "{text:?}");
        }
        std::fs::remove_file(&path).expect("was there");
        assert!(key(&path).expect_err("gone").contains("--ac-key-file"));
    }

    #[test]
    fn flush_frames_are_good_packets() {
        let flow = control_flow(1, NodeId(2));
        let frame = flush_frame(flow, [1; 6], [2; 6]);
        let ip = lm::wire::Ipv4::parse(&frame[14..], 46).expect("IPv4");
        assert_eq!((ip.src, ip.dst, ip.payload_len), (1, 2, 8));
        assert_eq!(control_flow(1, NodeId::ALL).dst, u32::MAX);
    }
}
