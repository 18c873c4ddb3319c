pub mod adjustments;
pub mod document;
pub mod events;
pub mod health;
pub mod members;
pub mod moving;
pub mod progress;
pub mod redemptions;
