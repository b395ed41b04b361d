//! A server without storage, whose configuration is the test's own: who may come, and how.

use std::path::Path;
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
    /// Starts a server with some lines of configuration.
    pub(crate) async fn start(configuration: &str) -> Self {
        let binary = find_binary(&Search::from_environment()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, ports) = (folder.path().join("nats-server.conf"), folder.path().join("ports"));
        std::fs::create_dir(&ports).unwrap();
        std::fs::write(&path, configuration).unwrap();
        let process = Command::new(binary.path)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--config"])
            .arg(path)
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut url = None;
        eventually("the server tells its port", async || {
            url = announced_url(&ports);
            url.is_some()
        })
        .await;
        Self { url: url.unwrap(), _process: process, _folder: folder }
    }
}

fn announced_url(folder: &Path) -> Option<String> {
    let file = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).next()?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    ports.get("nats")?.get(0)?.as_str().map(str::to_owned)
}
