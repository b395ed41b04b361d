use leat_model::{ActivationQuantization, Network};

use super::{affine_u8, histogram::Histogram};
use crate::progress::Reporter;
use crate::training_rows::TrainingRows;
use crate::{Calibration, Error};

/// Chooses the `u8` range of the input of each layer from the training rows. Two passes, the first for the range and the second
/// for the histogram inside it, so that no activation is kept.
pub(crate) fn calibrate(
    network: &Network,
    calibration: Calibration,
    rows: &TrainingRows<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<ActivationQuantization>, Error> {
    let mut ranges = vec![(0.0_f32, 0.0_f32); network.layers.len()];
    rows.visit_inputs(network, reporter, &mut |layer, values| {
        if let Some((low, high)) = ranges.get_mut(layer) {
            *low = values.iter().copied().fold(*low, f32::min);
            *high = values.iter().copied().fold(*high, f32::max);
        }
    })?;
    if calibration == Calibration::MinMax {
        return Ok(ranges.into_iter().map(|(low, high)| affine_u8(low, high)).collect());
    }
    let mut histograms: Vec<Histogram> =
        ranges.into_iter().map(|(low, high)| Histogram::new(low, high)).collect();
    rows.visit_inputs(network, reporter, &mut |layer, values| {
        if let Some(histogram) = histograms.get_mut(layer) {
            histogram.add(values);
        }
    })?;
    Ok(histograms.iter().map(|histogram| histogram.quantization(calibration)).collect())
}
