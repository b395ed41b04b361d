use std::net::TcpListener;
use std::time::Instant;

use tracing::info_span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use opentelemetry::trace::TraceContextExt;

use super::*;

fn settings(endpoint: Option<String>) -> TelemetrySettings {
    TelemetrySettings { otlp_endpoint: endpoint, ..TelemetrySettings::default() }
}

#[test]
fn without_a_collector_spans_have_a_context_but_are_not_sampled() {
    let (telemetry, dispatch) = Telemetry::build("trainer", "one", &settings(None)).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let context = info_span!("work").context();
        let span = context.span().span_context().clone();
        assert!(span.is_valid() && !span.is_sampled(), "{span:?}");
    });
    telemetry.shutdown(Duration::from_secs(1)).unwrap();
}

#[test]
fn with_a_collector_the_share_of_traces_that_is_sampled_is_settable() {
    for (ratio, is_sampled) in [(0.0, false), (1.0, true)] {
        let settings =
            TelemetrySettings { sample_ratio: ratio, ..settings(Some("http://127.0.0.1:9".to_owned())) };
        let (_telemetry, dispatch) = Telemetry::build("trainer", "one", &settings).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            let context = info_span!("work").context();
            assert_eq!(context.span().span_context().is_sampled(), is_sampled);
        });
    }
}

#[test]
fn a_collector_that_never_answers_does_not_hold_up_shutdown() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let (telemetry, dispatch) = Telemetry::build("trainer", "one", &settings(Some(endpoint))).unwrap();
    tracing::dispatcher::with_default(&dispatch, || drop(info_span!("work").entered()));
    let started = Instant::now();
    let lost = telemetry.shutdown(Duration::from_millis(200)).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(lost.to_string().starts_with("telemetry failed: spans were lost"), "{lost}");
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    let refused = Telemetry::build("trainer", "one", &settings(Some("http://a b".to_owned()))).unwrap_err();
    assert!(refused.to_string().contains("http://a b"), "{refused}");
}
