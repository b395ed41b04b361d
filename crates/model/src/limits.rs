//! How large a model may be. Each limit is far above what Leat is for and far below what could hurt the process
//! that reads a hostile blob.

use leat_pauses::{pause, pieces};

use crate::Error;

/// Features of a row, and outputs of a network: a vector of this length still fits a cache.
pub const FEATURES_MAX: usize = 65_536;
/// Length of one dimension of a tensor.
pub const DIMENSION_MAX: usize = 65_536;
/// Dimensions of a tensor.
pub const RANK_MAX: usize = 8;
/// Weights and biases of a network: 1 GiB once they are expanded to f32.
pub const PARAMETERS_MAX: usize = 1 << 28;
/// Layers of a network.
pub const LAYERS_MAX: usize = 256;
/// Tensors that go in, and that come out.
pub const SIGNATURE_TENSORS_MAX: usize = 64;
/// Inner bin edges of one feature in a reference profile: deciles.
pub const PROFILE_EDGES_MAX: usize = 9;
/// Compression steps that a model remembers.
pub const COMPRESSION_STEPS_MAX: usize = 256;
/// Figures of merit in one report.
pub const METRICS_MAX: usize = 256;
/// Bytes of a name: of a tensor, a feature, a label, a metric.
pub const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a recipe or a compression step as JSON.
pub const RECIPE_BYTES_MAX: usize = 1 << 20;

/// The longest array or map in a blob: one entry per feature.
pub(crate) const SEQUENCE_MAX: usize = FEATURES_MAX;

/// So many names take some ten microseconds.
const NAMES_PER_PAUSE: usize = 128;

pub(crate) fn count(place: &str, found: usize, min: usize, max: usize) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(Error::invalid(place, format!("has {found} entries, allowed are {min} to {max}")))
}

pub(crate) fn length(place: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::invalid(place, format!("has length {found}, expected {expected}")))
}

pub(crate) fn finite(place: &str, values: &[f32]) -> Result<(), Error> {
    all_finite(place, values, |value| value.is_finite())
}

/// Checks that all of many values are finite, of which `is_finite` says so for one.
pub(crate) fn all_finite<T>(place: &str, values: &[T], is_finite: impl Fn(&T) -> bool) -> Result<(), Error> {
    // Without a way out of a piece the processor looks at several values at once.
    let is_piece_finite = |piece: &[T]| piece.iter().fold(true, |all, value| all & is_finite(value));
    if pieces(values).all(is_piece_finite) {
        return Ok(());
    }
    match values.iter().position(|value| !is_finite(value)) {
        None => Ok(()),
        Some(index) => Err(Error::invalid(place, format!("value {index} is not finite"))),
    }
}

pub(crate) fn finite_number(place: &str, value: f64) -> Result<(), Error> {
    if value.is_finite() { Ok(()) } else { Err(Error::invalid(place, format!("{value} is not finite"))) }
}

pub(crate) fn positive(place: &str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| !(value.is_finite() && *value > 0.0)) {
        None => Ok(()),
        Some(index) => Err(Error::invalid(place, format!("value {index} is not finite and above zero"))),
    }
}

pub(crate) fn text(place: &str, text: &str, bytes_max: usize) -> Result<(), Error> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Error::invalid(place, format!("text of {} bytes is longer than {bytes_max}", text.len())))
}

/// Every name is there, short enough, and there only once.
pub(crate) fn names<'a>(place: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        if index.is_multiple_of(NAMES_PER_PAUSE) {
            pause();
        }
        let place = || format!("{place}[{index}]");
        if name.is_empty() {
            return Err(Error::invalid(place(), "the name is empty"));
        }
        text(&place(), name, NAME_BYTES_MAX)?;
        if !seen.insert(name) {
            let name = crate::error::excerpt(name);
            return Err(Error::invalid(place(), format!("the name {name:?} occurs twice")));
        }
    }
    Ok(())
}
