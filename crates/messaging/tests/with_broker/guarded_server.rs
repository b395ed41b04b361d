//! A server that wants a token.

use std::process::Stdio;

use leat_broker::{Search, find_binary};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::eventually;

pub(crate) struct GuardedServer {
    pub(crate) url: String,
    _process: Child,
    _folder: TempDir,
}

impl GuardedServer {
    pub(crate) async fn start(token: &str) -> Self {
        let binary = find_binary(&Search::from_environment()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(binary.path)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--auth", token, "--ports_file_dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut url = None;
        eventually("the server tells its port", async || {
            url = announced_url(&folder);
            url.is_some()
        })
        .await;
        Self { url: url.unwrap(), _process: process, _folder: folder }
    }
}

fn announced_url(folder: &TempDir) -> Option<String> {
    let file = std::fs::read_dir(folder.path()).ok()?.filter_map(Result::ok).next()?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    ports.get("nats")?.get(0)?.as_str().map(str::to_owned)
}
