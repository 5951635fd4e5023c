//! The web interfaces in a real Chromium: each role's stories, the same without scripts, what is refused to whom, what people write, and
//! whether everybody can read it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "web/apart.rs"]
mod apart;
#[path = "web/office.rs"]
mod office;
#[path = "web/owner.rs"]
mod owner;
#[path = "web/reading.rs"]
mod reading;
#[path = "web/signing_in.rs"]
mod signing_in;
#[path = "web/site.rs"]
mod site;
