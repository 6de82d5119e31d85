//! Exact amounts: integers of a commodity's smallest unit, decimal text at the
//! edges, and a division that loses no unit.
//!
//! There is no floating point here and nothing rounds: text that a commodity
//! cannot express is refused ([`AmountError::TooPrecise`]), and what does not
//! divide evenly is handed out unit by unit ([`allocate`]).

mod allocate;
mod amount;
mod commodity;

pub use allocate::allocate;
pub use amount::{Amount, AmountError};
pub use commodity::{Commodity, Currency, CurrencyError};
