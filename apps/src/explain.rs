//! Explains messages of `lm-node` about a port, with the command-line options that would change the result.
//!
//! `lm-node` knows no options. The three programs call these functions where they open and start a port. The
//! text of the error itself is never changed.

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
