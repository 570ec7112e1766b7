//! What the node says of a port, with the options that would change it.

use lm_node::PortConfig;
use lm_node::port::{OpenError, StartPortError};

/// Why a port cannot be prepared, with the option that would change it.
pub(crate) fn explain_open(e: &OpenError) -> String {
    match e {
        OpenError::Slots { .. } => format!("--slots=overlapping: {e}"),
        e => e.to_string(),
    }
}

/// Why a port does not start, with the option that would change it.
pub(crate) fn explain_start(e: &StartPortError, config: &PortConfig) -> String {
    match e {
        StartPortError::Reassembly { .. } => format!("--reassembly={}: {e}", config.reassembly),
        StartPortError::Admission(_) => format!("--ac: {e}"),
        e => e.to_string(),
    }
}
