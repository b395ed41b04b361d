//! The echo service as a process of its own: this test binary, started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use leat_contract::{ControlVerb, PingReply};
use leat_messaging::Connection;
use leat_service_runtime::{Error, load_settings, run_service};
use rustix::process::{Pid, Signal, kill_process};

use crate::broker::{PATIENCE, eventually, subjects};
use crate::echo::{Echo, EchoSettings};

/// Runs the echo service with the settings of the environment. Other tests start it; it is not one itself.
#[test]
#[ignore = "the body of another process"]
fn serves_as_a_process() {
    let outcome = load_settings::<EchoSettings>("echo", None).and_then(|settings| {
        let misbehaviour = settings.service.misbehaviour;
        run_service(&settings, Echo { misbehaviour, started: None })
    });
    if let Err(error) = &outcome {
        eprintln!("{error}");
    }
    std::process::exit(i32::from(outcome.as_ref().map_or_else(Error::exit_code, |()| 0)));
}

pub(crate) struct ServiceProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

impl ServiceProcess {
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::serves_as_a_process", "--ignored", "--nocapture"])
            .env("LEAT_NATS__INSTANCE", "child-1")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, sink) = (child.stderr.take().unwrap(), lines.clone());
        let reading = std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| sink.lock().unwrap().push(line));
        });
        Self { child, lines, reading }
    }

    pub(crate) async fn is_ready(&self, client: &Connection) {
        let subject = subjects().control(&"child-1".parse().unwrap(), ControlVerb::Ping);
        eventually("readiness of the process", || async {
            let reply = client.request(subject.clone(), "", PATIENCE).await.ok()?;
            reply.json::<PingReply>().ok()?.ready.then_some(())
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) async fn has_logged(&self, text: &str) {
        eventually(text, || async {
            self.lines.lock().unwrap().iter().any(|line| line.contains(text)).then_some(())
        })
        .await;
    }

    /// Waits for its end and gives its exit code and log.
    pub(crate) async fn ended(mut self) -> (i32, String) {
        let child = Mutex::new(&mut self.child);
        let status: ExitStatus =
            eventually("the end of the process", || async { child.lock().unwrap().try_wait().unwrap() })
                .await;
        self.reading.join().unwrap();
        let log = self.lines.lock().unwrap().join("\n");
        (status.code().unwrap_or(-1), log)
    }
}
