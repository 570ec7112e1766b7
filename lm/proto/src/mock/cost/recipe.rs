//! [`Recipe`]: a stream of frames as a short list of numbers, which the search for expensive streams changes.
//!
//! A recipe is a list of genes. A [`Gene`] says which kind of frame, how many of them, and what differs
//! between them. [`KNOWN`] has attacks that were found and a good stream. The same recipe gives the same
//! frames.

use crate::alf::ChecksumMode;
use crate::layout::{Geometry, Layout, TAG};
use crate::mock::frames::{fragment, lm_frames, of_protocol, plain_frames};
use crate::mock::random::Random;
use crate::tag::Identity;
use crate::wire::{Flow, HEADERS, UDP, Udp};

/// A kind of frame. `a` and `b` are the numbers of its [`Gene`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// The last fragment of a datagram of `a` fragments, with a tag that the next first fragments agree with
    /// if `b` is odd.
    Last,
    /// A full frame that is neither first nor last. All belong to one datagram, or, if `a` is odd, each
    /// belongs to another one.
    Middle,
    /// The first fragment of a datagram of `a` fragments. Each belongs to another datagram. If `b` is odd,
    /// tags were sent for the first ones.
    First,
    /// A fragment of 8 bytes at place `a`, of `b` datagrams in turn.
    Tiny,
    /// A last fragment of 9 bytes: a run that ends at once.
    End,
    /// A frame that is no datagram, of `a` eighths of a full frame.
    Stranger,
    /// A good datagram of LM's, of `a` fragments.
    Good,
    /// A good datagram of a kernel's, of `a` fragments.
    Kernel,
    /// A kernel's datagram of `a` fragments without its end.
    Unfinished,
    /// A datagram in one frame whose checksum is wrong.
    Wrong,
    /// Zeroes where a header should be.
    Broken,
    /// The frame before, once more.
    Again,
}

impl Tile {
    const ALL: [Self; 12] = [
        Self::Last,
        Self::Middle,
        Self::First,
        Self::Tiny,
        Self::End,
        Self::Stranger,
        Self::Good,
        Self::Kernel,
        Self::Unfinished,
        Self::Wrong,
        Self::Broken,
        Self::Again,
    ];
}

/// A number of frames of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gene {
    /// Which kind.
    pub tile: Tile,
    /// How many.
    pub count: u8,
    /// A number whose meaning depends on the kind.
    pub a: u8,
    /// Another one.
    pub b: u8,
    /// How often this gene and the one before it come in turn.
    pub turns: u8,
}

const fn gene(tile: Tile, count: u8, a: u8, b: u8, turns: u8) -> Gene {
    Gene { tile, count, a, b, turns }
}

/// A list of genes, whose frames are sent again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe(pub Vec<Gene>);

/// Attacks that were found, and a good stream to compare them with.
pub const KNOWN: [(&str, &[Gene]); 9] = [
    ("a stream of LM's", &[gene(Tile::Good, 1, 5, 0, 1)]),
    (
        "first fragments that close nothing, in a log full of full frames",
        &[
            gene(Tile::Last, 4, 44, 0, 1),
            gene(Tile::Middle, 52, 0, 0, 1),
            gene(Tile::End, 1, 0, 0, 1),
            gene(Tile::First, 1, 44, 0, 95),
        ],
    ),
    (
        "the same with tags that agree",
        &[
            gene(Tile::Last, 4, 44, 1, 1),
            gene(Tile::Middle, 52, 0, 0, 1),
            gene(Tile::End, 1, 0, 0, 1),
            gene(Tile::First, 1, 44, 1, 95),
        ],
    ),
    (
        "the same with few fragments",
        &[
            gene(Tile::Last, 4, 3, 1, 1),
            gene(Tile::Middle, 100, 1, 0, 1),
            gene(Tile::End, 1, 0, 0, 1),
            gene(Tile::First, 1, 3, 1, 70),
        ],
    ),
    ("tiny fragments of many datagrams", &[gene(Tile::Tiny, 200, 0, 200, 1)]),
    ("tiny fragments of one datagram", &[gene(Tile::Tiny, 200, 200, 0, 1)]),
    (
        "each frame a first fragment that is summed in vain",
        &[gene(Tile::Last, 1, 44, 0, 1), gene(Tile::First, 44, 44, 0, 1)],
    ),
    ("beginnings of a kernel's datagrams", &[gene(Tile::Unfinished, 1, 3, 0, 1)]),
    ("strangers between", &[gene(Tile::Middle, 1, 0, 0, 1), gene(Tile::Stranger, 1, 1, 0, 60)]),
];

