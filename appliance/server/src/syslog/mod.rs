//! Messages of RFC 5424 to receivers outside, over TLS (RFC 5425).
//!
//! | file | what is in it |
//! |---|---|
//! | `receiver` | a receiver, and a connection with it that ends in order |
//! | `text` | what the parts of a message may hold |

mod receiver;
mod text;

pub(crate) use receiver::{Receiver, finish};
pub(crate) use text::{frame, one_line, parameter, printable};
