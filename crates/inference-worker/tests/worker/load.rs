//! Workers that come and go under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leat_contract::{DrainReply, WorkerId};

use crate::cluster::{Cluster, deployment, quick};
use crate::models::regression;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_drains_under_load_loses_no_request() {
    let cluster = Arc::new(Cluster::start().await);
    let (one, two) = (cluster.worker("w1", quick()).await, cluster.worker("w2", quick()).await);
    let route = cluster.store(1, 100, &regression(1.0)).await;
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&one, revision).await;
    cluster.applied(&two, revision).await;

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let askers: Vec<_> = (0..32)
        .map(|_| {
            let (cluster, stop, asked) = (cluster.clone(), stop.clone(), asked.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    cluster.predict(r#"{"instances":[[1,2]]}"#).await.unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let order = cluster.subjects.control(&WorkerId::new("w1").unwrap(), leat_contract::ControlVerb::Drain);
    let drained: DrainReply = cluster.ask(order, "").await.unwrap().json().unwrap();
    assert_eq!(drained.worker.as_str(), "w1");
    one.stop().await;
    let at_drain = asked.load(Ordering::Relaxed);
    leat_test_harness::eventually("more answers of the other worker", || async {
        (asked.load(Ordering::Relaxed) > at_drain + 100).then_some(())
    })
    .await;
    let again = cluster.worker("w1", quick()).await;
    cluster.applied(&again, revision).await;
    again.stop().await;
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    two.stop().await;
}
