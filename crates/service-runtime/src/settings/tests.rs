use std::io::Write;

use serde::Deserialize;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WorkerSettings {
    queue_max: usize,
    pin: Option<String>,
    record: bool,
    secret: Option<Secret>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { queue_max: 256, pin: None, record: false, secret: None }
    }
}

impl Validate for WorkerSettings {
    fn validate(&self) -> Result<(), Invalid> {
        within("queue_max", self.queue_max, 1..=65_536)
    }
}

fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Settings<WorkerSettings>, Error> {
    let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let Some(text) = file else { return load_from("inference-worker", None, variables) };
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(text.as_bytes()).unwrap();
    load_from("inference-worker", Some(written.path()), variables)
}

#[test]
fn nothing_set_means_defaults() {
    let settings = load(None, &[]).unwrap();
    assert_eq!(settings.nats.url, "nats://127.0.0.1:4222");
    assert_eq!(settings.telemetry.filter, "info,async_nats=warn");
    assert_eq!(settings.http.bind, None);
    assert_eq!(settings.shutdown.deadline_ms, 25_000);
    assert_eq!(settings.service, WorkerSettings::default());
}

#[test]
fn the_environment_beats_the_file_which_beats_defaults() {
    let file = "[nats]\nurl = 'nats://file:1'\nsubject_prefix = 'mill'\n[inference_worker]\nqueue_max = 7\nrecord = true\n";
    let settings = load(
        Some(file),
        &[
            ("LEAT_NATS__URL", "nats://environment:2"),
            ("LEAT_INFERENCE_WORKER__QUEUE_MAX", "9"),
            ("LEAT_HTTP__BIND", "127.0.0.1:8080"),
            ("LEAT_TELEMETRY__LOG", "json"),
            ("LEAT_TELEMETRY__SAMPLE_RATIO", "0.25"),
        ],
    )
    .unwrap();
    assert_eq!(settings.nats.url, "nats://environment:2");
    assert_eq!(settings.nats.subject_prefix, "mill");
    assert_eq!(settings.service, WorkerSettings { queue_max: 9, record: true, ..WorkerSettings::default() });
    assert_eq!(settings.http.bind, Some(([127, 0, 0, 1], 8080).into()));
    assert_eq!(settings.telemetry.log, LogFormat::Json);
    assert_eq!(settings.telemetry.sample_ratio, 0.25);
}

