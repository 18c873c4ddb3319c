//! Texts as they stand in what is read.

use std::borrow::Cow;

use serde::Deserialize;

/// A text that is not copied where it stands as it is. A [`Cow`] read by itself always copies: serde borrows only where a
/// field says so.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);
