use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use leat_contract::AssetRole;
use leat_messaging::Position;
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Follow events, windows and alerts as they happen, one per line: its subject and its JSON document.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  leat events\n  leat events --of jobs --from-start\n  leat events --of alerts"
)]
pub(crate) struct Events {
    /// What to follow.
    #[arg(long, value_enum, default_value_t = Topic::All)]
    of: Topic,
    /// Begin with what is stored.
    #[arg(long)]
    from_start: bool,
    /// End after this many.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    All,
    Jobs,
    Rollouts,
    Windows,
    Alerts,
}

pub(crate) async fn run(global: &GlobalOptions, events: Events) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let since = if events.from_start { Position::Beginning } else { Position::Now };
    let follow =
        |role, filter: String| session.storage.event_log(role).follow(&filter, since).into_stream().boxed();
    let subjects = &session.subjects;
    let sources = match events.of {
        Topic::All => vec![
            follow(AssetRole::Events, subjects.event_all()),
            follow(AssetRole::Monitor, subjects.monitor_all()),
        ],
        Topic::Jobs => vec![follow(AssetRole::Events, subjects.job_event_all())],
        Topic::Rollouts => vec![follow(AssetRole::Events, subjects.rollout_event_all())],
        Topic::Windows => vec![follow(AssetRole::Monitor, subjects.monitor_window_all())],
        Topic::Alerts => vec![follow(AssetRole::Monitor, subjects.monitor_alert_all())],
    };
    let mut messages = futures_util::stream::select_all(sources).take(events.limit.unwrap_or(usize::MAX));
    while let Some(message) = messages.next().await {
        let text = String::from_utf8_lossy(message.payload());
        if session.is_json() {
            // What is not JSON is shown as text rather than left out.
            let message_json = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
            output::json_line(&json!({ "subject": message.subject(), "message": message_json }))?;
        } else {
            output::line(&format!("{} {text}", message.subject()));
        }
    }
    Ok(())
}
