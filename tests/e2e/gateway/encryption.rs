//! Both ports behind TLS.

use super::clients::python;
use super::guarded::Guarded;
use super::town;
use crate::town::digits_path;

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_http_and_grpc_get_through_tls_and_others_do_not() {
    let (town, _) = town().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (town.path("certificate.pem"), town.path("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
    let settings = [
        ("LEAT_GATEWAY__TLS_CERTIFICATE_FILE", &*certificate),
        ("LEAT_GATEWAY__TLS_KEY_FILE", &*key),
        ("LEAT_GATEWAY__FILES_CHECK_MS", "100"),
    ];
    let gateway = Guarded::start(&town, "encrypted", &settings).await;
    let (http, grpc) = (format!("localhost:{}", gateway.http), format!("localhost:{}", gateway.grpc));
    let said = python("tls.py", &[&http, &grpc, &certificate, &digits_path().to_string_lossy()]).await;
    assert!(said.contains("TLS: HTTP and gRPC"), "{said}");
    let plain = super::http::exchange(gateway.http, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&plain).contains("200 OK"));
    // For a moment the new certificate stands beside the former key; nobody may meet that.
    let renewed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&*certificate, renewed.cert.pem()).expect("written");
    let said = python("tls.py", &["shown", &http, &made.cert.pem()]).await;
    assert!(said.contains("this certificate is shown"), "{said}");
    std::fs::write(&*key, renewed.signing_key.serialize_pem()).expect("written");
    let said = python("tls.py", &["shown", &http, &renewed.cert.pem()]).await;
    assert!(said.contains("this certificate is shown"), "{said}");
}
