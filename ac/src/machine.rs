//! The node's state machine: one table of transitions.
//!
//! A node plays two roles at once. As *applicant* it has one state per destination, as *receiver* one per
//! landing queue. For a state and an input, [`TABLE`] has the next state and the actions. An input that is
//! not in the table is ignored. Other modules decide which input a message or a time-out is, and carry out
//! the actions, but only this table changes a state. `docs/admission-control.md` has diagrams of the table.

/// How grants are given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    /// Section 3.3 and Fig. 3: one node of the cluster lands at one instant, everybody else sends the
    /// ordinary way.
    Exclusive,
    /// Every receiver grants each of its landing queues to one applicant at a time, and queues the others.
    PerReceiver,
}

/// A state of either role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Applicant: wants nothing of this destination.
    Idle,
    /// Applicant: waits for the list to become null before it asks (an extension).
    Deferred,
    /// Applicant: `LM_REQ` is out, the datagram waits for OK or REJ.
    Asking,
    /// Applicant: the receiver has queued the request.
    Waiting,
    /// Applicant: may send for landing until the lease lapses.
    Holding,
    /// Applicant: `LM_ENDME` is out.
    Ending,
    /// Receiver: just started; the holder of a grant from before may still send.
    Resting,
    /// Receiver: nobody holds the queue; separate slots.
    Closed,
    /// Receiver: one applicant holds the queue; overlapping slots.
    Granted,
    /// Receiver: separate slots again, but the holder may not know yet.
    Withdrawing,
    /// Receiver: the holder is done, its last frames and the overlapping slots are on their way out.
    Draining,
}

impl State {
    /// All states.
    pub const EVERY: [Self; 11] = [
        Self::Idle,
        Self::Deferred,
        Self::Asking,
        Self::Waiting,
        Self::Holding,
        Self::Ending,
        Self::Resting,
        Self::Closed,
        Self::Granted,
        Self::Withdrawing,
        Self::Draining,
    ];

    /// Whether it is a state of the applicant's role.
    pub const fn is_applicant(self) -> bool {
        (self as u8) < Self::Resting as u8
    }
}

/// What can happen to a state of either role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Input {
    /// The application asks; the list is null.
    RequestNull,
    /// The application asks; the list is not null, the destination is not listed.
    RequestOther,
    /// The application asks; the destination is listed.
    RequestListed,
    /// The application asks; the destination is listed, and waiting for the list to become null is allowed.
    RequestDefer,
    /// The list has become null.
    ListNull,
    /// `LM_ACQ_OK` for this request, with lease left.
    Ok,
    /// `LM_ACQ_OK` for this request, but so late that no lease is left.
    OkLate,
    /// `LM_ACQ_OK` for a request that is not wanted any more, or never was.
    OkStray,
    /// `LM_ACQ_REJ`; the destination is not listed.
    RejUnlisted,
    /// `LM_ACQ_REJ`; the destination is listed.
    RejListed,
    /// `LM_ACQ_REJ`; the destination is listed, and waiting for the list to become null is allowed.
    RejDefer,
    /// `LM_ACQ_REJ`: queued.
    RejQueued,
    /// `LM_ACQ_REJ`: the grant is withdrawn.
    Withdrawn,
    /// `LM_REMOVE_ADDR` of the grant held or ended.
    Removed,
    /// The destination runs in a new incarnation, or this node does.
    Restarted,
    /// The destination has not taken what was sent: it asks for a proof of this node's incarnation, which it
    /// has got.
    Challenged,
    /// It is time to repeat.
    Retry,
    /// It is time to repeat, but that was done often enough.
    GiveUp,
    /// Half of the lease is over.
    Renew,
    /// The lease is over, less drift and flight.
    Lapse,
    /// The application is done, or no longer wants.
    Release,
    /// `LM_REQ`; the policy allows a grant and the queue is free.
    ReqFree,
    /// `LM_REQ`; the policy allows no grant, or no queue is free.
    ReqBusy,
    /// `LM_REQ` of the holder for what it holds.
    ReqHolder,
    /// `LM_REQ` of the holder for something else: what it held is over.
    ReqAnew,
    /// `LM_REQ` for a request that is over.
    ReqOver,
    /// `LM_ENDME` of the holder.
    End,
    /// `LM_ENDME` that names no grant of this queue.
    EndStray,
    /// A node that goes before this one lands, too: its `LM_APPEND_ADDR`, rejection or grant says so.
    Crossed,
    /// The holder runs in a new incarnation.
    HolderRestarted,
    /// This node has taken another incarnation: all that it granted is of the one before.
    Renumbered,
    /// A frame of a node that should not send at present.
    Stray,
    /// Requests wait and the queue is free.
    Next,
    /// It is time to repeat the announcement.
    Announce,
    /// Lease and guard are over.
    Expired,
    /// The drain is over, or the rest.
    Drained,
}

