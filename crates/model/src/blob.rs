//! The bytes of a model: one MessagePack map with named fields, the same for the same model, always.
//!
//! Vectors of numbers are `bin`: f32 little-endian, codes one byte each, bits as [`crate::Mask`] and
//! [`crate::Encoding`] say. Every field is there (`nil` when the model has no such part), in the order of the structures
//! in the submodules, in the shortest form of MessagePack. [`read`] refuses everything else, so a model has one blob and
//! one digest.

mod bin;
mod document;
mod layers;
mod preparation;
mod reference;
mod weights;

pub(crate) use bin::Bin;

use leat_pauses::pause;
use serde::Deserialize;

use crate::error::excerpt;
use crate::limits::SEQUENCE_MAX;
use crate::{Error, Model, messagepack};
use document::Document;

/// The version of the format that [`write()`] writes and [`read`] reads.
pub const FORMAT_VERSION: u32 = 1;

/// The most bytes a blob may have: 1 GiB.
pub const BYTES_MAX: usize = 1 << 30;

const FORMAT: &str = "leat.model";

/// Writes a model after validating it.
///
/// # Errors
/// [`Error::Invalid`] as [`Model::validate`], [`Error::TooLarge`] above [`BYTES_MAX`].
pub fn write(model: &Model) -> Result<Vec<u8>, Error> {
    model.validate()?;
    let bytes = messagepack::encode(&Document::from(model))?;
    check_size(&bytes)?;
    Ok(bytes)
}

/// Reads a blob that [`write()`] could have written and validates the model in it.
///
/// # Errors
/// Says for any other bytes what is wrong with them; never panics. Memory stays within a small multiple of the input.
pub fn read(bytes: &[u8]) -> Result<Model, Error> {
    check_size(bytes)?;
    check_header(bytes)?;
    pause();
    let document: Document<'_> = messagepack::decode_canonical(bytes, SEQUENCE_MAX)?;
    pause();
    let model = Model::try_from(document)?;
    pause();
    model.validate()?;
    Ok(model)
}

/// The two fields that every version of the format begins with.
#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    format_version: Option<u64>,
}

fn check_size(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= BYTES_MAX {
        return Ok(());
    }
    Err(Error::TooLarge { bytes: bytes.len(), bytes_max: BYTES_MAX })
}

/// Looks at format and version before anything else, so that a blob from a newer build is called that.
fn check_header(bytes: &[u8]) -> Result<(), Error> {
    let header: Header = messagepack::decode_bounded(bytes, SEQUENCE_MAX)?;
    match header {
        Header { format: Some(format), .. } if format != FORMAT => {
            Err(Error::Format { found: format!("{:?}", excerpt(&format)) })
        }
        Header { format: None, .. } => Err(Error::Format { found: "none".to_owned() }),
        Header { format_version: Some(found), .. } if found != u64::from(FORMAT_VERSION) => {
            Err(Error::FormatVersion { found, supported: FORMAT_VERSION })
        }
        Header { .. } => Ok(()),
    }
}
