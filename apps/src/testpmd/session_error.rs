//! [`SessionError`]: why a session cannot start, and what to do.
//!
//! [`super::session`] returns it when the options do not fit the ports and lcores that EAL has. The program
//! shows it in one line and ends with exit code 2.

use std::{error, fmt};

/// Why a session cannot start.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// `--eth-peer` names a port that is not there.
    UnknownPeer { port: u16, last: u16 },
    /// `--ordinary-port` names a port that is not there, or there are not exactly two ports.
    NoExit { port: u16, ports: usize },
    /// `--ac-lcore` names no worker lcore of EAL.
    ControlLcore { lcore: u32, workers: Vec<u32> },
    /// A port cannot be prepared.
    Open(String),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPeer { port, last } => {
                write!(f, "--eth-peer names port {port}, which is not there: the last one is {last}")
            }
            Self::NoExit { port, ports } => write!(
                f,
                "--ordinary-port={port} needs that port and one steered port, and the number of ports is \
                 {ports}: give --vdev=net_tap0 and one -a before --"
            ),
            Self::ControlLcore { lcore, workers } => write!(
                f,
                "--ac-lcore={lcore} is no worker lcore of EAL, whose workers are {workers:?}: add it to \
                 -l, behind the main lcore"
            ),
            Self::Open(why) => f.write_str(why),
        }
    }
}

impl error::Error for SessionError {}
