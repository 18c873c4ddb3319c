//! Systems of others: verify what they say, translate it, send them what we say. No rule of the program stands here, and
//! nothing is remembered: whoever calls keeps what was sent and what came back, and calls again.

pub mod partner;
pub mod signature;