impl Recipe {
    /// A random recipe: a known one, or one of random genes.
    pub fn any(random: &mut Random) -> Self {
        if random.once_in(2) {
            let (_, genes) = KNOWN[random.below(KNOWN.len())];
            return Self(genes.to_vec());
        }
        let n = random.within(1, 6);
        Self((0..n).map(|_| any_gene(random)).collect())
    }

    /// A recipe that differs a little from this one.
    pub fn changed(&self, random: &mut Random) -> Self {
        let mut genes = self.0.clone();
        for _ in 0..random.within(1, 3) {
            let at = random.below(genes.len());
            match random.below(6) {
                0 if genes.len() < 10 => genes.insert(at, any_gene(random)),
                1 if genes.len() > 1 => drop(genes.remove(at)),
                2 => {
                    let other = random.below(genes.len());
                    genes.swap(at, other);
                }
                3 => genes[at] = any_gene(random),
                _ => {
                    let new = any_gene(random);
                    let gene = &mut genes[at];
                    match random.below(4) {
                        0 => gene.count = new.count,
                        1 => gene.a = new.a,
                        2 => gene.b = new.b,
                        _ => gene.turns = new.turns,
                    }
                }
            }
        }
        Self(genes)
    }
}

fn any_gene(random: &mut Random) -> Gene {
    let few = |random: &mut Random| -> u8 {
        random.pick(&[0, 1, 1, 2, 3, 4, 5, 8, 16, 17, 32, 44, 45, 52, 64, 100, 200, 255])
    };
    Gene {
        tile: random.pick(&Tile::ALL),
        count: few(random).max(1),
        a: few(random),
        b: few(random),
        turns: random.pick(&[1, 1, 1, 2, 10, 60, 95]),
    }
}

const A: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };

/// Makes frames out of recipes.
pub(super) struct Kitchen {
    geometry: Geometry,
    id: u16,
    /// First fragments since the recipe began.
    firsts: u16,
    filler: Vec<u8>,
    last: Vec<u8>,
}

impl Kitchen {
    pub(super) fn new(geometry: Geometry) -> Self {
        let filler = (0..70_000).map(|i| (i * 7) as u8).collect();
        Self { geometry, id: 0, firsts: 0, filler, last: fragment(A, 0, 8, false, &[0; 9]) }
    }

