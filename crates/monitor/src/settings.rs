use leat_service_runtime::{Invalid, Validate, within};
use serde::{Deserialize, Serialize};

use crate::label_join::JoinLimits;

/// What can be set, in section `[monitor]` or as `LEAT_MONITOR__<FIELD>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a window is, in milliseconds. Workers report once a second, so less than that shows noise.
    pub window_ms: u64,
    /// How long a prediction waits for its label, in milliseconds. One hour by default.
    pub label_wait_ms: u64,
    /// How long a label waits for a prediction that comes later, in milliseconds: predictions travel in batches.
    pub label_grace_ms: u64,
    /// Predictions that are kept per model to be compared with labels; about 200 bytes each. As many labels may wait for
    /// their prediction.
    pub predictions_max: usize,
    /// Predicted classes and numbers in them, of all rows together; up to about 50 bytes each. A request may have thousands
    /// of rows, so the number of requests alone bounds nothing.
    pub prediction_values_max: usize,
    /// Labels of a version that its live accuracy covers, the latest ones. With 2000 the 95 % interval is about one point to
    /// either side at an accuracy of 95 %; with more, a version that became worse would look good for longer.
    pub accuracy_labels: usize,
    /// Models that are watched. What further ones report is dropped and counted, so that no sender can fill the memory.
    pub models_max: usize,
    /// A worker that has been silent for this long, in milliseconds, and did not say good-bye, is lost.
    pub worker_silence_ms: u64,
    /// How long a durable request without a deadline may wait, in milliseconds, also for a model that nobody serves. As the workers'
    /// setting of this name.
    pub durable_wait_max_ms: u64,
    /// How long after that workers may take to end it themselves, in milliseconds, before it gets its error and becomes a dead
    /// letter.
    pub durable_grace_ms: u64,
    /// When to raise an alert.
    pub alerts: AlertSettings,
}

/// When to raise an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Share of requests that failed through no fault of the caller (codes 429 and above), 0 to 1.
    pub error_ratio: f64,
    /// 99th percentile of the latency in milliseconds; none by default, because only the operator knows what is slow.
    pub latency_p99_ms: Option<f64>,
    /// By how much live accuracy may lie below that of the held-out rows, 0 to 1.
    pub accuracy_drop: f64,
    /// Labels, one per request, before accuracy is judged. At most `accuracy_labels`.
    pub labels_min: u64,
    /// Requests in a window before its ratios and quantiles are judged.
    pub requests_min: u64,
    /// Windows in a row that must be bad before an alert starts, and good before it ends.
    pub windows: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_ms: 2_000,
            label_wait_ms: 3_600_000,
            label_grace_ms: 60_000,
            predictions_max: 100_000,
            prediction_values_max: 1_000_000,
            accuracy_labels: 2_000,
            models_max: 1_000,
            worker_silence_ms: 4_000,
            durable_wait_max_ms: 86_400_000,
            durable_grace_ms: 60_000,
            alerts: AlertSettings::default(),
        }
    }
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            error_ratio: 0.05,
            latency_p99_ms: None,
            accuracy_drop: 0.05,
            labels_min: 100,
            requests_min: 20,
            windows: 2,
        }
    }
}

impl Settings {
    pub(crate) fn join_limits(&self) -> JoinLimits {
        JoinLimits {
            wait_ms: self.label_wait_ms,
            grace_ms: self.label_grace_ms,
            entries_max: self.predictions_max,
            values_max: self.prediction_values_max,
            recent_max: self.accuracy_labels,
        }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        within("window_ms", self.window_ms, 100..=3_600_000)?;
        within("label_wait_ms", self.label_wait_ms, 1_000..=90 * 86_400_000)?;
        within("label_grace_ms", self.label_grace_ms, 1_000..=self.label_wait_ms.max(1_000))?;
        within("predictions_max", self.predictions_max, 1..=10_000_000)?;
        within("prediction_values_max", self.prediction_values_max, 1..=1_000_000_000)?;
        within("accuracy_labels", self.accuracy_labels, 1..=1_000_000)?;
        within("models_max", self.models_max, 1..=100_000)?;
        within("worker_silence_ms", self.worker_silence_ms, 1_500..=600_000)?;
        within("durable_wait_max_ms", self.durable_wait_max_ms, 1000..=30 * 86_400_000)?;
        within("durable_grace_ms", self.durable_grace_ms, 400..=3_600_000)?;
        within("alerts.error_ratio", self.alerts.error_ratio, 0.0..=1.0)?;
        within("alerts.accuracy_drop", self.alerts.accuracy_drop, 0.0..=1.0)?;
        within("alerts.labels_min", self.alerts.labels_min, 1..=self.accuracy_labels as u64)?;
        within("alerts.windows", self.alerts.windows, 1..=1_000)?;
        self.alerts
            .latency_p99_ms
            .map_or(Ok(()), |limit| within("alerts.latency_p99_ms", limit, 0.001..=3_600_000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_never_judged_by_more_labels_than_it_covers() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let settings = Settings { accuracy_labels: 50, ..Settings::default() };
        assert!(settings.validate().unwrap_err().to_string().starts_with("alerts.labels_min: 100"));
    }
}
