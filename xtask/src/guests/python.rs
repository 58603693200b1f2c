//! Being written.
use super::{Workshop,source::Guest,component::Made,command::Unavailable};use anyhow::Result;
pub(super) const RECIPE: &str = "";
pub(super) fn build(_: &Workshop, _: &Guest) -> Result<Made> { Err(Unavailable::new("being written","wait").into()) }
