//! The two published formats: *file* (`docs/formats/sealed-file.md`) and *record*
//! (`docs/formats/sealed-record.md`).

pub mod file;
pub mod record;
