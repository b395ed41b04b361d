//! More requests than a worker can answer: who waits, who goes first, who is refused, and when.

use std::pin::pin;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leat_contract::{Encoding, ErrorDetail, InferRequest, Scalar, Tensor, TensorData};
use leat_inference_worker::Settings;
use leat_messaging::{Error, Reply};

use crate::cluster::{Cluster, Worker, deployment, quick};
use crate::models::slow;

const WIDTH: usize = 100;

/// A worker that runs one request at a time, with a model of which a large request takes about a second.
pub(crate) async fn busy_cluster(change: impl Fn(&mut leat_contract::Deployment)) -> (Cluster, Worker) {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { batch_requests_max: 1, ..quick() }).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &slow(WIDTH, 240)).await]);
    change(&mut deployment);
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    (cluster, worker)
}

fn request(rows: usize, deadline_ms: Option<u64>, parameters: &[(&str, i64)]) -> Vec<u8> {
    let data = TensorData::Bool(vec![true; rows * WIDTH]);
    let tensor = Tensor::new("input", vec![rows, WIDTH], data).unwrap();
    let mut request = InferRequest { deadline_ms, ..InferRequest::tensors(vec![tensor]) };
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), Scalar::Integer(*value)));
    request.parameters = parameters.collect();
    request.encode(Encoding::MessagePack).unwrap()
}

/// Keeps the only thread busy; its reply is too large to be sent, which does not matter.
pub(crate) fn blocker() -> Vec<u8> {
    request(4000, None, &[])
}

/// Waits for one answer, which must come before the other one.
pub(crate) async fn before<T>(other: &mut (impl Future + Unpin), awaited: impl Future<Output = T>) -> T {
    let mut awaited = pin!(awaited);
    std::future::poll_fn(|context| match awaited.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => {
            assert!(pin!(&mut *other).poll(context).is_pending(), "the batch before it was over first");
            Poll::Pending
        }
    })
    .await
}

/// Sends a request and waits until the worker runs it.
pub(crate) async fn begin(cluster: &Cluster, running: &mut (impl Future + Unpin)) {
    let mut is_running = pin!(leat_test_harness::eventually("the request runs", || async {
        let stats = cluster.ask("$SRV.STATS.leat-inference-worker".to_owned(), "").await.unwrap();
        let stats: serde_json::Value = stats.json().unwrap();
        (stats["endpoints"][0]["data"]["versions"][0]["inflight"] == 1).then_some(())
    }));
    std::future::poll_fn(|context| {
        assert!(pin!(&mut *running).poll(context).is_pending(), "it was over before it was seen");
        is_running.as_mut().poll(context)
    })
    .await;
}

