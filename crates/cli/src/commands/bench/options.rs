use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use leat_contract::{Encoding, ModelMetadata, ModelRef};
use leat_load::{Arrivals, Pace, Schedule};
use serde_json::Value;

use crate::{Error, rows, time};

/// HTTP connections of an open loop, when their number is not given.
const HTTP_CONNECTIONS: usize = 64;

/// Measure how fast a deployed model answers.
#[derive(Debug, Args)]
#[command(
    long_about = "Measure how fast a deployed model answers.\n\n\
        Closed loop (--concurrency): so many requesters that each wait for an answer before they ask again. A server that stalls is \
        asked less often, so the stall hides from the percentiles (coordinated omission) unless --expected-interval is given.\n\n\
        Open loop (--rate): so many requests a second, whatever the server does. Latencies count from the moment at which a request \
        should have been sent, which corrects for coordinated omission.\n\n\
        Each request is sent once; what fails is counted by reason and is in no percentile.",
    after_help = "Examples:\n  leat bench digits --concurrency 1,16,64 --duration 5s\n  \
                  leat bench digits@2 --rate 1000,5000,10000 --arrivals poisson\n  \
                  leat bench digits --via http --url http://127.0.0.1:8000 --concurrency 64 --output json"
)]
pub(crate) struct Bench {
    /// The model for its live route, or one version: digits, digits@2.
    pub(super) model: ModelRef,
    /// Closed loop: requests outstanding at any time, one step for each number (1 when no --rate is given).
    #[arg(long, value_name = "REQUESTERS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_536))]
    concurrency: Vec<u32>,
    /// Open loop: requests a second, one step for each number.
    #[arg(long, value_name = "PER_SECOND", value_delimiter = ',', value_parser = rate, allow_negative_numbers = true, conflicts_with = "concurrency")]
    rate: Vec<f64>,
    /// How the requests of an open loop are spread over time.
    #[arg(long, value_enum, default_value_t = Spread::Constant, requires = "rate")]
    arrivals: Spread,
    /// Open loop: requests outstanding at most. What has to wait for another's answer is counted as delayed, and what was not sent by
    /// the end of the step as not sent.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1024, requires = "rate", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_outstanding: u32,
    /// Closed loop: correct as if each requester should have asked this often (HdrHistogram's correction for coordinated omission).
    #[arg(long, value_name = "TIME", value_parser = interval, conflicts_with = "rate")]
    pub(super) expected_interval: Option<Duration>,
    /// How long each step counts.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    pub(super) duration: Duration,
    /// How long to ask before each step counts.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time::parse)]
    pub(super) warm_up: Duration,
    /// How long an answer is waited for.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = some_time)]
    pub(super) timeout: Duration,
    /// Rows in a request.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    rows: u32,
    /// How requests are written (messagepack over NATS, json over HTTP).
    #[arg(long, value_enum)]
    encoding: Option<Written>,
    /// The way requests take.
    #[arg(long, value_enum, default_value_t = Via::Nats)]
    pub(super) via: Via,
    /// The gateway, for --via http.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub(super) url: String,
    /// Over NATS: connections that all requests share (1). Over HTTP, where a connection has one request at a time: connections of an
    /// open loop (64); a closed loop has one for each requester.
    #[arg(long, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    connections: Option<u32>,
    /// Rows from a CSV file with a header, instead of random ones.
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    csv: Option<PathBuf>,
    /// Rows as JSON, instead of random ones: [[…], […]], or [{"column": value, …}].
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// What random rows and Poisson arrivals come from.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Spread {
    /// All gaps are equal.
    Constant,
    /// Exponential gaps, as independent callers have them.
    Poisson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Written {
    #[value(name = "messagepack")]
    MessagePack,
    Json,
}

/// The way requests take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Via {
    /// The subject of the model.
    Nats,
    /// The gateway.
    Http,
}

impl Bench {
    /// The steps, in the order in which they were named.
    pub(super) fn paces(&self) -> Vec<Pace> {
        if self.rate.is_empty() {
            let named = if self.concurrency.is_empty() { &[1][..] } else { &self.concurrency };
            return named
                .iter()
                .map(|&concurrency| Pace::Closed { concurrency: concurrency as usize })
                .collect();
        }
        let arrivals = match self.arrivals {
            Spread::Constant => Arrivals::Constant,
            Spread::Poisson => Arrivals::Poisson,
        };
        let max_outstanding = self.max_outstanding();
        let open = |&rate| Pace::Open { rate, arrivals, max_outstanding, seed: self.seed };
        self.rate.iter().map(open).collect()
    }

    fn max_outstanding(&self) -> usize {
        let max = self.max_outstanding as usize;
        match self.via {
            Via::Nats => max,
            Via::Http => {
                max.min(self.connections.map_or(HTTP_CONNECTIONS, |connections| connections as usize))
            }
        }
    }

