//! [`View`]: what a report shows of admission control, as lines of text.
//!
//! The programs print these lines (`show ac`, `show ac list`). If the loop runs on another lcore,
//! [`Pump::views`](super::pump::Pump::views) returns the view.

use ac::Instant;
use ac::control::Control;

/// Lines of text about one port's admission control.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The lines of `show ac`.
    pub lines: Vec<String>,
    /// The lines of `show ac list`: the `LM_RECV_ADDR` list, an entry a line.
    pub list: Vec<String>,
}

impl View {
    /// What the pump knows. `clock` is the node's time.
    pub(crate) fn of(control: &Control, clock: Instant) -> Self {
        let node = control.node();
        let (c, config) = (node.counters(), node.config());
        let mut lines = vec![
            format!(
                "  policy={:?} node={} incarnation={} key={}",
                config.policy,
                config.node,
                config.incarnation,
                if config.key.is_some() { "set" } else { "none: whoever can send a frame is believed" }
            ),
            format!(
                "  messages: received={} sent={} malformed={} forged={} replayed={} stale={} unproven={} \
                 misdirected={} ignored={}",
                c.received,
                c.sent,
                c.malformed,
                c.forged,
                c.replayed,
                c.stale,
                c.unproven,
                c.misdirected,
                c.ignored
            ),
            format!(
                "  as applicant: granted={}; as receiver: opened={} queued={} refused={} expired={} \
                 withdrawn={} strays={} waiting={}",
                c.granted,
                c.opened,
                c.queued,
                c.refused,
                c.expired,
                c.withdrawn,
                c.strays,
                node.waiting()
            ),
            format!("  lives of others proven={}; own number taken anew={}", c.proven, c.renumbered),
            format!("  lost in channels={} unsent={}", control.lost(), c.unsent),
        ];
        for queue in 0..config.queues {
            if let Some((state, holder)) = node.landing(queue) {
                let holder = holder.map_or_else(|| "nobody".to_owned(), |holder| holder.to_string());
                lines.push(format!("  landing queue {queue}: {state:?}, held by {holder}"));
            }
        }
        let list = node.list().iter().map(|e| {
            let left = e.expires.since(clock);
            format!("  {} flag={:02b} grant={} expires in {left:?}", e.address, e.flag as u8, e.grant)
        });
        Self { lines, list: list.collect() }
    }

    /// Appends the lines of another view.
    pub fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.list.extend(other.list);
    }
}
