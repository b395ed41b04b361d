//! The protocols' own clients, as their users install them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::town;
use crate::town::digits_path;

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_triton_kserve_and_the_open_inference_protocol_work_unchanged() {
    let (_town, ports) = town().await;
    let (http, grpc) = (format!("127.0.0.1:{}", ports.http), format!("127.0.0.1:{}", ports.grpc));
    let digits = digits_path().to_string_lossy().into_owned();
    for (script, last_words) in [
        ("kserve_client.py", "kserve: REST v2 and v1, gRPC raw and typed, errors"),
        ("oip_grpc.py", "open-inference: gRPC, raw and typed contents, errors"),
        ("triton.py", "tritonclient: HTTP, gRPC, stream, repository, statistics, errors"),
    ] {
        let said = python(script, &[&http, &grpc, &digits]).await;
        assert!(said.contains(last_words), "{script}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tensorflow_serving_answers_as_recorded() {
    let (_town, ports) = town().await;
    let said =
        python("tfs.py", &[&format!("127.0.0.1:{}", ports.http), &digits_path().to_string_lossy()]).await;
    assert!(said.contains("recorded answers"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error() {
    let (_town, ports) = town().await;
    let url = format!("http://127.0.0.1:{}", ports.http);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/openapi.json");
    run(venv().await.join("bin/python"), &["-m".into(), "openapi_spec_validator".into(), document]).await;
    // Loading and unloading would take the model away from the other requests.
    let arguments = [
        "run",
        &format!("{url}/openapi.json"),
        "--url",
        &url,
        "--checks",
        "not_a_server_error,response_schema_conformance,content_type_conformance",
        "--exclude-path-regex",
        "/(load|unload)$",
        "--max-examples",
        "30",
        "--generation-database",
        "none",
        "--seed",
        "1",
        "--workers",
        "1",
    ];
    let output = Command::new(venv().await.join("bin/schemathesis"))
        .args(arguments)
        .env("SCHEMATHESIS_HOOKS", "fuzzing")
        .env("PYTHONPATH", scripts())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What a script prints, which must have ended well.
pub(super) async fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(venv().await.join("bin/python"))
        .arg(scripts().join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {stdout}\n{stderr}");
    stdout.into_owned()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/clients")
}

/// The environment with the packages of `requirements.txt`, made beside the build, once for each content of that file.
async fn venv() -> PathBuf {
    static MADE: OnceCell<PathBuf> = OnceCell::const_new();
    let make = || async {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway-clients");
        let requirements = scripts().join("requirements.txt");
        let wanted = std::fs::read(&requirements).expect("the requirements are there");
        let marker = folder.join("installed.txt");
        if std::fs::read(&marker).ok().as_ref() != Some(&wanted) {
            let make = ["-m".into(), "venv".into(), "--clear".into(), folder.clone()];
            run("python3".into(), &make).await;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
            let install: Vec<PathBuf> = pip.into_iter().map(Into::into).chain([requirements]).collect();
            run(folder.join("bin/python"), &install).await;
            std::fs::write(&marker, wanted).expect("the marker is written");
        }
        folder
    };
    MADE.get_or_init(make).await.clone()
}

async fn run(program: PathBuf, arguments: &[PathBuf]) {
    let output = Command::new(&program).args(arguments).output().await.expect("python runs");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}
