//! Payments and bank receipts: every row of domain.md §4 that arriving money,
//! its fee and its failure reach, with the lines written out.

mod capture;
mod currency;
mod failure;
mod fee;
mod movement;
mod receipt;
mod room;
mod stream;
