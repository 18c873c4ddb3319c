pub mod adjustments;
pub mod document;
pub mod draws;
pub mod events;
pub mod health;
pub mod members;
pub mod progress;
pub mod redemptions;
