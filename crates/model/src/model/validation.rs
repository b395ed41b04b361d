use crate::limits::{self, COMPRESSION_STEPS_MAX};
use crate::{Body, Error, Model, Network, Signature, Task};

impl Model {
    /// Checks everything a reader may rely on: the name, that signature, preprocessing, body and profile speak of the same
    /// features and outputs, that layers fit together, that every number is finite, and the [`crate::limits`].
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path to the first part that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        validate_name(&self.name)?;
        self.signature.validate().map_err(|error| error.within("signature"))?;
        let features = self.signature.features.len();
        self.preprocessing.validate(features).map_err(|error| error.within("preprocessing"))?;
        match &self.body {
            Body::Network(network) => self.validate_network(network)?,
            Body::Onnx(graph) => limits::count("body.onnx", graph.len(), 1, crate::blob::BYTES_MAX)?,
        }
        if let Some(profile) = &self.profile {
            let classes = self.classes();
            profile.validate(features, classes).map_err(|error| error.within("profile"))?;
        }
        if let Some(training) = &self.training {
            training.validate().map_err(|error| error.within("training"))?;
        }
        limits::count("compression", self.compression.len(), 0, COMPRESSION_STEPS_MAX)?;
        for (index, report) in self.compression.iter().enumerate() {
            report.validate().map_err(|error| error.within(format!("compression[{index}]")))?;
        }
        self.lineage.validate().map_err(|error| error.within("lineage"))
    }

    fn classes(&self) -> usize {
        match self.task {
            Task::Regression => 0,
            Task::Classification => self.signature.labels.len(),
        }
    }

    fn validate_network(&self, network: &Network) -> Result<(), Error> {
        network.validate().map_err(|error| error.within("body"))?;
        let Signature { features, labels, .. } = &self.signature;
        limits::length("signature.features", features.len(), network.features())?;
        limits::length("signature.labels", labels.len(), network.outputs())?;
        if self.task == Task::Classification && labels.len() < 2 {
            return Err(Error::invalid("signature.labels", "a classifier has at least two classes"));
        }
        if self.signature != Signature::of_network(self.task, features.clone(), labels.clone()) {
            let reason = "inputs and outputs are not those of a network for this task";
            return Err(Error::invalid("signature", reason));
        }
        Ok(())
    }
}

/// `[a-z0-9][a-z0-9_-]{0,62}`
fn validate_name(name: &str) -> Result<(), Error> {
    const BYTES_MAX: usize = 63;
    let is_start = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = name.len() <= BYTES_MAX
        && name.bytes().next().is_some_and(is_start)
        && name.bytes().all(|byte| is_start(byte) || byte == b'_' || byte == b'-');
    if is_good {
        return Ok(());
    }
    let found = crate::error::excerpt(name);
    Err(Error::invalid("name", format!("{found:?} does not match [a-z0-9][a-z0-9_-]{{0,62}}")))
}
