//! Who may ask, and how often. Keys are known by their SHA-256 digests only.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};
use leat_contract::ErrorCode;
use leat_service_runtime::Invalid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Error;
use crate::refusal::Refusal;

/// The header of a key that is no bearer token.
const KEY_HEADER: &str = "x-api-key";
const DIGEST_BYTES: usize = 32;
/// One request in twelve days. The pause that a caller is told grows without end below.
const RATE_MIN: f64 = 1e-6;

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// Whose it is, for logs.
    pub name: String,
    /// The SHA-256 digest of the key in hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    pub sha256: String,
    /// Whether it may also load and unload models.
    #[serde(default)]
    pub manage: bool,
    /// Requests per second in the long run; none for no limit.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause. As many as in one second unless set.
    #[serde(default)]
    pub burst: Option<f64>,
}

impl KeySettings {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if digest(&self.sha256).is_none() {
            let reason = format!("sha256 of key {:?} is not 64 hexadecimal digits", self.name);
            return Err(Invalid::new("keys", reason));
        }
        if self.requests_per_second.is_some_and(|rate| rate > 0.0 && rate < RATE_MIN) {
            let reason = format!("the rate of key {:?} is below {RATE_MIN} requests per second", self.name);
            return Err(Invalid::new("keys", reason));
        }
        let is_usable = |value: Option<f64>| value.is_none_or(|value| value > 0.0 && value <= 1e9);
        if is_usable(self.requests_per_second) && is_usable(self.burst.map(|burst| burst - 0.999_999)) {
            return Ok(());
        }
        Err(Invalid::new(
            "keys",
            format!("the rate of key {:?} is not above 0, or its burst below 1", self.name),
        ))
    }
}

/// Every key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Arc<Key>>,
    /// There is a file for them, or there was one: then nobody may ask without, also when the last one is taken away.
    is_needed: bool,
}

#[derive(Debug)]
struct Key {
    settings: KeySettings,
    digest: [u8; DIGEST_BYTES],
    bucket: Option<Bucket>,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Ask for predictions and read.
    Ask,
    /// Change what is served.
    Manage,
}

impl Keys {
    /// The keys of the settings and of the file they name. Those that were there before and did not change have used up what they had.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn load(settings: &[KeySettings], file: Option<&Path>, former: &Self) -> Result<Self, Error> {
        let mut all = settings.to_vec();
        if let Some(path) = file {
            let text = std::fs::read(path).map_err(Error::file("keys file", path))?;
            let more: Vec<KeySettings> =
                serde_json::from_slice(&text).map_err(Error::file("keys file", path))?;
            more.iter().try_for_each(KeySettings::check).map_err(Error::file("keys file", path))?;
            all.extend(more);
        }
        let key = |settings: &KeySettings| {
            let former = former.keys.iter().find(|key| key.settings == *settings).cloned();
            former.or_else(|| Key::new(settings).map(Arc::new))
        };
        let is_needed = former.is_needed || file.is_some() || !all.is_empty();
        Ok(Self { keys: all.iter().filter_map(key).collect(), is_needed })
    }

    /// Whether everybody may ask.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_needed
    }

    /// Lets a request in by the key in its headers, or says why not.
    pub(crate) fn admit(&self, headers: &HeaderMap, right: Right, now: Instant) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        let unknown = |message| Err(Refusal::new(ErrorCode::Unauthenticated, message));
        let Some(shown) = shown(headers) else {
            return unknown(
                "a key is required: send it as `Authorization: Bearer <key>` or `X-Api-Key: <key>`",
            );
        };
        let Some(key) = self.find(shown) else { return unknown("the key is not known") };
        if right == Right::Manage && !key.settings.manage {
            let message = format!("the key of {} may not load or unload models", key.settings.name);
            return Err(Refusal::new(ErrorCode::PermissionDenied, message));
        }
        match key.bucket.as_ref().map(|bucket| bucket.take(now)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(pause)) => {
                let message = format!("the key of {} has used up its requests for now", key.settings.name);
                Err(Refusal::new(ErrorCode::Overloaded, message).retry_after(pause))
            }
        }
    }

    /// Compares with every key, each in constant time, so that time tells nothing about them.
    fn find(&self, shown: &[u8]) -> Option<&Key> {
        let digest = Sha256::digest(shown);
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.digest.as_slice().ct_eq(&digest)) {
                found = Some(&**key);
            }
        }
        found
    }
}

impl Key {
    fn new(settings: &KeySettings) -> Option<Self> {
        let bucket = settings.requests_per_second.map(|rate| {
            let size = settings.burst.unwrap_or(rate).max(1.0);
            Bucket { rate, size, level: Mutex::new((size, Instant::now())) }
        });
        let digest = digest(&settings.sha256)?;
        Some(Self { settings: settings.clone(), digest, bucket })
    }
}

/// The key that a request shows.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(KEY_HEADER) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
}

fn digest(hexadecimal: &str) -> Option<[u8; DIGEST_BYTES]> {
    let digits: Vec<u8> = hexadecimal
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit)).collect();
    if digits.len() == 2 * DIGEST_BYTES { bytes.try_into().ok() } else { None }
}

