//! What tests share. A dev-dependency only.

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "app")]
pub mod partner;
pub mod postgres;
pub mod reference;
pub mod shop;
