//! Reports of results: a table on standard output, JSON, and pictures.
//!
//! [`super::begin`] calls them when the measurement has ended. They measure nothing and change no result.

pub(crate) mod json;
pub(crate) mod machine;
pub(crate) mod plot;
pub(crate) mod svg;
pub(crate) mod table;
