use serde::{Deserialize, Serialize};

use crate::limits::{self, NAME_BYTES_MAX, RECIPE_BYTES_MAX};
use crate::{Digest, Error};

/// Where a model came from: enough to make it again, byte for byte. It holds no time and no host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The blob this one was made from (compression), or none.
    pub parent: Option<Digest>,
    /// The exact bytes of the data set.
    pub data: Option<Digest>,
    /// The recipe that was followed, as canonical JSON.
    pub recipe: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The version of the crates that made it.
    pub crate_version: String,
}

impl Lineage {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        limits::text("recipe", &self.recipe, RECIPE_BYTES_MAX)?;
        limits::text("crate_version", &self.crate_version, NAME_BYTES_MAX)
    }
}
