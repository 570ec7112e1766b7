//! What may be delivered, by a model that is too simple to be fooled: it knows every frame as it was on the
//! wire, header and all, and overwrites nothing.
//!
//! A delivery is *sent* if frames on the wire make it by RFC 791: they agree in source, destination,
//! identification and protocol, each carries at its offset the bytes that were delivered there, they follow
//! each other without a gap, the last one says that no more follow, and the UDP checksum, if there is one, is
//! good. Where several frames have one place (equal identifications, duplicates) any choice counts that is
//! consistent.
//!
//! What is not sent is *forged*, and a failure, but for three cases in which the matcher has nothing to tell
//! it by. They are counted apart as [`Tally::joined`], and are failures too where [`Rules`] says that there
//! was something:
//!
//! - up to three pieces of untagged datagrams whose UDP checksum agrees (2⁻¹⁶ of all halves that meet by
//!   accident, all that are made to), where headers had been overwritten before anybody could read them;
//! - under the policy `tags`, on a queue that is not kept clean: tags tie the ends, nobody looks at the
//!   middle;
//! - a fragment that came twice, and lies in the place of a lost one of the same datagram that has the same
//!   bytes.
//!
//! A false alarm needs a collision: 2⁻²⁴ for a tag with a digest under the policy `tags` (its other bits are
//! not looked at), 2⁻³² for the 16-bit digest where no tag has room together with the checksum, 2⁻⁷² for tag,
//! digest and checksum.

use super::Delivered;
use crate::checksum;
use crate::layout::{Geometry, Layout, TAG};
use crate::policy::{Accept, Require, WholeBy};
use crate::tag::Identity;
use crate::wire::{self, ETHERNET, Flow, HEADERS, Ipv4, MIN_FRAME, UDP, Udp};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A fragment as its header has it.
#[derive(Clone)]
struct Fragment {
    ip: Ipv4,
    /// The two bits of RFC 3168.
    ecn: u8,
    data: Vec<u8>,
    /// Which frame on the wire it was.
    frame: usize,
    /// It was so before something damaged it: nothing that its header says counts where that header is read.
    original: bool,
}

/// Every frame that was on the wire.
#[derive(Default)]
pub struct Wire {
    frames: Vec<Vec<u8>>,
    /// By source and destination.
    fragments: HashMap<(u32, u32), Vec<Fragment>>,
}

/// What the matcher had to judge by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// The policy in force.
    pub require: Require,
    /// Whose datagrams are taken.
    pub accept: Accept,
    /// Every header could be read before anything overwrote it: separate slots, or bursts of one from a
    /// device that writes only when it is asked to.
    pub all_headers: bool,
    /// The queue is kept clean: one sender at a time, and frames get lost at most.
    pub clean: bool,
    /// Every slot was separate, or the datagram was repaired from headers: what RFC 3168 wants dropped can be
    /// told.
    pub ecn: bool,
}

/// What was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams that were sent.
    pub sent: usize,
    /// Pieces of several datagrams that nothing told apart.
    pub joined: usize,
}

impl Wire {
    /// A frame arrived as `frame`; `originals` are what it was before something damaged it: where its header
    /// was overwritten before anybody could read it, what it had been counts.
    pub fn record(&mut self, frame: &[u8], originals: &[Vec<u8>]) {
        let mut padded = frame.to_vec();
        padded.resize(frame.len().max(MIN_FRAME), 0);
        let number = self.frames.len();
        for form in std::iter::once(&padded).chain(originals) {
            if let Some(mut fragment) = parse(form, number) {
                fragment.original = !std::ptr::eq(form, &raw const padded);
                self.fragments.entry((fragment.ip.src, fragment.ip.dst)).or_default().push(fragment);
            }
        }
        self.frames.push(padded);
    }

    /// Frames so far.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Judges all that was delivered, and the strangers' frames that were handed out.
    ///
    /// # Errors
    /// The first thing that must not have been delivered or handed out.
    pub fn judge(
        &self,
        delivered: &[Delivered],
        strangers: &[Vec<u8>],
        rules: &Rules,
    ) -> Result<Tally, String> {
        let mut tally = Tally::default();
        let mut times: HashMap<(Flow, &[u8]), usize> = HashMap::new();
        for d in delivered {
            allowed(d, rules)?;
            let (firsts, sent) = self.is_sent(d, rules);
            if sent {
                tally.sent += 1;
            } else {
                if rules.ecn && self.is_sent(d, &Rules { ecn: false, ..*rules }).1 {
                    return Err(format!("{:?} mixes CE with fragments that are not ECN-capable", d.whole));
                }
                self.excused(d, rules).map_err(|e| format!("{:?} was never sent: {e}", d.whole))?;
                tally.joined += 1;
            }
            let often = times.entry((d.whole.flow, &d.payload)).or_default();
            *often += 1;
            if *often > firsts {
                return Err(format!("{:?} was delivered {often} times and sent {firsts} times", d.whole));
            }
        }
        let mut left: HashMap<&[u8], usize> = HashMap::new();
        if !strangers.is_empty() {
            self.frames.iter().for_each(|f| *left.entry(f).or_default() += 1);
        }
        for stranger in strangers {
            match left.get_mut(&stranger[..]) {
                Some(n) if *n > 0 => *n -= 1,
                Some(_) => {
                    return Err(format!("a stranger's frame was handed out too often: {}", hex(stranger)));
                }
                None => return Err(format!("a frame that nobody sent was handed out: {}", hex(stranger))),
            }
        }
        Ok(tally)
    }

