//! Who may connect, and how: every kind of credential and of encryption, right and wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leat_messaging::{ConnectOptions, Connection, Credentials, Error, Tls};
use nkeys::KeyPair;

use crate::certificates::{Authority, Identity};
use crate::guarded_server::GuardedServer;
use crate::support::{shared_url, soon};

/// What cannot work must fail before this is over: it is longer than a test waits.
const PATIENCE: Duration = Duration::from_secs(300);

async fn connect(server: &GuardedServer, credentials: Credentials, tls: Tls) -> Result<Connection, Error> {
    let mut options = ConnectOptions::new(server.url.clone(), "test");
    (options.credentials, options.tls) = (credentials, tls);
    soon("an outcome", Connection::connect(&options)).await
}

async fn connect_patiently(credentials: Credentials, tls: Tls) -> Result<Connection, Error> {
    let mut options = ConnectOptions::new(shared_url().await, "test").patience(PATIENCE);
    (options.credentials, options.tls) = (credentials, tls);
    soon("an outcome", Connection::connect(&options)).await
}

async fn assert_unauthorized(server: &GuardedServer, credentials: Credentials) {
    let mut options = ConnectOptions::new(server.url.clone(), "test").patience(PATIENCE);
    options.credentials = credentials;
    let refused = soon("the refusal", Connection::connect(&options)).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
}

fn assert_invalid(outcome: Result<Connection, Error>, file: &Path) {
    let Err(Error::Invalid { reason, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains(&file.display().to_string()), "{reason}");
}

#[tokio::test]
async fn a_user_comes_in_with_the_right_password_only() {
    let server = GuardedServer::start("authorization { user: ann, password: right }").await;
    let password =
        |password: &str| Credentials::Password { user: "ann".to_owned(), password: password.to_owned() };
    assert_unauthorized(&server, Credentials::None).await;
    assert_unauthorized(&server, password("wrong")).await;
    assert!(connect(&server, password("right"), Tls::default()).await.unwrap().is_connected());
}

#[tokio::test]
async fn an_nkey_comes_in_with_its_seed_only() {
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let configuration = format!("authorization {{ users: [{{ nkey: {} }}] }}", user.public_key());
    let server = GuardedServer::start(&configuration).await;
    assert_unauthorized(&server, Credentials::NKey(stranger.seed().unwrap())).await;
    assert_unauthorized(&server, Credentials::NKey("no seed".to_owned())).await;
    let right = Credentials::NKey(user.seed().unwrap());
    assert!(connect(&server, right, Tls::default()).await.unwrap().is_connected());
}

#[tokio::test]
async fn a_credentials_file_that_cannot_be_used_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let malformed = folder.path().join("malformed.creds");
    std::fs::write(&malformed, "neither a JWT nor a seed").unwrap();
    for file in [malformed, folder.path().join("missing.creds")] {
        let outcome = connect_patiently(Credentials::File(file.clone()), Tls::default()).await;
        assert_invalid(outcome, &file);
    }
}

/// A server that encrypts, with further lines of its `tls` block.
async fn encrypting(authority: &Authority, further: &str) -> GuardedServer {
    let Identity { certificate, key } = authority.sign("server");
    let (certificate, key) = (certificate.display(), key.display());
    GuardedServer::start(&format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", {further} }}"))
        .await
}

fn trusting(authority: &Authority) -> Tls {
    Tls { roots: Some(authority.roots.clone()), ..Tls::default() }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_roots_only() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = encrypting(&authority, "").await;
    let refused = connect(&server, Credentials::None, trusting(&stranger)).await;
    assert!(matches!(refused, Err(Error::Connect { .. })), "{refused:?}");
    let tls = Tls { required: true, ..trusting(&authority) };
    let connection = connect(&server, Credentials::None, tls).await.unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn encryption_may_come_before_the_first_word() {
    let authority = Authority::new();
    let server = encrypting(&authority, "handshake_first: true").await;
    let tls = Tls { first: true, ..trusting(&authority) };
    assert!(connect(&server, Credentials::None, tls).await.unwrap().is_connected());
    let late = connect(&server, Credentials::None, trusting(&authority)).await;
    assert!(matches!(late, Err(Error::Connect { .. })), "{late:?}");
}

#[tokio::test]
async fn a_server_may_ask_for_a_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let further = format!("ca_file: \"{}\", verify: true", authority.roots.display());
    let server = encrypting(&authority, &further).await;
    let with = |identity: Identity| Tls {
        identity: Some((identity.certificate, identity.key)),
        ..trusting(&authority)
    };
    for wrong in [trusting(&authority), with(stranger.sign("client"))] {
        let refused = connect(&server, Credentials::None, wrong).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let right = with(authority.sign("client"));
    assert!(connect(&server, Credentials::None, right).await.unwrap().is_connected());
}

#[tokio::test]
async fn a_certificate_or_key_that_cannot_be_used_is_named_at_once() {
    let authority = Authority::new();
    let Identity { certificate, key } = authority.sign("client");
    let missing = PathBuf::from("/nonexistent/file.pem");
    let roots = |path: &Path| Tls { roots: Some(path.to_owned()), ..Tls::default() };
    let identity = |certificate: &Path, key: &Path| Tls {
        identity: Some((certificate.to_owned(), key.to_owned())),
        ..Tls::default()
    };
    for (tls, file) in [
        (roots(&missing), &missing),
        (roots(&key), &key),
        (identity(&missing, &key), &missing),
        (identity(&certificate, &missing), &missing),
        (identity(&certificate, &certificate), &certificate),
    ] {
        assert_invalid(connect_patiently(Credentials::None, tls).await, file);
    }
}

#[tokio::test]
async fn required_encryption_is_not_given_up_for_a_plain_server() {
    let server = GuardedServer::start("").await;
    let tls = Tls { required: true, ..Tls::default() };
    let refused = connect(&server, Credentials::None, tls).await;
    assert!(matches!(refused, Err(Error::Connect { .. })), "{refused:?}");
}
