//! Messages that mean ill, sent to a worker by NATS itself: each is answered, and the worker stays healthy and its memory flat.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use leat_contract::headers::{BODY_OBJECT, REPLY_OBJECT_BYTES_MAX};
use leat_messaging::{Error, Headers};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::process::{ids, resident};
use crate::town::{Town, digits, row_request};

const REQUESTS: u64 = 10_000;
const AT_ONCE: usize = 64;
/// What the allocator may keep after the flood that it did not have before.
const GROWTH_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Longer than a worker takes for anything that it answers at all.
const ANSWER: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_messages_are_answered_and_leave_the_worker_healthy() {
    let town = Town::with_two_digits_versions(1).await;
    let good = row_request(&digits(), 0);
    let seed = 20_261_128;
    println!("seed {seed}");
    let (_, worker) = ids(&town.cluster, &["worker-1"])[0];
    // The first part fills what is kept for reuse; only what later ones add would be a leak.
    flood(&town, &good, seed, 0..REQUESTS / 4).await;
    let before = resident(worker);
    flood(&town, &good, seed, REQUESTS / 4..REQUESTS).await;
    let after = resident(worker);
    println!("resident: {:.1} MB before, {:.1} MB after", before as f64 / 1e6, after as f64 / 1e6);
    assert!(after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
}

async fn flood(town: &Town, good: &Bytes, seed: u64, requests: Range<u64>) {
    let answered = stream::iter(requests).map(|number| async move {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ number);
        let subjects = town.cluster.subjects();
        let model = "digits".parse().expect("a name");
        let subject = match number % 8 {
            0 => subjects.metadata(&model),
            1 => subjects.infer_version(&model, leat_contract::ModelVersion::FIRST),
            _ => subjects.infer(&model),
        };
        if number % 64 == 63 {
            let answer = town.connection.request(subjects.infer(&model), good.clone(), ANSWER).await;
            drop(answer.unwrap_or_else(|error| panic!("a good request, {number}: {error}")));
        }
        let payload = message(&mut random, good);
        if number % 16 == 15 {
            return town.connection.publish(subject, payload).await.expect("sent");
        }
        let answer = town.connection.request_with(subject, headers(&mut random), payload, ANSWER).await;
        let is_answer = matches!(&answer, Ok(_) | Err(Error::Service(_)));
        assert!(is_answer, "request {number}: {answer:?}");
    });
    answered.buffer_unordered(AT_ONCE).collect::<()>().await;
}

fn headers(random: &mut ChaCha8Rng) -> Headers {
    match random.next_u32() % 8 {
        0 => Headers::new().with(BODY_OBJECT, format!("{:x}", random.next_u64())),
        1 => Headers::new().with(REPLY_OBJECT_BYTES_MAX, u64::MAX.to_string()),
        2 => Headers::new().with("traceparent", "00-zz"),
        3 => Headers::new().with(REPLY_OBJECT_BYTES_MAX, "-1"),
        _ => Headers::new(),
    }
}

fn message(random: &mut ChaCha8Rng, good: &Bytes) -> Vec<u8> {
    match random.next_u32() % 10 {
        0 => bytes(random, 4_096),
        1 => broken(random, good.to_vec()),
        2 => good.slice(..random.next_u32() as usize % good.len()).to_vec(),
        3 => broken(random, json(&[1, 64], 64)),
        4 => {
            let dimension = || [0, 1, 64, u64::MAX, 1 << 40, 1 << 32];
            let pick = |random: &mut ChaCha8Rng| dimension()[random.next_u32() as usize % 6];
            let shape: Vec<u64> = (0..random.next_u32() % 10).map(|_| pick(random)).collect();
            json(&shape, random.next_u32() as usize % 200)
        }
        5 => vec![b'['; 1 + random.next_u32() as usize % 900_000],
        6 => [br#"{"a":"#.repeat(1 + random.next_u32() as usize % 90_000), b"1".to_vec()].concat(),
        // A list or a map of MessagePack that says it has four billion entries.
        7 => [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &bytes(random, 64)].concat(),
        8 => [&[0xdf, 0xff, 0xff, 0xff, 0xff][..], &bytes(random, 64)].concat(),
        _ => {
            let rows = 1 + random.next_u32() as usize % 6_000;
            format!(r#"{{"instances":[{}[1]]}}"#, "[1e999,-0],".repeat(rows)).into_bytes()
        }
    }
}

fn json(shape: &[u64], values: usize) -> Vec<u8> {
    let data = vec!["0.5"; values].join(",");
    format!(r#"{{"inputs":[{{"name":"input","datatype":"FP32","shape":{shape:?},"data":[{data}]}}]}}"#)
        .into_bytes()
}

/// Some bytes are others.
fn broken(random: &mut ChaCha8Rng, mut message: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + random.next_u32() % 8 {
        let place = random.next_u32() as usize % message.len();
        message[place] = random.next_u32() as u8;
    }
    message
}

fn bytes(random: &mut ChaCha8Rng, most: u32) -> Vec<u8> {
    let mut bytes = vec![0; (random.next_u32() % most) as usize];
    random.fill_bytes(&mut bytes);
    bytes
}
