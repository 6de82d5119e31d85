#![doc = include_str!("../README.md")]

pub mod app;
pub mod book;
pub mod clock;
pub mod domain;
pub mod id;
pub mod ledger;
pub mod money;
pub mod postgres;
pub mod secret;
pub mod store;