#[test]
fn well_known_variables_rank_below_ours_and_above_the_file() {
    let file = Some("[nats]\nurl = 'nats://file:1'\n");
    let foreign =
        [("NATS_URL", "nats://foreign:2"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")];
    let settings = load(file, &foreign).unwrap();
    assert_eq!(settings.nats.url, "nats://foreign:2");
    assert_eq!(settings.telemetry.otlp_endpoint.as_deref(), Some("http://collector:4318"));
    let ours = [foreign.as_slice(), &[("LEAT_NATS__URL", "nats://ours:3")]].concat();
    assert_eq!(load(file, &ours).unwrap().nats.url, "nats://ours:3");
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let environment = [("LEAT_INFERENCE_WORKER__PIN", "007"), ("LEAT_NATS__TOKEN", "1e5")];
    let settings = load(None, &environment).unwrap();
    assert_eq!(settings.service.pin.as_deref(), Some("007"));
    assert_eq!(settings.nats.token.unwrap().expose(), "1e5");
}

#[test]
fn empty_variables_and_those_of_others_count_as_unset() {
    let environment = [
        ("LEAT_NATS__URL", ""),
        ("NATS_URL", ""),
        ("LEAT_PORT", "tcp://10.0.0.1:80"),
        ("LEAT_NATS_PORT_4222_TCP", "tcp://10.0.0.1:4222"),
        ("LEAT_UPDATE", "1"),
        ("HOME", "/root"),
    ];
    assert_eq!(load(None, &environment).unwrap().nats, NatsSettings::default());
}

#[test]
fn sections_of_other_services_are_ignored() {
    let file = "[trainer]\nepochs_max = 3\n[monitor]\nwindow_ms = 5\n";
    assert!(load(Some(file), &[("LEAT_TRAINER__EPOCHS_MAX", "4")]).is_ok());
}

#[test]
fn refusals_name_the_section_the_field_and_the_value() {
    let refused =
        |file: &str, environment: &[(&str, &str)]| load(Some(file), environment).unwrap_err().to_string();
    let cases = [
        (refused("[inference_worker]\nqueue_maximum = 7\n", &[]), vec!["inference_worker", "queue_maximum"]),
        (refused("", &[("LEAT_NATS__URI", "nats://a:1")]), vec!["nats", "uri"]),
        (refused("[telemtry]\nlog = 'json'\n", &[]), vec!["telemtry", "unknown section"]),
        (
            refused("[inference_worker]\nqueue_max = 0\n", &[]),
            vec!["queue_max", "0 is not within 1 to 65536"],
        ),
        (refused("", &[("LEAT_INFERENCE_WORKER__QUEUE_MAX", "many")]), vec!["inference_worker", "many"]),
        (refused("", &[("LEAT_HTTP__BIND", "here")]), vec!["http", "invalid socket address"]),
        (refused("[telemetry]\nfilter = 'a=b=c'\n", &[]), vec!["telemetry", "filter", "a=b=c"]),
        (
            refused("[telemetry]\notlp_endpoint = 'collector:4318'\n", &[]),
            vec!["otlp_endpoint", "collector:4318"],
        ),
        (refused("[telemetry]\nsample_ratio = nan\n", &[]), vec!["sample_ratio", "NaN"]),
        (refused("[shutdown]\ndeadline_ms = 1\n", &[]), vec!["shutdown", "deadline_ms"]),
        (refused("[nats]\nsubject_prefix = 'a.b'\n", &[]), vec!["subject_prefix", "a.b"]),
        (refused("[nats]\ninstance = 'a b'\n", &[]), vec!["nats", "a b"]),
        (refused("[nats]\nuser = 'me'\n", &[]), vec!["user and password go together"]),
        (refused("[nats]\ntoken = 'a'\nnkey_seed = 'b'\n", &[]), vec!["more than one way"]),
        (refused("[nats]\nurl = 'nats://a:1,,'\n", &[]), vec!["url", "empty address"]),
        (refused("nats = 5\n", &[]), vec!["nats"]),
        (refused("[nats\n", &[]), vec!["settings file"]),
    ];
    for (message, parts) in cases {
        for part in parts {
            assert!(message.contains(part), "'{part}' is missing in: {message}");
        }
    }
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let missing = std::path::Path::new("/nonexistent/leat.toml");
    let refused =
        load_from::<WorkerSettings>("inference-worker", Some(missing), std::iter::empty()).unwrap_err();
    assert!(refused.to_string().contains("/nonexistent/leat.toml"), "{refused}");
    assert_eq!(refused.exit_code(), crate::exit_code::SETTINGS);
}

#[test]
fn secrets_are_redacted_wherever_settings_are_shown() {
    let file = "
        [nats]
        url = 'nats://me:hidden1@one:4222,nats://two:4222'
        token = 'hidden2'
        [telemetry]
        otlp_endpoint = 'https://me:hidden3@collector'
        [inference_worker]
        secret = 'hidden4'
    ";
    let settings = load(Some(file), &[]).unwrap();
    let shown = serde_json::to_string(&settings).unwrap();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("nats://[redacted]@one:4222,nats://two:4222"), "{shown}");
    assert!(!format!("{:?}{:?}", settings.nats.token, settings.service).contains("hidden"));
}

#[test]
fn refusals_do_not_show_secrets() {
    let url = load(Some("[nats]\nurl = 'nats://me:hidden@a:1,'\n"), &[]).unwrap_err();
    let endpoint = load(Some("[telemetry]\notlp_endpoint = 'ftp://me:hidden@a'\n"), &[]).unwrap_err();
    assert!(!format!("{url}{endpoint}").contains("hidden"), "{url} {endpoint}");
}

#[test]
fn an_instance_has_the_configured_name_or_a_random_one() {
    let mut nats = NatsSettings::default();
    let (one, two) = (nats.instance_name("trainer").unwrap(), nats.instance_name("trainer").unwrap());
    assert!(one.as_str().starts_with("trainer-") && one != two, "{one} {two}");
    nats.instance = Some("pod-7".parse().unwrap());
    assert_eq!(nats.instance_name("trainer").unwrap().as_str(), "pod-7");
}
