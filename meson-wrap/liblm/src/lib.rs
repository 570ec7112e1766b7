//! LM for C: the functions of `lm.h` over the crate `lm`.
//!
//! * `types`: the structures that both sides see. Those that may grow say how long they are.
//! * `border`: what each call passes on its way: panics end here, and what failed is kept as a line.
//! * `slots`: messages that C holds. A handle is a place and a generation, so that a message that was
//!   released already is an error.
//! * `handle`: `lm_t`, which belongs to one thread at a time.
//! * `lifecycle`, `receiving`, `sending`, `watching`: the functions.
//!
//! Every argument is checked: null pointers, ranges, whose handle it is and on which thread. What cannot be
//! checked is what C cannot check either: that a pointer that is not null points to what its type says, and
//! that an `lm_t` was not closed before.
//!
//! The header is generated from these files (`cbindgen.toml`), and committed.

// The names are those of C.
#![allow(non_camel_case_types)]

mod border;
mod handle;
mod lifecycle;
mod logger;
mod options;
mod receiving;
mod sending;
mod slots;
mod types;
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
