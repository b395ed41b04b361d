//! What `nats micro ls`, `info` and `stats` ask, and what services answer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::micro::{MicroInfo, MicroPing, MicroStats, MicroVerb};
use leat_contract::{AssetRole, Window, decode_json};
use leat_messaging::{Gathering, Position};
use serde::de::DeserializeOwned;

use crate::town::{Town, digits, row_request};

/// Asks everybody and waits until as many as expected have answered.
async fn ask_all<T: DeserializeOwned>(town: &Town, verb: MicroVerb, expected: usize) -> Vec<T> {
    let [everybody, ..] = verb.subjects("any", "any");
    let gathering = Gathering { stall: Duration::from_secs(1), total: Duration::from_secs(5) };
    leat_test_harness::eventually("everybody answers", || async {
        let replies =
            town.connection.gather(everybody.as_str(), Bytes::new(), gathering).await.expect("asked");
        let documents =
            replies.iter().map(|reply| serde_json::from_slice(reply.payload()).expect("a micro document"));
        (replies.len() == expected).then(|| documents.collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_answers_ping_info_and_stats_with_true_counts() {
    let town = Town::with_two_digits_versions(2).await;
    let subject = town.cluster.subjects().infer(&"digits".parse().expect("a name"));
    let digits = digits();
    for row in 0..100 {
        let request = row_request(&digits, row);
        town.connection
            .request(subject.as_str(), request, Duration::from_secs(5))
            .await
            .expect("a prediction");
    }
    for _ in 0..7 {
        let refused = town.connection.request(subject.as_str(), "{}", Duration::from_secs(5)).await;
        assert!(refused.is_err(), "an empty request is refused");
    }

    let pings: Vec<MicroPing> = ask_all(&town, MicroVerb::Ping, 5).await;
    let status = town.json(&["status"]).await;
    assert_eq!(status["services"].as_array().map(Vec::len), Some(5), "{status}");
    let mut kinds = BTreeMap::new();
    for ping in &pings {
        *kinds.entry(ping.identity.name.clone()).or_insert(0) += 1;
    }
    let expected =
        [("leat-compressor", 1), ("leat-inference-worker", 2), ("leat-monitor", 1), ("leat-trainer", 1)];
    assert_eq!(kinds, expected.map(|(name, count)| (name.to_owned(), count)).into());

    let infos: Vec<MicroInfo> = ask_all(&town, MicroVerb::Info, 5).await;
    let worker = infos.iter().find(|info| info.identity.name == "leat-inference-worker").expect("a worker");
    let endpoint =
        worker.endpoints.iter().find(|endpoint| endpoint.subject == subject).expect("the live route");
    assert_eq!(endpoint.queue_group, "q");

    let stats: Vec<MicroStats> = ask_all(&town, MicroVerb::Stats, 5).await;
    let live = stats.iter().flat_map(|stats| &stats.endpoints).filter(|endpoint| endpoint.subject == subject);
    let (requests, errors) = live.fold((0, 0), |(requests, errors), endpoint| {
        (requests + endpoint.num_requests, errors + endpoint.num_errors)
    });
    assert_eq!((requests, errors), (107, 7));
    let trained = stats.iter().find(|stats| stats.identity.name == "leat-trainer").expect("the trainer");
    assert_eq!(trained.endpoints.iter().map(|endpoint| endpoint.num_requests).sum::<u64>(), 1);

    leat_test_harness::eventually("the monitor's windows add up to what was answered", || async {
        let log = town.storage.event_log(AssetRole::Monitor);
        let mut windows = log.follow(&town.cluster.subjects().monitor_window_all(), Position::Beginning);
        let stored = windows.take_stored(1_000).await.expect("a listing of windows");
        let windows = stored.iter().map(|window| decode_json::<Window>(window.payload()).expect("a window"));
        let requests: u64 = windows.flat_map(|window| window.versions).map(|version| version.requests).sum();
        (requests == 107).then_some(())
    })
    .await;
}
