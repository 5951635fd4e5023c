//! The web interfaces in a real Chromium: each role's stories, the same without scripts, what is refused to whom, what people write, and
//! whether everybody can read it.

mod apart;
mod bench;
mod case_pages;
mod cases;
mod every_page;
mod office;
mod owner;
mod reading;
mod refusals;
mod signing_in;
mod site;
mod updates;
