use crate::limits::{self, DIMENSION_MAX, FEATURES_MAX, RANK_MAX, SIGNATURE_TENSORS_MAX};
use crate::{Error, Signature, TensorSpec};

impl Signature {
    /// Checks names, shapes and limits.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path to the first part that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        for (place, specs) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            limits::count(place, specs.len(), 1, SIGNATURE_TENSORS_MAX)?;
            limits::names(place, specs.iter().map(|spec| spec.name.as_str()))?;
            for (index, spec) in specs.iter().enumerate() {
                spec.validate().map_err(|error| error.within(format!("{place}[{index}]")))?;
            }
        }
        for (place, names) in [("features", &self.features), ("labels", &self.labels)] {
            limits::count(place, names.len(), 0, FEATURES_MAX)?;
            limits::names(place, names.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

impl TensorSpec {
    fn validate(&self) -> Result<(), Error> {
        limits::count("shape", self.shape.len(), 0, RANK_MAX)?;
        let is_good = |length: i64| length == -1 || (1..=DIMENSION_MAX as i64).contains(&length);
        match self.shape.iter().find(|length| !is_good(**length)) {
            None => Ok(()),
            Some(length) => {
                Err(Error::invalid("shape", format!("dimension {length} is not -1 or 1..={DIMENSION_MAX}")))
            }
        }
    }
}
