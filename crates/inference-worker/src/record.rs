//! Which predictions are recorded, and how they are gathered until they are published.

use std::collections::BTreeMap;

use leat_contract::{ModelName, PredictedValue, PredictionRecord, RequestId};

/// Bytes of records that go into one message: well below the broker's default limit of 1 MiB.
const BYTES_MAX: usize = 512 * 1024;

/// Whether the prediction for a request is recorded when this share of them is. It depends on nothing but the id, so
/// workers and retries agree.
pub(crate) fn is_sampled(id: &RequestId, ratio: f64) -> bool {
    // FNV-1a (Fowler, Noll, Vo, 1991) with a final mix, of which the upper 53 bits make an even share.
    let mut hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    ((hash >> 11) as f64) < ratio * (1_u64 << 53) as f64
}

/// Records by model, until there are enough of them.
#[derive(Debug)]
pub(crate) struct RecordBuffer {
    gathered: BTreeMap<ModelName, Gathered>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Gathered {
    records: Vec<PredictionRecord>,
    bytes: usize,
}

impl RecordBuffer {
    /// Gathers so many records for one message at most.
    pub(crate) fn new(count_max: usize) -> Self {
        Self { gathered: BTreeMap::new(), count_max }
    }

    /// Adds a record. Gives what must be published first, when this one no longer goes into the same message.
    pub(crate) fn add(
        &mut self,
        model: &ModelName,
        record: PredictionRecord,
    ) -> Option<Vec<PredictionRecord>> {
        if !self.gathered.contains_key(model) {
            self.gathered.insert(model.clone(), Gathered::default());
        }
        let gathered = self.gathered.get_mut(model)?;
        let bytes = size(&record);
        let is_full = gathered.records.len() >= self.count_max || gathered.bytes + bytes > BYTES_MAX;
        let full = (is_full && !gathered.records.is_empty()).then(|| std::mem::take(gathered).records);
        gathered.bytes += bytes;
        gathered.records.push(record);
        full
    }

    /// Gives everything that is gathered.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (ModelName, Vec<PredictionRecord>)> + use<> {
        std::mem::take(&mut self.gathered).into_iter().map(|(model, gathered)| (model, gathered.records))
    }
}

/// About how many bytes a record takes, rather too many than too few.
fn size(record: &PredictionRecord) -> usize {
    let value = |value: &PredictedValue| match value {
        PredictedValue::Class { label, .. } => 48 + label.len(),
        PredictedValue::Values(values) => 16 + 5 * values.len(),
    };
    64 + record.request_id.as_str().len() + record.rows.iter().map(value).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use leat_contract::ModelVersion;

    use super::*;

    fn record(number: usize, rows: usize) -> PredictionRecord {
        PredictionRecord {
            request_id: format!("r-{number}").parse().unwrap(),
            version: ModelVersion::FIRST,
            at: 0,
            rows: vec![PredictedValue::Values(vec![0.0]); rows],
        }
    }

    #[test]
    fn the_share_of_recorded_requests_is_the_one_that_was_asked_for() {
        let sampled = |ratio| {
            (0..20_000).filter(|n| is_sampled(&format!("request-{n}").parse().unwrap(), ratio)).count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 20_000));
        assert!((4700..5300).contains(&sampled(0.25)), "{}", sampled(0.25));
    }

    #[test]
    fn messages_stay_below_their_limits() {
        let model: ModelName = "tiny".parse().unwrap();
        let mut buffer = RecordBuffer::new(3);
        let full: Vec<_> = (0..7).filter_map(|number| buffer.add(&model, record(number, 1))).collect();
        assert_eq!(full.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(buffer.take().map(|(_, records)| records.len()).sum::<usize>(), 1);
        assert_eq!(buffer.take().count(), 0);
        assert!(buffer.add(&model, record(0, 20_000)).is_none());
        assert_eq!(buffer.add(&model, record(1, 20_000)).unwrap().len(), 1);
    }
}
