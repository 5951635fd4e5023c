//! Objects: of sessions, which live here, and of the token, which live in the appliance.
//!
//! | module | what lives there |
//! |---|---|
//! | [`attributes`] | attributes and their values |
//! | [`rules`] | which attributes an object has, which may be set when, and what follows from its making |
//! | [`store`] | the objects of the module by their handles, and what of the token's is known here and for how long |
//! | [`manage`] | creating, copying, reading, changing, destroying |
//! | [`find`] | finding |

pub mod attributes;
mod find;
mod manage;
pub mod rules;
pub(crate) mod store;

pub use attributes::{Attributes, CKA_STRONGROOM_OPERATIONS, Kind, Value, kind_of};
pub(crate) use find::Find;
pub use manage::Wanted;
pub(crate) use store::{Home, Object, Record};
