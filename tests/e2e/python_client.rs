//! A client in another language that knows only what `proto/` says.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::town::{Town, digits_path};

/// The packages of the client, in versions that are known to work.
const PACKAGES: [&str; 2] = ["nats-py==2.16.0", "msgpack==1.2.4"];

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_gets_the_same_numbers_in_every_encoding_and_the_right_error_codes() {
    let town = Town::with_two_digits_versions(2).await;
    let stdout = ask(&town, "answers").await;
    assert!(stdout.contains("same numbers in 4 encodings") && stdout.contains("10 errors"), "{stdout}");

    let stdout = ask(&town, "objects").await;
    assert!(stdout.contains("4096 rows in an object"), "{stdout}");

    town.json(&["deploy", "digits@1", "--queue-max", "1"]).await;
    let stdout = ask(&town, "overload").await;
    assert!(stdout.contains("429"), "{stdout}");

    town.json(&["deploy", "digits@1", "--queue-max", "1024", "--max-delay-us", "50000"]).await;
    let stdout = ask(&town, "expiry").await;
    assert!(stdout.contains("504"), "{stdout}");
}

/// What the client prints, which must have ended well.
async fn ask(town: &Town, what: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/client/client.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(town.cluster.url())
        .arg(digits_path())
        .arg(what)
        .env("PYTHONPATH", packages().await)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python3 runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Installs the packages beside the build, once.
async fn packages() -> PathBuf {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    let install = || async {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-client");
        let marker = folder.join(PACKAGES.join("+"));
        if !marker.exists() {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--upgrade",
                "--target",
            ]);
            let output = pip.arg(&folder).args(PACKAGES).output().await.expect("pip runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::write(&marker, "").expect("the marker is written");
        }
        folder
    };
    INSTALLED.get_or_init(install).await.clone()
}