    /// The frames of a recipe, once. Identifications go on.
    pub(super) fn cook(&mut self, Recipe(genes): &Recipe) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.id = self.id.wrapping_add(256);
        self.firsts = 0;
        for (i, gene) in genes.iter().enumerate() {
            for turn in 0..gene.turns {
                if turn > 0 && i > 0 {
                    self.add(&genes[i - 1], &mut out);
                }
                self.add(gene, &mut out);
                if out.len() > 2000 {
                    return out;
                }
            }
        }
        out
    }

    fn add(&mut self, gene: &Gene, out: &mut Vec<Vec<u8>>) {
        for k in 0..u16::from(gene.count) {
            self.frames(gene, k, out);
        }
        if let Some(last) = out.last() {
            self.last.clone_from(last);
        }
    }

    /// A datagram of `a` fragments whose last one is of some length, as far as it can be.
    fn layout(&self, a: u8) -> Layout {
        let n = usize::from(a).clamp(1, self.geometry.max_fragments());
        let len = (n - 1) * self.geometry.stride() + 400;
        Layout::new(self.geometry, len.min(65_000)).unwrap_or(Layout::plain(self.geometry, 100))
    }

    fn udp(layout: &Layout) -> Udp {
        let len = layout.udp_len() as u16;
        Udp { src_port: A.src_port, dst_port: A.dst_port, len, checksum: 0x1234 }
    }

    fn frames(&mut self, gene: &Gene, k: u16, out: &mut Vec<Vec<u8>>) {
        let (stride, g) = (self.geometry.stride(), self.geometry);
        let (a, odd) = (gene.a, gene.b % 2 == 1);
        let id = self.id.wrapping_add(k);
        match gene.tile {
            Tile::Last => {
                let layout = self.layout(a);
                let n = layout.fragments();
                let mut data = self.filler[..layout.fragment_len(n - 1)].to_vec();
                if odd && data.len() >= TAG {
                    let udp = Self::udp(&layout);
                    let i = Identity { flow: A, ip_id: id, udp_len: udp.len, udp_checksum: udp.checksum };
                    let at = data.len() - TAG;
                    data[at..].copy_from_slice(&i.tag(Some(7)));
                }
                out.push(fragment(A, 60_000, ((n - 1) * stride) as u32, false, &data));
            }
            Tile::Middle => {
                let id = if a % 2 == 1 { id } else { 60_001 };
                out.push(fragment(A, id, stride as u32, true, &self.filler[..stride]));
            }
            Tile::First => {
                let layout = self.layout(a);
                let mut data = self.filler[..stride].to_vec();
                data[..UDP].copy_from_slice(&Self::udp(&layout).bytes());
                let own = self.id.wrapping_add(self.firsts);
                self.firsts += 1;
                let id = if odd { own } else { own ^ 0x8000 };
                out.push(fragment(A, id, 0, true, &data));
            }
            Tile::Tiny => {
                let of = u16::from(gene.b).max(1);
                let offset = 8 * (1 + u32::from(k / of) % u32::from(a.max(1)));
                out.push(fragment(A, self.id.wrapping_add(k % of), offset, true, &self.filler[..8]));
            }
            Tile::End => out.push(fragment(A, 60_002, 8, false, &self.filler[..9])),
            Tile::Stranger => {
                let len = HEADERS + stride * usize::from(a.min(8)) / 8;
                out.push(of_protocol(A, 6, len, &self.filler));
            }
            Tile::Good => {
                let n = usize::from(a).clamp(1, 8);
                let payload = &self.filler[..n * stride - stride / 4];
                out.extend(lm_frames(g, A, id, payload, ChecksumMode::Full));
            }
            Tile::Kernel => {
                let n = usize::from(a).clamp(1, 8);
                out.extend(plain_frames(g, A, id, &self.filler[..n * stride - stride / 4]));
            }
            Tile::Unfinished => {
                let n = usize::from(a).clamp(2, 8);
                let mut frames = plain_frames(g, A, id, &self.filler[..n * stride - stride / 4]);
                frames.pop();
                out.extend(frames);
            }
            Tile::Wrong => {
                let len = stride * usize::from(a.clamp(1, 8)) / 8;
                let mut data = self.filler[..len].to_vec();
                let udp = Udp { len: len as u16, ..Self::udp(&self.layout(1)) };
                data[..UDP].copy_from_slice(&udp.bytes());
                out.push(fragment(A, id, 0, false, &data));
            }
            Tile::Broken => {
                let len = HEADERS + stride * usize::from(a.min(8)) / 8;
                let mut frame = of_protocol(A, 17, len, &self.filler);
                frame[24] ^= 1;
                out.push(frame);
            }
            Tile::Again => out.push(out.last().unwrap_or(&self.last).clone()),
        }
    }
}
