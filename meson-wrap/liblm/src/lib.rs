//! LM for C: the functions of `lm.h` over the crate `lm`.
//!
//! * `types`: the structures that C and Rust share. Those that may grow contain their own size.
//! * `versions`: reads and writes those, as older and newer programs have them.
//! * `border`: wraps every call. It catches panics, and keeps the text of the last failure. `numbers` has the
//!   numbers of errors of the crates below.
//! * `slots`: messages that the C program holds. A message is an index and a generation, so that using a
//!   message after its release is an error.
//! * `handle`: `lm_t`, which belongs to one thread at a time.
//! * `lifecycle`, `receiving`, `sending`, `watching`: the functions.
//!
//! Every argument is checked: null pointers, ranges, the owner of a handle, and the thread. Two things cannot
//! be checked: that a non-null pointer points to a value of its type, and that an `lm_t` was not closed
//! before.
//!
//! The header is generated from these files (`cbindgen.toml`), and committed.

// The names are those of C.
#![allow(non_camel_case_types)]

mod border;
mod handle;
mod lifecycle;
mod logger;
mod numbers;
mod options;
mod receiving;
mod sending;
mod slots;
mod types;
mod versions;
mod watching;

pub use handle::lm_t;
pub use lifecycle::{
    lm_adopt, lm_cleanup, lm_close, lm_config_init, lm_detach, lm_init, lm_mempool, lm_open, lm_parse,
    lm_strerror,
};
pub use receiving::{lm_contiguous, lm_mbuf, lm_pieces, lm_poll, lm_release};
pub use sending::{lm_advance, lm_buffer, lm_commit, lm_discard, lm_forward, lm_send};
pub use types::{lm_address, lm_config, lm_counter, lm_message, lm_proof, lm_sendbuf};
pub use watching::{lm_arm, lm_counters, lm_get_fd, lm_telemetry};
