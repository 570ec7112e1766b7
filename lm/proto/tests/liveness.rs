//! What has to be delivered is delivered: a test for each line of the list in `lm_proto::mock::live`.
//!
//! A line of the list without a test fails, too.

use lm_proto::mock::live::ALL;

fn lives(name: &str) {
    let (_, cases) = ALL.iter().find(|(known, _)| *known == name).expect("a name of the list");
    let (mut failed, mut frames) = (Vec::new(), 0);
    let cases = cases();
    for case in &cases {
        match case.run() {
            Ok(outcome) => frames += outcome.frames,
            Err(e) => {
                let what = case.describe();
                failed.push(format!("{}\n    {e}", what.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(frames > 0 || !failed.is_empty(), "nothing was sent");
    let some: Vec<_> = failed.iter().take(12).cloned().collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases failed, among them\n{}",
        failed.len(),
        cases.len(),
        some.join("\n")
    );
}

macro_rules! list {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { lives($name); })*
        #[test]
        fn every_line_of_the_list_has_a_test() {
            let here = [$($name),*];
            assert!(ALL.iter().all(|(name, _)| here.contains(name)));
            assert_eq!(here.len(), ALL.len());
        }
    };
}

list! {
    lm_streams: "LM's streams, of every kind of length, in both layouts",
    singles: "single datagrams of every length about a stride, in both layouts",
    kernel_separate: "a kernel's streams in separate slots",
    kernel_pairs: "a kernel's two fragments in overlapping slots",
    kernel_pairs_after_a_loss: "a kernel's two fragments after a lost frame",
    reverse_in_time: "another stack's streams, polled in time",
    seventeen: "seventeen senders at once",
    sixty_four: "sixty-four senders at once",
    lm_after_a_loss: "LM's streams after a lost frame",
}