    /// Connections over NATS.
    pub(super) fn nats_connections(&self) -> usize {
        self.connections.unwrap_or(1) as usize
    }

    pub(super) fn rows(&self) -> usize {
        self.rows as usize
    }

    /// # Errors
    /// For what the gateway does not take.
    pub(super) fn encoding(&self) -> Result<Encoding, Error> {
        match (self.via, self.encoding) {
            (Via::Nats, None | Some(Written::MessagePack)) => Ok(Encoding::MessagePack),
            (Via::Http, None) | (_, Some(Written::Json)) => Ok(Encoding::Json),
            (Via::Http, Some(Written::MessagePack)) => Err(Error::Usage(
                "the gateway takes JSON: leave --encoding out, or use --via nats".to_owned(),
            )),
        }
    }

    /// The rows on the command line, none when they are to be random.
    ///
    /// # Errors
    /// When they cannot be read, or there are none.
    pub(super) fn given_rows(&self, metadata: &ModelMetadata) -> Result<Option<Vec<Value>>, Error> {
        let given = match (&self.csv, &self.input) {
            (None, None) => return Ok(None),
            (Some(_), _) if self.via == Via::Http => {
                let text = "the gateway does not tell the names of columns: give rows with --input, or use --via nats";
                return Err(Error::Usage(text.to_owned()));
            }
            (Some(path), _) => rows::read_csv(path, metadata)?,
            (None, Some(text)) => rows::parse(text)?,
        };
        if given.is_empty() {
            return Err(Error::Usage("there are no rows to ask about".to_owned()));
        }
        Ok(Some(given))
    }
}

/// A rate that a schedule can be made of.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    Schedule::new(rate, Arrivals::Constant, 0).map(|_| rate).map_err(|error| error.to_string())
}

/// Shorter intervals take for ever to correct for, and nobody asks that often.
const INTERVAL_MIN: Duration = Duration::from_micros(10);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = time::parse(text)?;
    let is_usable = interval >= INTERVAL_MIN;
    if is_usable { Ok(interval) } else { Err(format!("an interval is at least {INTERVAL_MIN:?}")) }
}

/// Nothing can be measured in no time.
fn some_time(text: &str) -> Result<Duration, String> {
    let time = time::parse(text)?;
    if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parse(options: &[&str]) -> Result<Bench, String> {
        let arguments = [&["leat", "bench", "digits@1"], options].concat();
        match Arguments::try_parse_from(arguments).map_err(|error| error.to_string())?.command {
            Command::Bench(bench) => Ok(bench),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn each_number_is_a_step() {
        let closed = |concurrency| Pace::Closed { concurrency };
        assert_eq!(parse(&[]).unwrap().paces(), [closed(1)]);
        let several = parse(&["--concurrency", "1,16,64", "--duration", "5s"]).unwrap();
        assert_eq!(several.paces(), [1, 16, 64].map(closed));
        assert_eq!(several.duration, Duration::from_secs(5));
        assert!(parse(&["--duration", "0s"]).unwrap_err().contains("longer than nothing"));
        let open = parse(&["--rate", "1000,2500.5", "--arrivals", "poisson", "--seed", "3"]).unwrap();
        let pace = |rate| Pace::Open { rate, arrivals: Arrivals::Poisson, max_outstanding: 1024, seed: 3 };
        assert_eq!(open.paces(), [1000.0, 2500.5].map(pace));
    }

    #[test]
    fn http_takes_json_and_has_a_connection_for_each_outstanding_request() {
        let outstanding = |options: &[&str]| {
            let bench = parse(&[&["--via", "http", "--rate", "10"], options].concat()).unwrap();
            bench.max_outstanding()
        };
        assert_eq!(outstanding(&[]), HTTP_CONNECTIONS);
        assert_eq!(outstanding(&["--connections", "200"]), 200);
        assert_eq!(outstanding(&["--connections", "200", "--max-outstanding", "8"]), 8);
        assert_eq!(parse(&["--via", "http"]).unwrap().encoding().unwrap(), Encoding::Json);
        assert_eq!(parse(&[]).unwrap().encoding().unwrap(), Encoding::MessagePack);
        assert!(parse(&["--via", "http", "--encoding", "messagepack"]).unwrap().encoding().is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let cases: [(&[&str], &str); 8] = [
            (&["--rate", "0"], "rate"),
            (&["--rate", "-5"], "--rate"),
            (&["--rate", "nan"], "rate"),
            (&["--rate", "fast"], "no number"),
            (&["--concurrency", "0"], "--concurrency"),
            (&["--rate", "5", "--concurrency", "5"], "cannot be used with"),
            (&["--rate", "5", "--expected-interval", "1ms"], "cannot be used with"),
            (&["--expected-interval", "1us"], "at least"),
        ];
        for (options, expected) in cases {
            let error = parse(options).unwrap_err();
            assert!(error.contains(expected), "{options:?}: {error}");
        }
    }
}
