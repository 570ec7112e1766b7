//! [`TABLE`]: all transitions.
//!
//! [`transition`](super::transition) looks rows up in it, and nothing else decides about states. Two rows for
//! one state and input do not compile. `tests/table.rs` compares the table with a snapshot of every state and
//! input, and with the diagrams in `docs/admission-control.md`.

use super::{Action, Input, Policy, State, Transition};

use Action::{
    Activate, AwaitLease, Deactivate, EndGrant, Queue, Rearm, RenewLease, Rest, SendAppend, SendAppendTo,
    SendEnd, SendEndStray, SendOk, SendRej, SendRemove, SendRemoveTo, SendReq, SendWithdrawn, StartDrain,
    StartEarly, StartGuard, TakeLease, TellCancelled, TellExpired, TellGranted, TellLapsed, TellOrdinary,
    TellQueued, TellRenewed, TellRevoked, TellUnanswered,
};
use Input as I;
use State::{
    Asking, Closed, Deferred, Draining, Ending, Granted, Holding, Idle, Resting, Waiting, Withdrawing,
};

const EXCLUSIVE: Option<Policy> = Some(Policy::Exclusive);
const PER_RECEIVER: Option<Policy> = Some(Policy::PerReceiver);
const BOTH: Option<Policy> = None;

const fn row(
    policy: Option<Policy>,
    from: State,
    on: Input,
    to: State,
    actions: &'static [Action],
) -> Transition {
    Transition { policy, from, on, to, actions }
}