    /// In how many frames the datagram's first fragment was, and whether there is all the rest of it.
    fn is_sent(&self, d: &Delivered, rules: &Rules) -> (usize, bool) {
        let flow = d.whole.flow;
        let Some(fragments) = self.fragments.get(&(flow.src, flow.dst)) else { return (0, false) };
        let mut datagram = vec![0; UDP + d.payload.len()];
        datagram[UDP..].copy_from_slice(&d.payload);
        let sum = checksum::sum(&d.payload);
        let (mut firsts, mut heads) = (HashSet::new(), HashSet::new());
        let seen = rules.all_headers || d.whole.by == WholeBy::Headers;
        let fragments = fragments.iter().filter(|f| !(seen && f.original));
        for f in fragments.clone().filter(|f| f.ip.offset == 0) {
            let Some(udp) = Udp::parse(&f.data) else { continue };
            let same = udp.src_port == flow.src_port
                && udp.dst_port == flow.dst_port
                && usize::from(udp.len) == datagram.len();
            datagram[..UDP].copy_from_slice(&f.data[..UDP]);
            if same && agrees(&datagram, f) {
                firsts.insert(f.frame);
                heads.insert((f.ip.id, udp.bytes()));
            }
        }
        let sent = heads.into_iter().any(|(id, head)| {
            let Some(udp) = Udp::parse(&head) else { return false };
            let good = match (d.whole.by, udp.checksum) {
                (WholeBy::Checksum, 0) => false,
                (_, 0) => true,
                // Under a policy of tags nobody sums the payload.
                (WholeBy::Tags, _) => true,
                _ => checksum::udp_ok(&flow, &udp, sum),
            };
            datagram[..UDP].copy_from_slice(&head);
            good && chain(&datagram, fragments.clone().filter(|f| f.ip.id == id), rules.ecn)
        });
        (firsts.len(), sent)
    }

    /// Whether nothing could tell that these are pieces of several datagrams.
    fn excused(&self, d: &Delivered, rules: &Rules) -> Result<(), String> {
        let (flow, stride) = (d.whole.flow, rules.geometry.stride());
        let fragments = self.fragments.get(&(flow.src, flow.dst)).map_or(&[][..], |f| f);
        let first = fragments.iter().find_map(|f| {
            let udp = Udp::parse(&f.data)?;
            let rest = &f.data[UDP..f.data.len().min(UDP + d.payload.len())];
            let ours = f.ip.offset == 0
                && (udp.src_port, udp.dst_port) == (flow.src_port, flow.dst_port)
                && usize::from(udp.len) == d.payload.len() + UDP
                && d.payload.starts_with(rest);
            ours.then_some((f.ip.id, udp))
        });
        let Some((ip_id, udp)) = first else {
            return Err("no frame of that source is its first fragment".to_owned());
        };
        let identity = Identity { flow, ip_id, udp_len: udp.len, udp_checksum: udp.checksum };
        let layout = Layout::of_udp(rules.geometry, d.payload.len() + UDP);
        let n = (d.payload.len() + UDP).div_ceil(stride);
        // The tag is its own, and one of its pieces came twice, in place of another one that was as it: what
        // is delivered is what was sent.
        let (mut tagged, mut own) = (false, true);
        let full = |i: usize| d.payload.get(i * stride - UDP..(i + 1) * stride - UDP);
        // Where one piece is as the other, one in another's place changes nothing.
        let alike = (2..n - 1).all(|i| full(i) == full(1));
        for i in 1..n {
            let piece = &d.payload[i * stride - UDP..d.payload.len().min((i + 1) * stride - UDP)];
            let mut carriers =
                self.frames.iter().filter(|f| f.get(HEADERS..).is_some_and(|p| p.starts_with(piece)));
            if carriers.clone().next().is_none() {
                return Err(format!("no frame carried its piece {i} of {n}"));
            }
            own &= fragments.iter().any(|f| f.ip.id == ip_id && f.data.starts_with(piece));
            // Its tag, or the tag of the datagram that it was a piece of.
            if let Some(at) = layout.tag().filter(|at| at / stride == i) {
                tagged = carriers.all(|f| {
                    let tag = f[HEADERS..].get(at % stride..).and_then(|t| t.first_chunk::<TAG>());
                    tag.is_some_and(|t| matches!(t[0], 0x10 | 0x11) || identity.check(*t).is_some())
                });
            }
        }
        match d.whole.by {
            WholeBy::Tags if rules.clean => Err("its ends agree, on a queue that is kept clean".to_owned()),
            WholeBy::Tags => Ok(()),
            WholeBy::Headers => Err("headers are said to have been seen".to_owned()),
            WholeBy::Checksum if rules.all_headers => Err("headers told its pieces apart".to_owned()),
            WholeBy::Checksum if tagged && !(own && alike) => Err("a tag told its pieces apart".to_owned()),
            WholeBy::Checksum if n > 3 && !alike => {
                Err("nothing proves the order of so many pieces".to_owned())
            }
            WholeBy::Checksum => Ok(()),
        }
    }
}

