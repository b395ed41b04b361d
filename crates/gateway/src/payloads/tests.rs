//! On a real broker, seen from both sides.

use leat_broker::Broker;
use leat_contract::assets::AssetRole;
use leat_contract::{Envelope, InferRequest, Parameters, Scalar, Subjects, Tensor, TensorData};
use leat_messaging::{ConnectOptions, Connection, Headers, Message, Storage, Subscription};
use leat_test_harness::{broker, eventually};

use super::*;
use crate::served::Served;

const MIB: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

struct Town {
    _broker: Broker,
    connection: Connection,
    subjects: Subjects,
    objects: Objects,
    workers: Workers,
    target: Target,
}

impl Town {
    async fn new(bytes_max: usize) -> Self {
        let broker = broker().await;
        let connection = Connection::connect(&ConnectOptions::new(broker.url(), "test")).await.unwrap();
        let subjects = Subjects::default();
        let storage = Storage::provision(&connection, &subjects).await.unwrap();
        let objects = storage.objects(AssetRole::Payloads);
        let payloads = Payloads::new(objects.clone(), bytes_max, Memory::new(64 * MIB));
        let (inference, control) = (connection.clone(), connection.clone());
        let workers = Workers::new(inference, control, subjects.clone(), Served::of_nobody(), payloads);
        let target = Target::live("wide".parse().unwrap());
        Self { _broker: broker, connection, subjects, objects, workers, target }
    }

    /// Stands in for a worker that serves the model.
    async fn serve(&self) -> Subscription {
        let requests = self.connection.queue_subscribe(self.subjects.infer(&self.target.model), "q").await;
        self.connection.round_trip(PATIENCE).await.unwrap();
        requests.unwrap()
    }

    async fn ask(&self, payload: &[u8], timeout: Duration) -> Result<Bytes, Refusal> {
        let reference = InferReference {
            deadline_ms: Some(600_000),
            parameters: Parameters::from([("priority".to_owned(), Scalar::Integer(1))]),
        };
        let payload = Bytes::copy_from_slice(payload);
        let large = Large { payload, reference, encoding: Encoding::MessagePack };
        let call = Call::new(timeout, Headers::new());
        self.workers.infer_by_object(&self.target, large, &call).await
    }

    async fn is_empty_in_the_end(&self) {
        let probe = async || self.objects.list().await.unwrap().is_empty().then_some(());
        eventually("no object is left", probe).await;
    }
}

/// A single row that no message can hold.
fn row() -> Vec<u8> {
    let data = TensorData::Fp64((0..300_000).map(f64::from).collect());
    let tensor = Tensor::new("input", vec![1, 300_000], data).unwrap();
    InferRequest::tensors(vec![tensor]).encode(Encoding::MessagePack).unwrap()
}

async fn next(requests: &mut Subscription) -> Message {
    tokio::time::timeout(PATIENCE, requests.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_request_and_its_reply_travel_as_objects_and_leave_none_behind() {
    let town = Town::new(8 * MIB).await;
    let mut requests = town.serve().await;
    let (payload, reply) = (row(), vec![b'x'; 3 * MIB]);
    let serving = async {
        let request = next(&mut requests).await;
        let envelope = Envelope::peek(request.payload());
        assert_eq!(envelope.priority, leat_contract::Priority::High);
        // The time that storing took is no longer the worker's.
        assert!(envelope.deadline_ms.is_some_and(|deadline_ms| deadline_ms < 20_000), "{envelope:?}");
        assert_eq!(request.header(REPLY_OBJECT_BYTES_MAX), Some("8388608"));
        let body = town.objects.get(request.header(BODY_OBJECT).unwrap()).await.unwrap();
        assert!(body == payload);
        let named =
            Headers::new().with(BODY_OBJECT, town.objects.put_unique(reply.clone().into()).await.unwrap());
        town.connection.publish_with(request.reply().unwrap().clone(), named, "").await.unwrap();
    };
    let (answered, ()) = tokio::join!(town.ask(&payload, PATIENCE), serving);
    assert!(answered.unwrap() == reply);
    town.is_empty_in_the_end().await;
}

#[tokio::test]
async fn what_fits_a_message_goes_in_one_and_may_be_answered_by_an_object() {
    let town = Town::new(8 * MIB).await;
    let mut requests = town.serve().await;
    let serving = async {
        let request = next(&mut requests).await;
        assert_eq!((request.payload().as_ref(), request.header(BODY_OBJECT)), (b"{}".as_slice(), None));
        let name = town.objects.put_unique(Bytes::from_static(b"large")).await.unwrap();
        let named = Headers::new().with(BODY_OBJECT, name);
        town.connection.publish_with(request.reply().unwrap().clone(), named, "").await.unwrap();
    };
    let (answered, ()) = tokio::join!(town.ask(b"{}", PATIENCE), serving);
    assert_eq!(answered.unwrap(), "large");
    town.is_empty_in_the_end().await;
}

#[tokio::test]
async fn what_is_over_the_limit_is_refused_with_the_limit_and_the_setting() {
    let town = Town::new(2 * MIB).await;
    let refusal = town.ask(&row(), PATIENCE).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TooLarge);
    assert!(refusal.message.contains("2097152") && refusal.message.contains("gateway.object_bytes_max"));
    assert!(refusal.message.contains("1047552") && refusal.message.contains("max_payload"));
    assert_eq!(town.objects.list().await.unwrap(), []);
}

#[tokio::test]
async fn objects_are_removed_when_nobody_serves_the_model_or_answers_in_time() {
    let town = Town::new(8 * MIB).await;
    let payload = row();
    assert_eq!(town.ask(&payload, PATIENCE).await.unwrap_err().code, ErrorCode::NotFound);
    town.is_empty_in_the_end().await;
    let mut requests = town.serve().await;
    let silent = next(&mut requests);
    let (answered, _) = tokio::join!(town.ask(&payload, Duration::from_millis(500)), silent);
    assert_eq!(answered.unwrap_err().code, ErrorCode::DeadlineExceeded);
    town.is_empty_in_the_end().await;
}

#[tokio::test]
async fn the_request_of_a_caller_that_left_is_removed() {
    let town = Town::new(8 * MIB).await;
    let mut requests = town.serve().await;
    let payload = row();
    tokio::select! {
        answered = town.ask(&payload, PATIENCE) => panic!("nobody answers: {answered:?}"),
        request = next(&mut requests) => assert!(request.header(BODY_OBJECT).is_some()),
    }
    town.is_empty_in_the_end().await;
}
