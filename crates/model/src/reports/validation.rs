use crate::limits::{self, LAYERS_MAX, METRICS_MAX, NAME_BYTES_MAX, RANK_MAX, RECIPE_BYTES_MAX};
use crate::{CompressionReport, Error, LayerReport, Metrics, TrainingReport};

impl TrainingReport {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.best_epoch > self.epochs {
            let reason = format!("{} is after the last epoch {}", self.best_epoch, self.epochs);
            return Err(Error::invalid("best_epoch", reason));
        }
        limits::finite_number("train_loss", self.train_loss)?;
        validate_metrics("held_out", &self.held_out)
    }
}

impl CompressionReport {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        limits::text("step", &self.step, RECIPE_BYTES_MAX)?;
        validate_metrics("held_out_before", &self.held_out_before)?;
        validate_metrics("held_out_after", &self.held_out_after)?;
        limits::count("layers", self.layers.len(), 0, LAYERS_MAX)?;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.validate().map_err(|error| error.within(format!("layers[{index}]")))?;
        }
        Ok(())
    }
}

impl LayerReport {
    fn validate(&self) -> Result<(), Error> {
        limits::count("shape_before", self.shape_before.len(), 0, RANK_MAX)?;
        limits::count("shape_after", self.shape_after.len(), 0, RANK_MAX)?;
        limits::finite_number("weight_max", self.weight_max)?;
        limits::finite_number("sqnr_db", self.sqnr_db.unwrap_or_default())
    }
}

fn validate_metrics(place: &str, metrics: &Metrics) -> Result<(), Error> {
    limits::count(place, metrics.len(), 0, METRICS_MAX)?;
    for (name, value) in metrics {
        limits::text(place, name, NAME_BYTES_MAX)?;
        limits::finite_number(&format!("{place}.{name}"), *value)?;
    }
    Ok(())
}
