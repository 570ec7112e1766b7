//! Reports of results: a table, JSON, pictures.

pub(crate) mod json;
pub(crate) mod machine;
pub(crate) mod plot;
pub(crate) mod svg;
pub(crate) mod table;
