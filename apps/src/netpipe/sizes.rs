//! Payload sizes in NetPIPE's way: powers of two, each with a neighbour below and above, where alignment and
//! the borders of caches and fragments show.
//!
//! [`super::options`] calls both functions. Sizes are 1 to 65,507 bytes. [`netpipe`] returns them in
//! ascending order and each once.

use lm_proto::wire::MAX_PAYLOAD;

/// The size of the paper's example, in five fragments.
const PAPER: usize = 7168;
/// The largest payload behind which an end tag has room.
pub(crate) const TAGGED: usize = 65_499;

/// Powers of two from `from` to `to`, those `perturbation` bytes off, the paper's 7168, and the largest two
/// there are.
pub(crate) fn netpipe(from: usize, to: usize, perturbation: usize) -> Vec<usize> {
    let near = |n: usize| [n.saturating_sub(perturbation), n, n.saturating_add(perturbation)];
    let powers = (0..=16).flat_map(|power| near(1 << power));
    let mut sizes: Vec<_> = powers.chain([PAPER, TAGGED, MAX_PAYLOAD]).collect();
    sizes.retain(|n| (from.max(1)..=to.min(MAX_PAYLOAD)).contains(n));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// `64,7168,65507`
pub(crate) fn list(text: &str) -> Result<Vec<usize>, String> {
    let one = |t: &str| t.trim().parse().ok().filter(|n| (1..=MAX_PAYLOAD).contains(n));
    let sizes: Option<Vec<usize>> = text.split(',').map(one).collect();
    sizes
        .ok_or_else(|| format!("give payload sizes of 1..={MAX_PAYLOAD} bytes, with commas, such as 64,7168"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_their_neighbours() {
        let all = netpipe(1, MAX_PAYLOAD, 3);
        assert!(all.starts_with(&[1, 2, 4, 5, 7, 8, 11, 13, 16, 19, 29, 32, 35]), "{all:?}");
        assert!(all.ends_with(&[32_771, TAGGED, MAX_PAYLOAD]), "{all:?}");
        assert!(all.contains(&PAPER) && all.is_sorted_by(|a, b| a < b));
        assert_eq!(netpipe(60, 130, 0), [64, 128]);
        assert!(netpipe(9, 9, 3).is_empty());
        assert_eq!(netpipe(60, 130, usize::MAX), [64, 128], "no number is too large");
    }

    #[test]
    fn lists() {
        assert_eq!(list("1, 7168,65507"), Ok(vec![1, 7168, 65_507]));
        for bad in ["", "0", "65508", "1,,2", "x"] {
            assert!(list(bad).expect_err(bad).contains("65507"));
        }
    }
}