/// Every transition there is.
#[rustfmt::skip]
pub const TABLE: &[Transition] = &[
    // The applicant. Under `Exclusive` its own list decides first (section 3.3, last paragraph); under
    // `PerReceiver` the receiver does.
    row(BOTH,         Idle,        I::RequestNull,     Asking,      &[SendReq, StartEarly]),
    row(EXCLUSIVE,    Idle,        I::RequestOther,    Idle,        &[TellOrdinary]),
    row(EXCLUSIVE,    Idle,        I::RequestListed,   Idle,        &[TellCancelled]),
    row(EXCLUSIVE,    Idle,        I::RequestDefer,    Deferred,    &[Rearm]),
    row(PER_RECEIVER, Idle,        I::RequestOther,    Asking,      &[SendReq, StartEarly]),
    row(PER_RECEIVER, Idle,        I::RequestListed,   Asking,      &[SendReq]),
    row(BOTH,         Idle,        I::OkStray,         Idle,        &[SendEndStray]),

    row(EXCLUSIVE,    Deferred,    I::ListNull,        Asking,      &[SendReq]),
    row(EXCLUSIVE,    Deferred,    I::GiveUp,          Idle,        &[TellCancelled]),
    row(EXCLUSIVE,    Deferred,    I::Release,         Idle,        &[]),
    row(EXCLUSIVE,    Deferred,    I::OkStray,         Deferred,    &[SendEndStray]),

    row(BOTH,         Asking,      I::Ok,              Holding,     &[TakeLease, TellGranted]),
    row(BOTH,         Asking,      I::OkLate,          Asking,      &[SendReq]),
    row(BOTH,         Asking,      I::OkStray,         Asking,      &[SendEndStray]),
    row(BOTH,         Asking,      I::RejUnlisted,     Idle,        &[TellOrdinary]),
    row(BOTH,         Asking,      I::RejListed,       Idle,        &[TellCancelled]),
    row(EXCLUSIVE,    Asking,      I::RejDefer,        Deferred,    &[Rearm]),
    row(PER_RECEIVER, Asking,      I::RejQueued,       Waiting,     &[Rearm, TellQueued]),
    row(EXCLUSIVE,    Asking,      I::Withdrawn,       Idle,        &[SendEnd, TellCancelled]),
    row(BOTH,         Asking,      I::Retry,           Asking,      &[SendReq]),
    row(BOTH,         Asking,      I::Restarted,       Asking,      &[Rearm, SendReq]),
    row(BOTH,         Asking,      I::Challenged,      Asking,      &[SendReq]),
    row(BOTH,         Asking,      I::GiveUp,          Idle,        &[SendEnd, TellUnanswered]),
    row(BOTH,         Asking,      I::Release,         Idle,        &[SendEnd]),

    row(PER_RECEIVER, Waiting,     I::Ok,              Holding,     &[TakeLease, TellGranted]),
    row(PER_RECEIVER, Waiting,     I::OkLate,          Waiting,     &[SendReq]),
    row(PER_RECEIVER, Waiting,     I::OkStray,         Waiting,     &[SendEndStray]),
    row(PER_RECEIVER, Waiting,     I::RejUnlisted,     Idle,        &[TellOrdinary]),
    row(PER_RECEIVER, Waiting,     I::RejListed,       Idle,        &[TellCancelled]),
    row(PER_RECEIVER, Waiting,     I::RejQueued,       Waiting,     &[Rearm]),
    row(PER_RECEIVER, Waiting,     I::Restarted,       Asking,      &[Rearm, SendReq]),
    row(PER_RECEIVER, Waiting,     I::Challenged,      Waiting,     &[SendReq]),
    row(PER_RECEIVER, Waiting,     I::Retry,           Waiting,     &[SendReq]),
    row(PER_RECEIVER, Waiting,     I::GiveUp,          Idle,        &[SendEnd, TellUnanswered]),
    row(PER_RECEIVER, Waiting,     I::Release,         Idle,        &[SendEnd]),

    row(BOTH,         Holding,     I::Ok,              Holding,     &[TakeLease, TellRenewed]),
    row(BOTH,         Holding,     I::OkStray,         Holding,     &[SendEndStray]),
    row(BOTH,         Holding,     I::Renew,           Holding,     &[SendReq]),
    row(EXCLUSIVE,    Holding,     I::Withdrawn,       Ending,      &[TellRevoked, Rearm, SendEnd]),
    row(BOTH,         Holding,     I::Removed,         Idle,        &[TellRevoked]),
    row(BOTH,         Holding,     I::Restarted,       Idle,        &[TellRevoked]),
    row(BOTH,         Holding,     I::Challenged,      Holding,     &[SendReq]),
    row(BOTH,         Holding,     I::Lapse,           Ending,      &[TellLapsed, Rearm, SendEnd]),
    row(BOTH,         Holding,     I::Release,         Ending,      &[Rearm, SendEnd]),

    row(BOTH,         Ending,      I::RequestNull,     Asking,      &[Rearm, SendReq, StartEarly]),
    row(EXCLUSIVE,    Ending,      I::RequestOther,    Ending,      &[TellOrdinary]),
    row(EXCLUSIVE,    Ending,      I::RequestListed,   Ending,      &[TellCancelled]),
    row(EXCLUSIVE,    Ending,      I::RequestDefer,    Deferred,    &[Rearm]),
    row(PER_RECEIVER, Ending,      I::RequestOther,    Asking,      &[Rearm, SendReq, StartEarly]),
    row(PER_RECEIVER, Ending,      I::RequestListed,   Asking,      &[Rearm, SendReq]),
    row(BOTH,         Ending,      I::OkStray,         Ending,      &[SendEndStray]),
    row(BOTH,         Ending,      I::Removed,         Idle,        &[]),
    row(BOTH,         Ending,      I::Restarted,       Idle,        &[]),
    row(BOTH,         Ending,      I::Challenged,      Ending,      &[SendEnd]),
    row(BOTH,         Ending,      I::Retry,           Ending,      &[SendEnd]),
    row(BOTH,         Ending,      I::GiveUp,          Idle,        &[]),

    // The receiver.
    row(EXCLUSIVE,    Resting,     I::ReqBusy,         Resting,     &[SendRej]),
    row(PER_RECEIVER, Resting,     I::ReqBusy,         Resting,     &[Queue]),
    row(BOTH,         Resting,     I::ReqOver,         Resting,     &[SendRej]),
    row(BOTH,         Resting,     I::EndStray,        Resting,     &[SendRemoveTo]),
    row(BOTH,         Resting,     I::Drained,         Closed,      &[]),

    row(BOTH,         Closed,      I::ReqFree,         Granted,     &[Activate, SendAppend, SendOk]),
    row(EXCLUSIVE,    Closed,      I::ReqBusy,         Closed,      &[SendRej]),
    row(BOTH,         Closed,      I::ReqOver,         Closed,      &[SendRej]),
    row(BOTH,         Closed,      I::EndStray,        Closed,      &[SendRemoveTo]),
    row(PER_RECEIVER, Closed,      I::Next,            Granted,     &[Activate, SendAppend, SendOk]),

    row(EXCLUSIVE,    Granted,     I::ReqBusy,         Granted,     &[SendRej]),
    row(PER_RECEIVER, Granted,     I::ReqBusy,         Granted,     &[Queue]),
    row(BOTH,         Granted,     I::ReqHolder,       Granted,     &[RenewLease, SendOk]),
    row(EXCLUSIVE,    Granted,     I::ReqAnew,         Draining,    &[Deactivate, StartDrain, SendRej]),
    row(PER_RECEIVER, Granted,     I::ReqAnew,         Draining,    &[Deactivate, StartDrain, Queue]),
    row(BOTH,         Granted,     I::ReqOver,         Granted,     &[SendRej]),
    row(BOTH,         Granted,     I::End,             Draining,    &[Deactivate, StartDrain]),
    row(BOTH,         Granted,     I::EndStray,        Granted,     &[SendRemoveTo]),
    row(EXCLUSIVE,    Granted,     I::Crossed,         Withdrawing, &[Deactivate, SendWithdrawn]),
    row(BOTH,         Granted,     I::HolderRestarted, Draining,    &[Deactivate, AwaitLease]),
    row(BOTH,         Granted,     I::Renumbered,      Resting,     &[Deactivate, Rest]),
    row(BOTH,         Granted,     I::Stray,           Granted,     &[SendAppendTo]),
    row(BOTH,         Granted,     I::Announce,        Granted,     &[SendAppend]),
    row(BOTH,         Granted,     I::Expired,         Closed,      &[TellExpired, Deactivate, EndGrant, SendRemove]),

    row(EXCLUSIVE,    Withdrawing, I::ReqBusy,         Withdrawing, &[SendRej]),
    row(EXCLUSIVE,    Withdrawing, I::ReqHolder,       Withdrawing, &[SendWithdrawn]),
    row(EXCLUSIVE,    Withdrawing, I::ReqAnew,         Draining,    &[StartDrain, SendRej]),
    row(EXCLUSIVE,    Withdrawing, I::ReqOver,         Withdrawing, &[SendRej]),
    row(EXCLUSIVE,    Withdrawing, I::End,             Draining,    &[StartDrain]),
    row(EXCLUSIVE,    Withdrawing, I::EndStray,        Withdrawing, &[SendRemoveTo]),
    row(EXCLUSIVE,    Withdrawing, I::HolderRestarted, Draining,    &[AwaitLease]),
    row(EXCLUSIVE,    Withdrawing, I::Renumbered,      Resting,     &[Rest]),
    row(EXCLUSIVE,    Withdrawing, I::Expired,         Closed,      &[TellExpired, EndGrant, SendRemove]),

    row(EXCLUSIVE,    Draining,    I::ReqBusy,         Draining,    &[SendRej]),
    row(PER_RECEIVER, Draining,    I::ReqBusy,         Draining,    &[Queue]),
    row(BOTH,         Draining,    I::ReqOver,         Draining,    &[SendRej]),
    row(BOTH,         Draining,    I::EndStray,        Draining,    &[SendRemoveTo]),
    row(BOTH,         Draining,    I::HolderRestarted, Draining,    &[StartGuard]),
    row(BOTH,         Draining,    I::Renumbered,      Resting,     &[Rest]),
    row(BOTH,         Draining,    I::Stray,           Draining,    &[SendAppendTo]),
    row(BOTH,         Draining,    I::Drained,         Closed,      &[SendRemove]),
];
