//! Requests that are answered where they are received, past the queue.

use std::pin::pin;

use futures_util::future::join_all;
use leat_contract::Deployment;
use leat_inference_worker::Settings;
use leat_messaging::{ConnectOptions, Connection, Error};

use crate::cluster::{ANSWER, Cluster, Worker, deployment, model, quick};
use crate::models::regression;
use crate::overload::{before, begin, blocker, busy_cluster};

const LIGHT: &str = r#"{"instances":[[1,2]]}"#;

/// Deploys a light model beside the one that keeps the worker busy, asks it often enough for the worker to know that it is light, however
/// busy the machine is, and gives its subject.
async fn deploy_light(cluster: &Cluster, worker: &Worker) -> String {
    let model = "light".parse().unwrap();
    let subject = cluster.subjects.infer(&model);
    let revision =
        cluster.deploy(&Deployment::new(model, vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(worker, revision).await;
    for _ in 0..50 {
        cluster.ask(subject.clone(), LIGHT).await.unwrap();
    }
    subject
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_model_does_not_wait_for_a_heavy_one() {
    let (cluster, worker) = busy_cluster(|_| ()).await;
    let light = deploy_light(&cluster, &worker).await;
    let mut running = pin!(cluster.ask(cluster.live(), blocker()));
    begin(&cluster, &mut running).await;
    for _ in 0..3 {
        assert!(before(&mut running, cluster.ask(light.clone(), LIGHT)).await.is_ok());
    }
    assert!(running.await.is_err(), "its reply is too large");
    worker.stop().await;
}

/// More at once than any queue holds: what is not answered is refused, and nothing is lost. Gives how many were answered.
async fn flood(cluster: &Cluster) -> usize {
    cluster.predict(LIGHT).await.unwrap();
    let mut connections = Vec::new();
    for index in 0..3 {
        let options = ConnectOptions::new(cluster.broker.url(), format!("flood {index}")).own_thread();
        connections.push(Connection::connect(&options).await.unwrap());
    }
    let requests = (0..12_000).map(|index: usize| {
        let connection = connections[index % connections.len()].clone();
        let subject = cluster.live();
        tokio::spawn(async move { connection.request(subject, LIGHT, ANSWER).await })
    });
    let outcomes = join_all(requests).await;
    let is_refusal = |error: &Error| matches!(error, Error::Service(detail) if detail.code == 429);
    let (answered, others): (Vec<_>, Vec<_>) =
        outcomes.into_iter().map(Result::unwrap).partition(Result::is_ok);
    let unexpected = others.iter().filter_map(|other| other.as_ref().err()).find(|error| !is_refusal(error));
    assert!(unexpected.is_none(), "{unexpected:?}");
    answered.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_light_requests_is_answered_or_refused_to_the_last_one() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let answered = flood(&cluster).await;
    assert!(answered > 1000, "{answered} were answered");
    worker.stop().await;
}

/// A worker with several connections is several members of its queue groups, and one worker.
#[tokio::test(flavor = "multi_thread")]
async fn several_connections_bring_requests_and_lose_none_when_the_model_goes() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { ingest_connections: 3, ..quick() }).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    let answered = flood(&cluster).await;
    assert!(answered > 1000, "{answered} were answered");
    let asking = async {
        let (mut answered, mut refused) = (0, 0);
        while refused == 0 {
            let asked = join_all((0..64).map(|_| cluster.ask(cluster.live(), LIGHT))).await;
            for outcome in asked {
                match outcome {
                    Ok(_) => answered += 1,
                    Err(Error::NoResponders { .. }) => refused += 1,
                    Err(other) => panic!("a request was lost: {other}"),
                }
            }
        }
        answered
    };
    let (model, since) = (model(), std::time::Duration::from_millis(200));
    let going = async {
        assert!(tokio::time::timeout(since, std::future::pending::<()>()).await.is_err());
        cluster.undeploy(&model).await;
    };
    let (answered, ()) = tokio::join!(asking, going);
    assert!(answered > 0);
    worker.stop().await;
}
