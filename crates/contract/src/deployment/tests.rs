use super::*;
use crate::ErrorCode;

fn route(version: u32, weight: u32) -> Route {
    let digest = Digest::new(format!("sha256-{version:064x}")).unwrap();
    Route { version: ModelVersion::new(version).unwrap(), digest, weight }
}

fn deployment(routes: Vec<Route>) -> Deployment {
    Deployment::new(ModelName::new("digits").unwrap(), routes)
}

fn refusal(deployment: &Deployment) -> String {
    deployment.validate().unwrap_err().to_string()
}

#[test]
fn weights_sum_to_100() {
    assert!(deployment(vec![route(1, 100)]).validate().is_ok());
    assert!(deployment(vec![route(1, 90), route(2, 10), route(3, 0)]).validate().is_ok());
    assert!(refusal(&deployment(vec![route(1, 90), route(2, 11)])).contains("weights sum to 101, not 100"));
    assert!(refusal(&deployment(vec![route(1, u32::MAX), route(2, 101)])).contains("not 100"));
    assert!(refusal(&deployment(Vec::new())).contains("at least one route"));
}

#[test]
fn a_version_stands_there_once() {
    assert!(refusal(&deployment(vec![route(1, 50), route(1, 50)])).contains("version 1 stands there twice"));
}

#[test]
fn the_previous_routes_obey_the_same_rules() {
    let mut deployment = deployment(vec![route(2, 100)]);
    deployment.previous = Some(vec![route(1, 99)]);
    assert!(refusal(&deployment).contains("invalid previous: weights sum to 99"));
}

#[test]
fn batches_queues_and_ratios_hold_something() {
    let good = deployment(vec![route(1, 100)]);
    let with = |change: fn(&mut Deployment)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.validate()
    };
    assert!(with(|deployment| deployment.batching.max_size = 0).is_err());
    assert!(with(|deployment| deployment.limits.queue_max = 0).is_err());
    assert!(with(|deployment| deployment.record.ratio = f64::NAN).is_err());
    assert!(with(|deployment| deployment.record.ratio = 1.01).is_err());
    let too_slow = with(|deployment| deployment.batching.max_delay_us = 1_000_001).unwrap_err();
    assert_eq!(too_slow.code(), ErrorCode::TooLarge);
    let too_many =
        deployment((1..=17).map(|version| route(version, u32::from(version == 1) * 100)).collect());
    assert_eq!(too_many.validate().unwrap_err().code(), ErrorCode::TooLarge);
}

#[test]
fn a_misspelt_field_is_an_error() {
    let json = serde_json::to_string(&deployment(vec![route(1, 100)])).unwrap();
    assert!(serde_json::from_str::<Deployment>(&json).is_ok());
    assert!(serde_json::from_str::<Deployment>(&json.replace("max_size", "max_sise")).is_err());
}

#[test]
fn a_shadow_has_no_route_and_a_canary_has_a_share() {
    let good = deployment(vec![route(1, 90), route(2, 10)]);
    let digest = || Digest::new(format!("sha256-{:064x}", 3)).unwrap();
    let version = |number| ModelVersion::new(number).unwrap();
    let with = |shadow, canary| Deployment { shadow, canary, ..good.clone() }.validate();
    assert!(with(Some(Shadow::new(version(3), digest())), Some(Canary::new(version(2), 0))).is_ok());
    assert!(with(Some(Shadow::new(version(2), digest())), None).is_err());
    assert!(with(Some(Shadow { ratio: 1.5, ..Shadow::new(version(3), digest()) }), None).is_err());
    assert!(with(None, Some(Canary::new(version(3), 0))).is_err());
    let alone = Deployment { canary: Some(Canary::new(version(1), 0)), ..deployment(vec![route(1, 100)]) };
    assert!(alone.validate().unwrap_err().to_string().contains("no share"));
    let lenient = Canary { error_increase_max: f64::NAN, ..Canary::new(version(2), 0) };
    assert!(with(None, Some(lenient)).is_err());
}

#[test]
fn what_is_left_without_versions_that_cannot_be_loaded_answers_half_of_the_live_route() {
    let version = |number| ModelVersion::new(number).unwrap();
    let digest = Digest::new(format!("sha256-{:064x}", 4)).unwrap();
    let mut whole = deployment(vec![route(1, 50), route(2, 45), route(3, 5)]);
    whole.shadow = Some(Shadow::new(version(4), digest));
    let left = |missing: &[u32]| {
        let rest = whole.without(|route| missing.contains(&route.version.get()))?;
        let versions = rest.versions().map(|route| (route.version.get(), route.weight));
        Some(versions.collect::<Vec<_>>())
    };
    assert_eq!(left(&[]), Some(vec![(1, 50), (2, 45), (3, 5), (4, 0)]));
    assert_eq!(left(&[4]), Some(vec![(1, 50), (2, 45), (3, 5)]));
    assert_eq!(left(&[1]), Some(vec![(2, 45), (3, 5), (4, 0)]));
    assert_eq!(left(&[2, 3, 4]), Some(vec![(1, 50)]));
    assert_eq!(left(&[1, 3]), None);
    let tried = deployment(vec![route(1, 40), route(2, 60)]);
    let tried = Deployment { canary: Some(Canary::new(version(2), 0)), ..tried };
    assert!(tried.without(|route| route.version == version(1)).is_none(), "only a canary is left");
}

#[test]
fn of_equal_shares_the_first_route_is_the_principal_one() {
    let principal = |routes| deployment(routes).principal().map(|route| route.version.get());
    assert_eq!(principal(vec![route(1, 20), route(2, 40), route(3, 40)]), Some(2));
    assert_eq!(principal(vec![route(4, 50), route(3, 50)]), Some(4));
    assert_eq!(principal(Vec::new()), None);
}

#[test]
fn a_preferred_batch_is_no_larger_than_the_largest() {
    let mut deployment = deployment(vec![route(1, 100)]);
    for (size, is_good) in [(0, false), (1, true), (64, true), (65, false)] {
        deployment.batching.preferred_size = Some(size);
        assert_eq!(deployment.validate().is_ok(), is_good, "{size}");
    }
}

#[test]
fn a_selector_wants_every_label() {
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut deployment = deployment(vec![route(1, 100)]);
    assert!(deployment.selects(&labels(&[])) && deployment.selects(&labels(&[("pool", "a")])));
    deployment.selector = labels(&[("pool", "a"), ("zone", "x")]);
    assert!(deployment.selects(&labels(&[("pool", "a"), ("zone", "x"), ("more", "1")])));
    assert!(!deployment.selects(&labels(&[("pool", "a")])));
    assert!(!deployment.selects(&labels(&[("pool", "b"), ("zone", "x")])));
}