impl Input {
    /// All inputs.
    pub const EVERY: [Self; 36] = [
        Self::RequestNull,
        Self::RequestOther,
        Self::RequestListed,
        Self::RequestDefer,
        Self::ListNull,
        Self::Ok,
        Self::OkLate,
        Self::OkStray,
        Self::RejUnlisted,
        Self::RejListed,
        Self::RejDefer,
        Self::RejQueued,
        Self::Withdrawn,
        Self::Removed,
        Self::Restarted,
        Self::Challenged,
        Self::Retry,
        Self::GiveUp,
        Self::Renew,
        Self::Lapse,
        Self::Release,
        Self::ReqFree,
        Self::ReqBusy,
        Self::ReqHolder,
        Self::ReqAnew,
        Self::ReqOver,
        Self::End,
        Self::EndStray,
        Self::Crossed,
        Self::HolderRestarted,
        Self::Renumbered,
        Self::Stray,
        Self::Next,
        Self::Announce,
        Self::Expired,
        Self::Drained,
    ];

    /// Whether it happens to the applicant's role.
    pub const fn is_applicant(self) -> bool {
        (self as u8) < Self::ReqFree as u8
    }
}

/// What a transition does, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send `LM_REQ` and come back when it is time to repeat it.
    SendReq,
    /// Tell the caller to begin in the ordinary way meanwhile (an extension; nothing if it is off).
    StartEarly,
    /// Send `LM_ENDME` for the grant or request at hand.
    SendEnd,
    /// Send `LM_ENDME` for what the stray `LM_ACQ_OK` named.
    SendEndStray,
    /// Take the lease of `LM_ACQ_OK`.
    TakeLease,
    /// Repeat from now on, counting from the first.
    Rearm,
    /// Tell the caller: granted.
    TellGranted,
    /// Tell the caller: the lease is longer.
    TellRenewed,
    /// Tell the caller: send the ordinary way, without a grant.
    TellOrdinary,
    /// Tell the caller: cancelled, the destination is listed.
    TellCancelled,
    /// Tell the caller: queued at the receiver.
    TellQueued,
    /// Tell the caller: no answer.
    TellUnanswered,
    /// Tell the caller: stop, the grant is gone.
    TellRevoked,
    /// Tell the caller: stop, the lease is over.
    TellLapsed,
    /// Make the applicant of `LM_REQ`, or the next of the queue, the holder; list this node; tell the engine
    /// to land.
    Activate,
    /// Broadcast `LM_APPEND_ADDR` and come back when it is time to repeat it.
    SendAppend,
    /// Send `LM_APPEND_ADDR` to the node whose frame strayed.
    SendAppendTo,
    /// Send `LM_ACQ_OK` to the holder, with the lease it has.
    SendOk,
    /// Lengthen the holder's lease, up to the bound on hold time.
    RenewLease,
    /// Send `LM_ACQ_REJ` to the applicant, with the reason.
    SendRej,
    /// Queue the applicant's request and say so by `LM_ACQ_REJ`; if the queue is full, say that.
    Queue,
    /// Send `LM_ACQ_REJ` to the holder: withdrawn.
    SendWithdrawn,
    /// Tell the engine to go back to separate slots.
    Deactivate,
    /// Wait until frames on their way and overlapping slots are out.
    StartDrain,
    /// Wait for the guard time, for a holder that never said it was done; then as [`Action::StartDrain`].
    StartGuard,
    /// Wait until the lease and the guard are over, for a holder of whom another life was proven: the one
    /// before may not know of it.
    AwaitLease,
    /// Rest as after a start, until the leases that were granted are over.
    Rest,
    /// Nothing to wait for: the holder has stopped, its last frame has arrived, and the next one's flush
    /// pushes the ring through.
    EndGrant,
    /// Tell the engine that the holder never ended.
    TellExpired,
    /// Nobody holds any more: unlist this node, broadcast `LM_REMOVE_ADDR`.
    SendRemove,
    /// Send `LM_REMOVE_ADDR` to who sent the stray `LM_ENDME`.
    SendRemoveTo,
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The policy that has the row; both if `None`.
    pub policy: Option<Policy>,
    /// The state before.
    pub from: State,
    /// What happens.
    pub on: Input,
    /// The state after.
    pub to: State,
    /// What is done.
    pub actions: &'static [Action],
}

mod table;
pub use table::TABLE;

const NONE: u8 = u8::MAX;
const INDEX: [[[u8; Input::EVERY.len()]; State::EVERY.len()]; 2] = index();

/// Where in the table a state and an input are; two rows for one place, or a row across the roles, do not
/// compile.
const fn index() -> [[[u8; Input::EVERY.len()]; State::EVERY.len()]; 2] {
    let mut index = [[[NONE; Input::EVERY.len()]; State::EVERY.len()]; 2];
    assert!(TABLE.len() < NONE as usize);
    let mut at = 0;
    while at < TABLE.len() {
        let row = &TABLE[at];
        assert!(
            row.from.is_applicant() == row.on.is_applicant()
                && row.from.is_applicant() == row.to.is_applicant()
        );
        let mut policy = 0;
        while policy < 2 {
            let here = match row.policy {
                None => true,
                Some(only) => only as usize == policy,
            };
            if here {
                let place = &mut index[policy][row.from as usize][row.on as usize];
                assert!(*place == NONE, "two rows for one state and input");
                *place = at as u8;
            }
            policy += 1;
        }
        at += 1;
    }
    index
}

/// The transition of `state` on `input`; `None` if it is ignored.
pub fn transition(policy: Policy, state: State, input: Input) -> Option<&'static Transition> {
    TABLE.get(usize::from(INDEX[policy as usize][state as usize][input as usize]))
}
