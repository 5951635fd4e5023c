//! Reports of a verified bundle for people: CSV for tables and programs, PDF for a file or a court.
//!
//! | module | what lives there |
//! |---|---|
//! | [`csv`](mod@csv) | a row for each leaf |
//! | [`pdf`] | PDF/A: what was verified and how, pictures, counts, the records |
//! | `gather` | what the report says, gathered line by line in memory that does not grow with the log |
//!
//! Both are given what the lines of a bundle say ([`Seen`](strongroom_audit::bundle::Seen)). Make them of a bundle that was found whole, and of that alone.

pub mod csv;
mod gather;
pub mod pdf;

pub use gather::Gathered;
