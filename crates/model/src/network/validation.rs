use crate::limits::{self, FEATURES_MAX, LAYERS_MAX, PARAMETERS_MAX};
use crate::{Dense, Error, Network};

impl Network {
    /// Checks that layers fit together, that every tensor and bias is valid, and that masks tell the truth.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path to the first part that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        limits::count("layers", self.layers.len(), 1, LAYERS_MAX)?;
        if self.parameters() > PARAMETERS_MAX as u64 {
            let reason = format!("have {} parameters, allowed are {PARAMETERS_MAX}", self.parameters());
            return Err(Error::invalid("layers", reason));
        }
        let mut inputs = self.features();
        for (index, layer) in self.layers.iter().enumerate() {
            layer.validate(inputs).map_err(|error| error.within(format!("layers[{index}]")))?;
            inputs = layer.outputs();
        }
        Ok(())
    }
}

impl Dense {
    fn validate(&self, inputs: usize) -> Result<(), Error> {
        limits::length("weights.shape", self.weights.shape.len(), 2)?;
        limits::count("inputs", self.inputs(), 1, FEATURES_MAX)?;
        limits::count("outputs", self.outputs(), 1, FEATURES_MAX)?;
        limits::length("inputs", self.inputs(), inputs)?;
        self.weights.validate().map_err(|error| error.within("weights"))?;
        limits::length("bias", self.bias.len(), self.outputs())?;
        limits::finite("bias", &self.bias)?;
        self.validate_mask()?;
        match self.input_quantization {
            Some(quantization) => limits::positive("input_quantization.scale", &[quantization.scale]),
            None => Ok(()),
        }
    }

    /// A weight that the mask has pruned is zero, otherwise later training would change it without being told.
    fn validate_mask(&self) -> Result<(), Error> {
        let Some(mask) = &self.mask else { return Ok(()) };
        limits::length("mask", mask.len, self.weights.len())?;
        mask.validate().map_err(|error| error.within("mask"))?;
        let (mut first, mut lie) = (0, None);
        self.weights.for_each_piece(|weights| {
            let is_lie = |(offset, weight): (usize, &f32)| *weight != 0.0 && !mask.get(first + offset);
            lie = lie.or_else(|| weights.iter().enumerate().position(is_lie).map(|offset| first + offset));
            first += weights.len();
        });
        match lie {
            None => Ok(()),
            Some(index) => Err(Error::invalid("mask", format!("weight {index} is pruned but not zero"))),
        }
    }
}
