#![doc = include_str!("../README.md")]

// In dependency order; tests/it/architecture.rs fails on a `use` against it.
pub mod clock;
pub mod id;
pub mod money;
pub mod ledger;
pub mod domain;
pub mod access;
pub mod secret;
pub mod store;
pub mod book;
pub mod app;
pub mod report;
pub mod webhook;
pub mod grpc;
pub mod config;
pub mod telemetry;
pub mod postgres;
pub mod gathering;
pub mod server;
pub mod cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
