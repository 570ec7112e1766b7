//! The values of `--ac`: `off`, `exclusive` and `per-receiver`.
//!
//! [`crate::port_options`] parses the option of lm-testpmd and lm-netpipe with [`policy`]. Any other word is
//! an error that lists the three.

use ac::Policy;

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

/// The same for lmd, whose other traffic cannot wait for a whole cluster.
pub(crate) fn per_receiver(text: &str) -> Result<Choice, String> {
    match policy(text) {
        Ok(None | Some(Policy::PerReceiver)) => policy(text),
        _ => Err("give off or per-receiver".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_their_names() {
        assert_eq!(policy("off"), Ok(None));
        assert_eq!(policy("exclusive"), Ok(Some(Policy::Exclusive)));
        assert_eq!(policy("per-receiver"), Ok(Some(Policy::PerReceiver)));
        assert_eq!(per_receiver("per-receiver"), Ok(Some(Policy::PerReceiver)));
        assert!(per_receiver("exclusive").is_err() && per_receiver("maybe").is_err());
        assert!(policy("maybe").expect_err("no policy").contains("per-receiver"));
    }
}
