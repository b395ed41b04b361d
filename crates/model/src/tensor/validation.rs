use leat_pauses::{pieces, spans};

use super::packing;
use crate::limits::{DIMENSION_MAX, PARAMETERS_MAX, RANK_MAX};
use crate::{Encoding, Error, Tensor, limits};

/// So many indices are looked at between two pauses.
const INDICES_PER_PAUSE: usize = 1 << 14;

impl Tensor {
    /// Checks the shape, that the encoding holds exactly as many values as the shape, and that every value is finite.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the part that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_shape()?;
        match &self.encoding {
            Encoding::F32(values) => {
                limits::length("data", values.len(), self.len())?;
                limits::finite("data", values)
            }
            Encoding::F16(values) => {
                limits::length("data", values.len(), self.len())?;
                limits::all_finite("data", values, |value| value.is_finite())
            }
            Encoding::Bf16(values) => {
                limits::length("data", values.len(), self.len())?;
                limits::all_finite("data", values, |value| value.is_finite())
            }
            Encoding::Int8 { codes, scales } => {
                limits::length("data", codes.len(), self.len())?;
                self.validate_scales(scales, 128.0)
            }
            Encoding::Int4 { packed, scales } => {
                limits::length("data", packed.len(), self.len().div_ceil(2))?;
                packing::check_unused_bits("data", packed, self.len(), 4)?;
                self.validate_scales(scales, 8.0)
            }
            Encoding::Sparse { mask, values } => {
                limits::length("mask", mask.len, self.len())?;
                mask.validate().map_err(|error| error.within("mask"))?;
                limits::length("data", values.len(), mask.count_ones())?;
                limits::finite("data", values)?;
                match pieces(values).flatten().position(|value| *value == 0.0) {
                    None => Ok(()),
                    Some(index) => {
                        Err(Error::invalid("data", format!("value {index} is zero under a set bit")))
                    }
                }
            }
            Encoding::Codebook { centroids, packed } => self.validate_codebook(centroids, packed),
        }
    }

    fn validate_shape(&self) -> Result<(), Error> {
        limits::count("shape", self.shape.len(), 1, RANK_MAX)?;
        if let Some(length) = self.shape.iter().find(|length| !(1..=DIMENSION_MAX).contains(*length)) {
            return Err(Error::invalid("shape", format!("dimension {length} is not in 1..={DIMENSION_MAX}")));
        }
        if self.len() > PARAMETERS_MAX {
            return Err(Error::invalid(
                "shape",
                format!("{:?} holds more than {PARAMETERS_MAX} values", self.shape),
            ));
        }
        Ok(())
    }

    /// Checks that there is one scale or one per row, and that even the largest code gives a finite value.
    fn validate_scales(&self, scales: &[f32], code_max: f32) -> Result<(), Error> {
        let rows = self.shape.first().copied().unwrap_or(0);
        if scales.len() != 1 && scales.len() != rows {
            let reason = format!("has length {}, expected 1 or {rows}", scales.len());
            return Err(Error::invalid("scales", reason));
        }
        limits::positive("scales", scales)?;
        match scales.iter().position(|scale| !(scale * code_max).is_finite()) {
            None => Ok(()),
            Some(index) => Err(Error::invalid("scales", format!("value {index} overflows with large codes"))),
        }
    }

    fn validate_codebook(&self, centroids: &[f32], packed: &[u8]) -> Result<(), Error> {
        limits::count("centroids", centroids.len(), 1, 256)?;
        limits::finite("centroids", centroids)?;
        let mut pairs = centroids.iter().enumerate();
        let repeated =
            pairs.find(|(index, value)| centroids.iter().take(*index).any(|other| other == *value));
        if let Some((index, _)) = repeated {
            return Err(Error::invalid("centroids", format!("value {index} occurs twice")));
        }
        let bits = packing::index_bits(centroids.len());
        limits::length("data", packed.len(), (self.len() * bits).div_ceil(8))?;
        packing::check_unused_bits("data", packed, self.len(), bits)?;
        let mut positions = spans(self.stored(), INDICES_PER_PAUSE).flatten();
        match positions.find(|position| packing::index(packed, bits, *position) >= centroids.len()) {
            None => Ok(()),
            Some(position) => Err(Error::invalid("data", format!("index {position} has no centroid"))),
        }
    }
}