fn refusal(outcome: Result<Reply, Error>) -> ErrorDetail {
    match outcome {
        Err(Error::Service(detail)) => detail,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_while_the_batch_before_it_still_runs() {
    let (cluster, worker) = busy_cluster(|_| ()).await;
    let mut running = pin!(cluster.ask(cluster.live(), blocker()));
    begin(&cluster, &mut running).await;
    let waiting = before(&mut running, cluster.ask(cluster.live(), request(1, Some(60), &[]))).await;
    let detail = refusal(waiting);
    assert_eq!((detail.code, detail.retryable), (504, false), "{detail}");
    assert!(detail.message.contains("60 ms"), "{detail}");
    let waiting = cluster.ask(cluster.live(), request(1, Some(60_000), &[("timeout", 50_000)]));
    let detail = refusal(before(&mut running, waiting).await);
    assert_eq!(detail.code, 504, "{detail}");
    assert!(detail.message.contains("50000 us"), "{detail}");
    assert_eq!(refusal(running.await).code, 413);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_while_the_request_itself_runs_and_there_is_no_second_answer() {
    let (cluster, worker) = busy_cluster(|_| ()).await;
    let mut running = pin!(cluster.ask(cluster.live(), request(4000, Some(60), &[])));
    let sent = std::future::poll_fn(|context| Poll::Ready(running.as_mut().poll(context).is_pending()));
    assert!(sent.await);
    let mut behind = pin!(cluster.ask(cluster.live(), request(1, None, &[])));
    let detail = refusal(before(&mut behind, running).await);
    assert_eq!(detail.code, 504, "{detail}");
    assert!(behind.await.is_ok());
    let stats = cluster.figures_of(2).await;
    assert_eq!(stats["endpoints"][0]["num_errors"], 1, "{stats}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_requests_go_first() {
    let (cluster, worker) = busy_cluster(|_| ()).await;
    let mut running = pin!(cluster.ask(cluster.live(), blocker()));
    begin(&cluster, &mut running).await;
    let ask = |priority: i64| {
        let asking = cluster.ask(cluster.live(), request(1, None, &[("priority", priority)]));
        async move { asking.await.map(|_| priority) }
    };
    let mut answers: FuturesUnordered<_> = [3, 2, 1, 0, 3, 1].into_iter().map(ask).collect();
    let sent = std::future::poll_fn(|context| Poll::Ready(answers.poll_next_unpin(context).is_pending()));
    assert!(before(&mut running, sent).await);
    let mut order = Vec::new();
    while let Some(priority) = answers.next().await {
        order.push(priority.unwrap());
    }
    order.iter_mut().filter(|priority| **priority == 0).for_each(|priority| *priority = 2);
    assert_eq!(order, [1, 1, 2, 2, 3, 3]);
    assert_eq!(refusal(running.await).code, 413);
    worker.stop().await;
}

/// Two requests that are not urgent fill a queue; of them the last makes way.
async fn an_urgent_request_takes_a_place(
    settings: Settings,
    change: impl Fn(&mut leat_contract::Deployment),
) {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { batch_requests_max: 1, ..settings }).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &slow(WIDTH, 240)).await]);
    change(&mut deployment);
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    let mut running = pin!(cluster.ask(cluster.live(), blocker()));
    begin(&cluster, &mut running).await;
    let ask = |priority: i64| cluster.ask(cluster.live(), request(1, None, &[("priority", priority)]));
    let (mut first, mut second) = (pin!(ask(3)), pin!(ask(3)));
    let poll_all = std::future::poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending() && second.as_mut().poll(context).is_pending());
        Poll::Ready(())
    });
    before(&mut running, poll_all).await;
    let detail = refusal(before(&mut running, ask(3)).await);
    assert_eq!((detail.code, detail.retryable), (429, true), "{detail}");
    let mut urgent = pin!(ask(1));
    let pushed_out = before(&mut urgent, second).await;
    let detail = refusal(pushed_out);
    assert_eq!((detail.code, detail.retryable), (429, true), "{detail}");
    assert!(urgent.await.is_ok() && first.await.is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_request_takes_the_place_of_one_that_is_not_in_a_full_queue_of_the_worker() {
    an_urgent_request_takes_a_place(Settings { queue_max: 2, ..quick() }, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_request_takes_the_place_of_one_that_is_not_in_a_full_queue_of_the_model() {
    an_urgent_request_takes_a_place(quick(), |deployment| deployment.limits.queue_max = 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_bounded_by_bytes_too() {
    let (cluster, worker) = busy_cluster(|deployment| deployment.limits.queue_bytes_max = 20_000).await;
    let detail = refusal(cluster.ask(cluster.live(), blocker()).await);
    assert_eq!((detail.code, detail.retryable), (429, true), "{detail}");
    assert!(detail.message.contains("20000 bytes"), "{detail}");
    assert!(cluster.ask(cluster.live(), request(100, None, &[])).await.is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_would_wait_too_long_is_refused_at_once() {
    let (cluster, worker) = busy_cluster(|deployment| deployment.limits.queue_wait_max_ms = 50).await;
    // Now the worker knows how long such a request takes.
    assert_eq!(refusal(cluster.ask(cluster.live(), blocker()).await).code, 413);
    let mut running = pin!(cluster.ask(cluster.live(), blocker()));
    begin(&cluster, &mut running).await;
    let detail = refusal(before(&mut running, cluster.ask(cluster.live(), request(1, None, &[]))).await);
    assert_eq!((detail.code, detail.retryable), (429, true), "{detail}");
    assert!(detail.message.contains("would wait"), "{detail}");
    assert!(detail.retry_after_ms.is_some_and(|wait| wait > 50), "{detail:?}");
    assert_eq!(refusal(running.await).code, 413);
    worker.stop().await;
}
