pub mod adjustments;
pub mod document;
pub mod events;
pub mod gift_cards;
pub mod health;
pub mod members;
pub mod redemptions;
