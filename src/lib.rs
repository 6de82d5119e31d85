#![doc = include_str!("../README.md")]

pub mod clock;
pub mod domain;
pub mod id;
pub mod ledger;
pub mod money;
pub mod postgres;
pub mod report;
