//! The table of transitions, in full: a snapshot of every state × input, and the diagrams in the docs.
//!
//! `UPDATE=1 cargo test -p ac --test table` writes both anew; the difference is then read, not believed.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use ac::machine::{Action, Input, Policy, State, TABLE, transition};

/// The file has `text`, or is given it.
fn pinned(path: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, text).expect("writes");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == text,
        "{} is not what the table makes: UPDATE=1, and read the difference",
        path.display()
    );
}

fn every_place(policy: Policy) -> String {
    let mut text = format!("{policy:?}\n");
    for state in State::EVERY {
        for input in Input::EVERY.into_iter().filter(|i| i.is_applicant() == state.is_applicant()) {
            let after = match transition(policy, state, input) {
                Some(t) => format!("{:?} {:?}", t.to, t.actions),
                None => "-".to_owned(),
            };
            let (state, input) = (format!("{state:?}"), format!("{input:?}"));
            writeln!(text, "{state:<12}{input:<16}{after}").expect("a string");
        }
    }
    text
}

#[test]
fn every_state_and_input() {
    let text = [Policy::Exclusive, Policy::PerReceiver].map(every_place).join("\n");
    pinned(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transitions.txt"), &text);
}

/// A mermaid diagram of one role: arrows of one pair of states share a line; what changes no state is left
/// out.
fn diagram(applicant: bool) -> String {
    let mut text =
        format!("```mermaid\nstateDiagram-v2\n    [*] --> {}\n", if applicant { "Idle" } else { "Resting" });
    let rows = || TABLE.iter().filter(|t| t.from.is_applicant() == applicant && t.from != t.to);
    for from in State::EVERY {
        for to in State::EVERY {
            let labels: Vec<String> = rows()
                .filter(|t| (t.from, t.to) == (from, to))
                .map(|t| match t.policy {
                    None => format!("{:?}", t.on),
                    Some(Policy::Exclusive) => format!("{:?} (E)", t.on),
                    Some(Policy::PerReceiver) => format!("{:?} (P)", t.on),
                })
                .collect();
            if !labels.is_empty() {
                writeln!(text, "    {from:?} --> {to:?}: {}", labels.join(", ")).expect("a string");
            }
        }
    }
    text + "```\n"
}

#[test]
fn the_diagrams_in_the_docs_are_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admission-control.md");
    let mut page = std::fs::read_to_string(&path).expect("the page is there");
    for (name, applicant) in [("applicant", true), ("receiver", false)] {
        let (begin, end) = (format!("<!-- diagram: {name} -->\n"), format!("<!-- end: {name} -->"));
        let from = page.find(&begin).expect("a mark") + begin.len();
        let to = page.find(&end).expect("a mark");
        page.replace_range(from..to, &diagram(applicant));
    }
    pinned(&path, &page);
}

/// Every state can be reached from the role's first, and left.
#[test]
fn no_state_is_an_island_or_a_trap() {
    for policy in [Policy::Exclusive, Policy::PerReceiver] {
        for (first, unused) in [
            (State::Idle, if policy == Policy::Exclusive { State::Waiting } else { State::Deferred }),
            (State::Resting, if policy == Policy::Exclusive { State::Idle } else { State::Withdrawing }),
        ] {
            let next = |from: State| {
                Input::EVERY.into_iter().filter_map(move |i| transition(policy, from, i)).map(|t| t.to)
            };
            let mut reached = BTreeSet::from([first as u8]);
            let mut queue = VecDeque::from([first]);
            while let Some(state) = queue.pop_front() {
                assert!(next(state).any(|to| to != state), "{state:?} is a trap under {policy:?}");
                queue.extend(next(state).filter(|to| reached.insert(*to as u8)));
            }
            for state in State::EVERY.into_iter().filter(|s| s.is_applicant() == first.is_applicant()) {
                assert_eq!(reached.contains(&(state as u8)), state != unused, "{state:?} under {policy:?}");
            }
        }
    }
}

/// Fig. 3, line by line: the rows of `Exclusive` that it has.
#[test]
fn figure_3_is_in_the_table() {
    use Action::{Activate, SendAppend, SendOk, SendRej, TellCancelled, TellGranted, TellOrdinary};
    let does = |state, input, actions: &[Action]| {
        let t = transition(Policy::Exclusive, state, input).expect("a row");
        actions.iter().all(|a| t.actions.contains(a))
    };
    // case LM_REQ, the list is null: broadcast LM_APPEND_ADDR, activate, LM_ACQ_OK; else LM_ACQ_REJ.
    assert!(does(State::Closed, Input::ReqFree, &[SendAppend, Activate, SendOk]));
    for state in [State::Closed, State::Granted, State::Withdrawing, State::Draining, State::Resting] {
        assert!(does(state, Input::ReqBusy, &[SendRej]));
    }
    // case LM_ENDME: broadcast LM_REMOVE_ADDR, here behind the drain.
    assert!(does(State::Granted, Input::End, &[Action::Deactivate, Action::StartDrain]));
    assert!(does(State::Draining, Input::Drained, &[Action::SendRemove]));
    // case LM_ACQ_OK: begin; case LM_ACQ_REJ: begin if the destination is not listed.
    assert!(does(State::Asking, Input::Ok, &[TellGranted]));
    assert!(does(State::Asking, Input::RejUnlisted, &[TellOrdinary]));
    assert!(does(State::Asking, Input::RejListed, &[TellCancelled]));
    // The last paragraph of section 3.3, before anything is sent.
    assert!(does(State::Idle, Input::RequestNull, &[Action::SendReq]));
    assert!(does(State::Idle, Input::RequestOther, &[TellOrdinary]));
    assert!(does(State::Idle, Input::RequestListed, &[TellCancelled]));
}
