//! How a campaign ends, from the first call to the last balance: each road ends in a
//! trial balance that is written out.

mod cast;
mod failure;
mod success;

pub use cast::Road;
pub(crate) use cast::step;
