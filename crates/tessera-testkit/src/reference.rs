//! The slow reference model.
