//! What tests share. A dev-dependency only.

#[cfg(feature = "app")]
pub mod app;
pub mod bytes;
pub mod postgres;
pub mod reference;
pub mod shop;
