//! What becomes of compression jobs.

use leat_contract::{AssetRole, ErrorCode, JobKind, JobState, Manifest, ModelVersion};
use leat_model::blob;
use leat_test_harness::{JobDesk, broker};

use crate::running::{Running, desk_with_model, digits_model, job};

const PRUNE_AND_QUANTIZE: &str = r#"[{"prune": {"l1_neurons": {"rate": 0.25, "fine_tune_epochs": 3}}},
    {"quantize": {"int8": {"calibration": "mse", "per_channel": true}}}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn pruning_and_quantizing_gives_a_smaller_version_measured_on_the_rows_of_its_parent() {
    let broker = broker().await;
    let desk = desk_with_model(&broker).await;
    let compressor = Running::compressor(&broker);
    let id = desk.submit(job(1, PRUNE_AND_QUANTIZE, "")).await;
    let status = desk.ended(&id).await;
    assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);

    let versions = desk.versions(&digits_model()).await;
    let [parent, child] = versions.as_slice() else { panic!("{} versions", versions.len()) };
    assert_eq!((child.version.get(), child.parent), (2, Some(parent.version)));
    assert!(child.bytes < parent.bytes / 2, "{} bytes after {}", child.bytes, parent.bytes);
    assert!(child.parameters < parent.parameters);
    assert!(child.encoding.starts_with("int8"), "{}", child.encoding);
    let reports = &child.compression;
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["step"]["prune"]["l1_neurons"]["rate"], 0.25);
    // The figures agree to the last bit only when the rows are the same.
    assert_eq!(reports[0]["held_out_before"], serde_json::to_value(&parent.metrics).unwrap());
    assert_eq!(reports[1]["held_out_after"], serde_json::to_value(&child.metrics).unwrap());
    assert!(child.metrics["accuracy"] > parent.metrics["accuracy"] - 0.1, "{:?}", child.metrics);
    let latency = child.latency.as_ref().unwrap();
    assert!(latency.p50_us > 0.0 && latency.before.as_ref().unwrap().p50_us > 0.0);
    let bytes = desk.storage().objects(AssetRole::Models).get(child.digest.as_str()).await.unwrap();
    let lineage = blob::read(&bytes).unwrap().lineage;
    assert_eq!(lineage.parent.unwrap().to_string(), parent.digest.to_string());

    let again = desk.submit(job(1, PRUNE_AND_QUANTIZE, "")).await;
    let again = desk.ended(&again).await.result.unwrap();
    assert_eq!((again.version.get(), &again.digest), (3, &child.digest));
    desk.queue_is_empty(JobKind::Compress).await;
    compressor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_fails_with_the_reason() {
    let broker = broker().await;
    let desk = desk_with_model(&broker).await;
    delete(&desk, 1).await;
    let compressor = Running::compressor(&broker);
    let elsewhere = format!(r#", "dataset": {{"digest": "sha256-{}", "name": "x.csv"}}"#, "0".repeat(64));
    let clip = r#"[{"clip": {"epsilon": 1.0}}]"#;
    let twice = r#"[{"quantize": {"q": 64.0}}, {"prune": {"threshold": 0.1}}]"#;
    let (invalid, not_found) = (ErrorCode::InvalidArgument, ErrorCode::NotFound);
    let cases = [
        (job(7, clip, ""), not_found, "digits@7 is not in the registry"),
        (job(2, clip, ""), not_found, "digits@2 has been deleted"),
        (job(1, "[]", ""), invalid, "steps: an empty list"),
        (job(1, clip, &elsewhere), not_found, "is not in the object store"),
        (job(1, twice, ""), invalid, "needs float weights"),
    ];
    for (spec, code, reason) in cases {
        let id = desk.submit(spec).await;
        let status = desk.ended(&id).await;
        let error = status.error.expect(reason);
        assert_eq!((status.state, error.code), (JobState::Failed, code.status()), "{error}");
        assert!(error.message.contains(reason), "{:?} does not say {reason:?}", error.message);
    }
    desk.queue_is_empty(JobKind::Compress).await;
    compressor.stop().await;
}

/// Adds a version that stands for one whose blob was removed, after version `source`.
async fn delete(desk: &JobDesk, source: u32) {
    let model = digits_model();
    let source = ModelVersion::new(source).unwrap();
    let entry = desk.manifests.get(&Manifest::key(&model, source)).await.unwrap().unwrap();
    let version = source.next().unwrap();
    let deleted = Manifest { version, deleted: true, ..entry.value };
    desk.manifests.create(&Manifest::key(&model, version), &deleted).await.unwrap();
}
