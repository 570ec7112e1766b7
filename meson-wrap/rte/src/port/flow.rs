//! Rules that direct frames to a queue (`rte_flow`), by the first bytes of the frames.
//!
//! `pmd-e1000` makes them where a card steers frames that way. A rule belongs to its port: another port
//! refuses it, and so does the same port after a reset.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::{error, fmt, ptr};

use dpdk_sys::rte_flow_item_raw;
use dpdk_sys::{
    rte_flow, rte_flow_action, rte_flow_action_queue, rte_flow_attr, rte_flow_error, rte_flow_item,
};

use super::{Port, PortId, Shared};
use crate::Errno;

/// A rule of a port. It is in force until [`Port::flow_destroy`], or until the port is reset or closed. That
/// a driver accepted a rule does not prove that the device follows it.
#[derive(Debug)]
pub struct FlowRule {
    rule: NonNull<rte_flow>,
    /// The port that the rule belongs to. Its number would not do: another port may get it later.
    of: Weak<Shared>,
    /// How often the port had been reset when the rule was made.
    resets: u64,
}

// SAFETY: a handle that is only given back to DPDK, by who has the port.
unsafe impl Send for FlowRule {}

/// Bytes of a frame that a rule can compare at most.
const LONGEST: usize = 128;

impl Port {
    /// Directs frames that begin with these bytes (at most 128) to a queue.
    ///
    /// # Errors
    /// [`FlowError`]: the driver has no such rules, or no room for another.
    pub fn flow_by_prefix(&mut self, prefix: &[u8], queue: u16) -> Result<FlowRule, FlowError> {
        let port = self.id();
        let length = prefix.len().min(LONGEST) as u16;
        // SAFETY: plain data for which zeroes are a value, for each of these.
        let (mut attr, mut spec, mut mask, mut pattern, mut actions, mut told) = unsafe {
            std::mem::zeroed::<(
                rte_flow_attr,
                rte_flow_item_raw,
                rte_flow_item_raw,
                [rte_flow_item; 2],
                [rte_flow_action; 2],
                rte_flow_error,
            )>()
        };
        attr.set_ingress(1);
        let all = [0xff_u8; LONGEST];
        (spec.length, spec.pattern) = (length, prefix.as_ptr());
        // The frame's beginning, not wherever the bytes are found: both flags are compared, and off.
        mask.set_relative(1);
        mask.set_search(1);
        (mask.offset, mask.limit, mask.length, mask.pattern) = (-1, u16::MAX, u16::MAX, all.as_ptr());
        pattern[0].type_ = dpdk_sys::RTE_FLOW_ITEM_TYPE_RAW;
        (pattern[0].spec, pattern[0].mask) =
            ((&raw const spec).cast::<c_void>(), (&raw const mask).cast::<c_void>());
        pattern[1].type_ = dpdk_sys::RTE_FLOW_ITEM_TYPE_END;
        let to = rte_flow_action_queue { index: queue };
        (actions[0].type_, actions[0].conf) =
            (dpdk_sys::RTE_FLOW_ACTION_TYPE_QUEUE, (&raw const to).cast::<c_void>());
        actions[1].type_ = dpdk_sys::RTE_FLOW_ACTION_TYPE_END;
        // SAFETY: the port is valid and ours; both lists end with END and point to what lives longer than the
        // call, and to patterns of at least `length` bytes; drivers copy what they keep.
        let rule = unsafe {
            dpdk_sys::rte_flow_create(
                port.0,
                &raw const attr,
                pattern.as_ptr(),
                actions.as_ptr(),
                &raw mut told,
            )
        };
        match NonNull::new(rule) {
            Some(rule) => {
                Ok(FlowRule { rule, of: Arc::downgrade(&self.shared), resets: self.shared.lock().resets })
            }
            None => Err(FlowError { port, queue, errno: Errno::last(), told: text(&told) }),
        }
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// [`FlowError`]: the rule belongs to another port, a reset removed it, or the driver refuses.
    pub fn flow_destroy(&mut self, rule: FlowRule) -> Result<(), FlowError> {
        let port = self.id();
        let failed = |errno, told| FlowError { port, queue: 0, errno, told };
        let FlowRule { rule, of, resets } = rule;
        let invalid = |why: &str| failed(Errno::of_return(-libc::EINVAL), why.to_owned());
        if !Weak::ptr_eq(&of, &Arc::downgrade(&self.shared)) {
            return Err(invalid("the rule belongs to another port"));
        }
        if resets != self.shared.lock().resets {
            return Err(invalid("a reset of the port removed the rule"));
        }
        // SAFETY: plain data for which zeroes are a value.
        let mut told: rte_flow_error = unsafe { std::mem::zeroed() };
        // SAFETY: a rule of this port, which is ours and was not reset since, destroyed once: it was moved
        // here.
        let ret = unsafe { dpdk_sys::rte_flow_destroy(port.0, rule.as_ptr(), &raw mut told) };
        Errno::check(ret).map_err(|errno| failed(errno, text(&told)))
    }
}

/// The driver's own text about a rule.
fn text(told: &rte_flow_error) -> String {
    if ptr::eq(told.message, ptr::null()) {
        return String::new();
    }
    // SAFETY: a static text of the driver's.
    unsafe { CStr::from_ptr(told.message) }.to_string_lossy().into_owned()
}

/// A rule was not made or not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowError {
    /// The port.
    pub port: PortId,
    /// Where frames were to go.
    pub queue: u16,
    /// Why.
    pub errno: Errno,
    /// In the driver's words; may be empty.
    pub told: String,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, queue, errno, told } = self;
        write!(
            f,
            "port {port} refuses a rule that directs frames to queue {queue}: {errno} {told:?}; go on without it"
        )
    }
}

impl error::Error for FlowError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.errno)
    }
}
