//! The sums in the rules, over random histories: bounded, so that the whole takes seconds.

mod documents;
mod histories;
mod programs;
mod reference;
mod returns;
