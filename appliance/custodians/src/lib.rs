//! Custodians: a key is split among them, and some of them together restore it.
//!
//! | module | what lives there |
//! |---|---|
//! | `key` | the key that is split |
//! | `shares` | the key split into shares and put together again |
//! | `words` | a share as words, of one kind of key or another |
//! | `terminal` | a terminal: what is on it and for how long |
//! | `dialogue` | shares to custodians and back, at a terminal |
//!
//! The last two come with the feature `terminal`.
//!
//! What must never happen here: a share or a key in a `Debug` output, an error, a file or an argument; words that stay on the screen.

#![forbid(unsafe_code)]

#[cfg(feature = "terminal")]
mod dialogue;
mod key;
mod shares;
#[cfg(feature = "terminal")]
mod terminal;
mod words;

#[cfg(feature = "terminal")]
pub use dialogue::{Awaited, DialogueError, ask_number, gather, hand_out};
pub use key::{KEY_BYTES, SharedKey};
pub use shares::{FEWEST_SHARES, MOST_SHARES, Share, ShareError, Shares, split};
#[cfg(feature = "terminal")]
pub use terminal::{Terminal, TerminalError};
pub use words::{Kind, SHARE_WORDS, Words, WordsError, is_word};
