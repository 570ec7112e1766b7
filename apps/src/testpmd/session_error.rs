//! [`SessionError`]: why a session cannot start, and what to do.

use std::{error, fmt};

/// Why there is nothing to work with.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// EAL found no port; what it complained about.
    NoPorts(String),
    /// `--eth-peer` names a port that is not there.
    UnknownPeer { port: u16, last: u16 },
    /// `--ordinary-port` names a port that is not there, or there are more than it and another.
    NoExit { port: u16, ports: usize },
    /// `--ac-lcore` names none that could be had.
    ControlLcore { lcore: u32, workers: Vec<u32> },
    /// A port cannot be prepared.
    Open(String),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPorts(why) if why.is_empty() => f.write_str(
                "EAL found no ports: give it a device before --, such as --vdev net_memif0 or \
                 -a 0000:01:00.0",
            ),
            Self::NoPorts(why) => {
                write!(f, "EAL found no ports: {why}; free the device, or correct it before -- (--vdev, -a)")
            }
            Self::UnknownPeer { port, last } => {
                write!(f, "--eth-peer names port {port}, which is not there: the last one is {last}")
            }
            Self::NoExit { port, ports } => write!(
                f,
                "--ordinary-port={port} needs that port and one that is steered, and there are {ports} \
                 ports: give --vdev=net_tap0 and one -a before --"
            ),
            Self::ControlLcore { lcore, workers } => write!(
                f,
                "--ac-lcore={lcore} is no worker lcore of EAL, which has {workers:?}: name it in -l, \
                 behind the main one"
            ),
            Self::Open(why) => f.write_str(why),
        }
    }
}

impl error::Error for SessionError {}