/// What needs no frame to be wrong.
fn allowed(d: &Delivered, rules: &Rules) -> Result<(), String> {
    let whole = &d.whole;
    let Require { headers, checksum, tags } = rules.require;
    let in_force = match whole.by {
        WholeBy::Headers => headers,
        WholeBy::Checksum => checksum,
        WholeBy::Tags => tags,
    };
    if !in_force {
        return Err(format!("{whole:?} is whole by what the policy {:?} does not take", rules.require));
    }
    if whole.len != d.payload.len() {
        return Err(format!("{whole:?} has {} bytes", d.payload.len()));
    }
    if !rules.accept.takes(&whole.flow) {
        return Err(format!("{whole:?} is for somebody else: {:?}", rules.accept));
    }
    Ok(())
}

fn hex(frame: &[u8]) -> String {
    let head: Vec<_> = frame.iter().take(42).map(|b| format!("{b:02x}")).collect();
    format!("{} bytes, {}", frame.len(), head.concat())
}

/// Whether a fragment carries what the datagram has at its place; what lies behind the datagram is anybody's.
fn agrees(datagram: &[u8], fragment: &Fragment) -> bool {
    let start = fragment.ip.offset as usize;
    let end = (start + fragment.data.len()).min(datagram.len());
    start >= end || datagram[start..end] == fragment.data[..end - start]
}

/// Whether these fragments, laid end to end, make the datagram.
fn chain<'a>(datagram: &[u8], fragments: impl Iterator<Item = &'a Fragment>, ecn: bool) -> bool {
    let mut by_offset: BTreeMap<usize, Vec<&Fragment>> = BTreeMap::new();
    for f in fragments.filter(|f| !f.data.is_empty() && agrees(datagram, f)) {
        by_offset.entry(f.ip.offset as usize).or_default().push(f);
    }
    // How far a chain reaches, and with which ECN fields: a bit for each of the sixteen sets of them.
    let mut reached: BTreeMap<usize, u16> = BTreeMap::from([(0, 1)]);
    while let Some((at, sets)) = reached.pop_first() {
        for f in by_offset.get(&at).into_iter().flatten() {
            let with = (0..16_u16)
                .filter(|set| sets & 1 << set != 0)
                .map(|set| set | 1 << f.ecn)
                .filter(|&set| !ecn || !is_mixed(set))
                .fold(0, |all, set| all | 1 << set);
            let end = at + f.data.len();
            if !f.ip.more && end >= datagram.len() && with != 0 {
                return true;
            }
            if f.ip.more && with != 0 {
                *reached.entry(end).or_default() |= with;
            }
        }
    }
    false
}

/// RFC 3168, section 5.3: congestion was marked on a fragment, and another one is not ECN-capable.
fn is_mixed(set: u16) -> bool {
    set & 0b1001 == 0b1001
}

fn parse(frame: &[u8], number: usize) -> Option<Fragment> {
    // A priority tag is no part of a network.
    let mut at = ETHERNET;
    if wire::ether_type(frame)? == 0x8100 && frame.len() >= 18 && wire::be16(frame, 14) & 0xfff == 0 {
        at += 4;
    }
    if frame.len() < at + wire::IPV4 || wire::be16(frame, at - 2) != wire::TYPE_IPV4 {
        return None;
    }
    let ip = Ipv4::parse(&frame[at..], frame.len() - at).ok()?;
    if ip.protocol != wire::PROTO_UDP {
        return None;
    }
    let ecn = frame[at + 1] & 3;
    let start = at + usize::from(ip.header_len);
    let data = frame[start..start + usize::from(ip.payload_len)].to_vec();
    Some(Fragment { ip, ecn, data, frame: number, original: false })
}