/// A bucket of requests that fills at a steady rate.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    size: f64,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// Takes one request out, or says how long until there is one.
    fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *level;
        let filled = (left + now.saturating_duration_since(since).as_secs_f64() * self.rate).min(self.size);
        let is_enough = filled >= 1.0;
        *level = (if is_enough { filled - 1.0 } else { filled }, now.max(since));
        if is_enough { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - filled) / self.rate)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str, rate: Option<f64>) -> KeySettings {
        let sha256 = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        KeySettings { name: name.to_owned(), sha256, manage: false, requests_per_second: rate, burst: None }
    }

    fn loaded(settings: &[KeySettings]) -> Keys {
        Keys::load(settings, None, &Keys::default()).unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    fn code(outcome: Result<(), Refusal>) -> Option<ErrorCode> {
        outcome.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_others_are_refused() {
        let keys = loaded(&[key("ci", "secret", None)]);
        let admit = |headers: &HeaderMap| code(keys.admit(headers, Right::Ask, Instant::now()));
        assert_eq!(admit(&headers("x-api-key", "secret")), None);
        assert_eq!(admit(&headers("authorization", "Bearer secret")), None);
        assert_eq!(admit(&headers("authorization", "Basic secret")), Some(ErrorCode::Unauthenticated));
        assert_eq!(admit(&headers("x-api-key", "Secret")), Some(ErrorCode::Unauthenticated));
        assert_eq!(admit(&HeaderMap::new()), Some(ErrorCode::Unauthenticated));
        let managing = keys.admit(&headers("x-api-key", "secret"), Right::Manage, Instant::now());
        assert_eq!(code(managing), Some(ErrorCode::PermissionDenied));
    }

    #[test]
    fn without_keys_everybody_may_ask() {
        assert!(Keys::default().admit(&HeaderMap::new(), Right::Manage, Instant::now()).is_ok());
    }

    #[test]
    fn a_rate_limits_its_own_key_and_recovers() {
        let keys = loaded(&[key("slow", "one", Some(2.0)), key("free", "two", None)]);
        let began = Instant::now();
        let admit = |secret: &str, after: u64| {
            keys.admit(&headers("x-api-key", secret), Right::Ask, began + Duration::from_millis(after))
        };
        assert!(admit("one", 0).is_ok() && admit("one", 0).is_ok());
        let refusal = admit("one", 0).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_seconds()), (ErrorCode::Overloaded, Some(1)));
        assert!(admit("two", 0).is_ok());
        assert!(admit("one", 600).is_ok() && admit("one", 600).is_err());
    }

    #[test]
    fn keys_that_are_read_anew_keep_what_they_used_up_and_without_any_nobody_may_ask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let write = |keys: &[KeySettings]| std::fs::write(&path, serde_json::to_vec(keys).unwrap()).unwrap();
        let slow = key("slow", "one", Some(1.0));
        write(std::slice::from_ref(&slow));
        let before = Keys::load(&[], Some(&path), &Keys::default()).unwrap();
        let began = Instant::now();
        let admit =
            |keys: &Keys, secret: &str| code(keys.admit(&headers("x-api-key", secret), Right::Ask, began));
        assert_eq!(admit(&before, "one"), None);
        write(&[slow, key("new", "two", None)]);
        let after = Keys::load(&[], Some(&path), &before).unwrap();
        assert_eq!(admit(&after, "one"), Some(ErrorCode::Overloaded), "it used up its request before");
        assert_eq!(admit(&after, "two"), None);
        write(&[key("slow", "one", Some(2.0))]);
        let other = Keys::load(&[], Some(&path), &after).unwrap();
        assert_eq!(admit(&other, "one"), None, "its rate is another");
        assert_eq!(admit(&other, "two"), Some(ErrorCode::Unauthenticated));
        write(&[]);
        let none = Keys::load(&[], Some(&path), &other).unwrap();
        assert!(!none.is_open());
        assert_eq!(admit(&none, "one"), Some(ErrorCode::Unauthenticated), "the last one is taken away");
        assert!(
            !Keys::load(&[], Some(&path), &Keys::default()).unwrap().is_open(),
            "not after a restart either"
        );
        assert!(Keys::load(&[], None, &Keys::default()).unwrap().is_open());
    }

    #[test]
    fn rates_too_small_to_wait_for_are_refused() {
        for rate in [1e-19, 9e-7, 0.0, -1.0, f64::NAN] {
            assert!(key("slow", "one", Some(rate)).check().is_err(), "{rate}");
        }
        let slowest = key("slow", "one", Some(RATE_MIN));
        slowest.check().unwrap();
        let keys = loaded(&[slowest]);
        let admit = || keys.admit(&headers("x-api-key", "one"), Right::Ask, Instant::now());
        assert!(admit().is_ok());
        assert!(admit().unwrap_err().retry_after_seconds().unwrap() > 900_000);
    }

    #[test]
    fn a_digest_that_is_none_is_refused_and_keys_are_never_shown() {
        let mut wrong = key("ci", "secret", None);
        wrong.sha256.pop();
        assert!(wrong.check().is_err() && key("ci", "secret", None).check().is_ok());
        assert!(!format!("{:?}", key("ci", "secret", None)).contains("secret\""));
    }
}
