//! What tests share. A dev-dependency only.

pub mod postgres;
pub mod reference;
pub mod shop;
