use std::collections::BTreeSet;

use super::*;

#[test]
fn every_asset_has_a_limit_on_its_bytes_and_a_name_of_its_own() {
    let assets = all(&Subjects::default());
    assert_eq!(assets.len(), AssetRole::ALL.len());
    assert!(assets.iter().all(|asset| asset.max_bytes > 0));
    let names: BTreeSet<_> = assets.iter().map(Asset::stream_name).collect();
    assert_eq!(names.len(), assets.len());
}

#[test]
fn names_derive_from_the_prefix() {
    let subjects = Subjects::new("test7").unwrap();
    let name = |role| Asset::new(&subjects, role).name;
    assert_eq!(name(AssetRole::Models), "test7_models");
    assert_eq!(name(AssetRole::JobQueue), "TEST7_JOBS");
    assert_eq!(name(AssetRole::Dead), "TEST7_DEAD");
    let stream = |role| Asset::new(&subjects, role).stream_name();
    assert_eq!(stream(AssetRole::Models), "OBJ_test7_models");
    assert_eq!(stream(AssetRole::Jobs), "KV_test7_jobs");
    assert_eq!(stream(AssetRole::JobQueue), "TEST7_JOBS");
}

#[test]
fn no_two_streams_capture_the_same_subject() {
    let subjects = Subjects::default();
    let streams: Vec<Asset> = all(&subjects).into_iter().filter(|asset| !asset.subjects.is_empty()).collect();
    let families = |asset: &Asset| -> BTreeSet<String> {
        asset.subjects.iter().filter_map(|subject| subject.split('.').nth(2).map(str::to_owned)).collect()
    };
    let distinct: BTreeSet<String> = streams.iter().flat_map(families).collect();
    assert_eq!(distinct.len(), streams.iter().map(|asset| families(asset).len()).sum::<usize>());
    let captured: Vec<String> = streams.into_iter().flat_map(|asset| asset.subjects).collect();
    assert!(captured.iter().all(|subject| subject.starts_with("leat.v1.")));
    assert!(captured.contains(&"leat.v1.dead.>".to_owned()));
}

#[test]
fn queues_are_exactly_the_streams_of_work() {
    let queues = all(&Subjects::default()).into_iter().filter(|asset| asset.kind == AssetKind::WorkQueue);
    assert_eq!(queues.map(|asset| asset.name).collect::<Vec<_>>(), ["LEAT_JOBS", "LEAT_ASYNC"]);
}

#[test]
fn the_job_queue_takes_only_what_somebody_does_and_never_forgets_it() {
    let queue = Asset::new(&Subjects::default(), AssetRole::JobQueue);
    assert_eq!(queue.subjects, ["leat.v1.job.train", "leat.v1.job.compress"]);
    assert_eq!(queue.max_age, None);
}

#[test]
fn all_assets_together_fit_a_small_disk() {
    assert!(bytes_max(&Subjects::default()) <= 6 * GIB);
}
