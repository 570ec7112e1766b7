//! Decides whether enough pings came back for exit code 0.
//!
//! [`super::finish`] calls [`of_pings`] with the sums of all ports, and [`super::options`] parses
//! `--max-loss` with [`percent`]. The comparison is exact: it is made in whole hundredths of a percent.

use crate::engine_tally::EngineTally;

/// Hundredths of a percent, so that a loss is compared without rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Percent(u16);

impl Percent {
    const ALL: u128 = 10_000;
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{whole}.{}", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}"),
        }
    }
}

/// `0` to `100`, with up to two digits behind the point.
pub(crate) fn percent(text: &str) -> Result<Percent, String> {
    let digits = |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(());
    let parse = || {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        digits(whole).and(digits(rest)).filter(|()| rest.len() <= 2)?;
        let hundredths =
            whole.parse::<u32>().ok()?.checked_mul(100)? + format!("{rest:0<2}").parse::<u32>().ok()?;
        u16::try_from(hundredths).ok().filter(|&n| u128::from(n) <= Percent::ALL).map(Percent)
    };
    parse().ok_or_else(|| "give a percentage, 0 to 100, such as 0.5".to_owned())
}

/// Why the pings of a run failed, in one line; `None`: they did not. A datagram that came back with other
/// bytes counts as lost. `began`: the run was to send pings, so none at all is a failure.
pub(crate) fn of_pings(engine: &EngineTally, began: bool, most: Option<Percent>) -> Option<String> {
    let sum = |f: fn(&crate::engine_tally::PingTally) -> u64| engine.ping.values().map(f).sum::<u64>();
    let (answered, lost, other) = (sum(|p| p.round_trips.count()), sum(|p| p.lost), sum(|p| p.mismatched));
    let gone = lost + other;
    let asked = answered + gone;
    if answered == 0 {
        return (began || asked > 0).then(|| {
            format!(
                "not one ping came back: {lost} were lost, {other} came with other bytes; is the \
                 peer there, and does it echo?"
            )
        });
    }
    let most = most?;
    (u128::from(gone) * Percent::ALL > u128::from(asked) * u128::from(most.0)).then(|| {
        let share = 100.0 * gone as f64 / asked as f64;
        format!(
            "{gone} of {asked} pings ({share:.2} %) did not come back as they were sent, \
             --max-loss={most} may be: {lost} lost, {other} with other bytes"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pings(answered: u64, lost: u64, mismatched: u64) -> EngineTally {
        let mut engine = EngineTally::default();
        let ping = engine.ping.entry(64).or_default();
        (0..answered).for_each(|_| ping.round_trips.add(1000));
        (ping.lost, ping.mismatched) = (lost, mismatched);
        engine
    }

    #[test]
    fn percentages_are_strict() {
        for (text, value) in
            [("0", 0), ("100", 10_000), ("0.5", 50), ("12.34", 1234), ("007", 700), ("99.9", 9990)]
        {
            assert_eq!(percent(text), Ok(Percent(value)), "{text}");
        }
        for text in [
            "",
            "-1",
            "+1",
            "101",
            "100.01",
            "1e1",
            "nan",
            "5%",
            ".5",
            "5.",
            "1.234",
            " 1",
            "1,5",
            "99999999999",
        ] {
            assert!(percent(text).is_err_and(|why| why.contains("0 to 100")), "{text}");
        }
        for text in ["0", "0.5", "12.34", "100"] {
            assert_eq!(percent(text).map(|p| p.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_ping_that_lost_everything_has_failed() {
        for (lost, other) in [(3, 0), (0, 3), (1, 1)] {
            let why = of_pings(&pings(0, lost, other), true, None).expect("a failure");
            assert!(why.contains("not one ping came back") && !why.contains('\n'), "{why}");
        }
        assert!(of_pings(&EngineTally::default(), true, None).is_some(), "none was even sent");
        assert_eq!(of_pings(&EngineTally::default(), false, None), None, "none was to be sent");
        assert_eq!(of_pings(&pings(1, 1_000_000, 0), true, None), None, "one came back");
    }

    #[test]
    fn more_than_may_be_lost_is_a_failure() {
        let most = |text| percent(text).ok();
        assert_eq!(of_pings(&pings(100, 0, 0), true, most("0")), None);
        assert!(of_pings(&pings(99_999, 1, 0), true, most("0")).is_some());
        assert_eq!(of_pings(&pings(99, 1, 0), true, most("1")), None, "exactly as many as may be");
        let why = of_pings(&pings(98, 1, 1), true, most("1")).expect("too many");
        assert!(why.contains("2 of 100 pings (2.00 %)") && why.contains("--max-loss=1 "), "{why}");
        assert_eq!(of_pings(&pings(1, 99, 0), true, most("100")), None);
        assert!(of_pings(&pings(0, 99, 0), true, most("100")).is_some(), "all is never right");
    }
}
