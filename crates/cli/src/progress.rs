//! How far a job is: a bar where a terminal is, else a line now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use leat_contract::{JobEvent, JobEventKind, JobProgress};

use crate::output;

/// Lines in a log file are for reading, not for watching.
const LINE_PAUSE: Duration = Duration::from_secs(2);

/// Shows the events of one job on standard error.
#[derive(Debug)]
pub(crate) struct JobDisplay {
    bar: ProgressBar,
    last_line: Option<Instant>,
    is_quiet: bool,
}

impl JobDisplay {
    /// `is_quiet` for output that programs read.
    pub(crate) fn new(title: &str, is_quiet: bool) -> Self {
        let bar = if is_quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{prefix} [{bar:32}] {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(title.to_owned());
        Self { bar, last_line: None, is_quiet }
    }

    /// Takes an event.
    pub(crate) fn show(&mut self, event: &JobEvent) {
        if let Some(progress) = &event.progress {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
            self.bar.set_message(figures(&progress.metrics));
        }
        if event.what.is_final() {
            self.bar.finish_and_clear();
            return;
        }
        let is_news = matches!(event.what, JobEventKind::Started | JobEventKind::Retried);
        let is_due = self.last_line.is_none_or(|last| last.elapsed() > LINE_PAUSE);
        let wants_line = !self.is_quiet && self.bar.is_hidden() && (is_news || is_due);
        if wants_line {
            output::say(&line(event));
            self.last_line = Some(Instant::now());
        }
    }
}

fn line(event: &JobEvent) -> String {
    let reason = event.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    match &event.progress {
        Some(JobProgress { done, total, unit, metrics }) => {
            format!("  {} {unit} {done}/{total} {}{reason}", event.what, figures(metrics))
        }
        None => format!("  {}{reason}", event.what),
    }
}

fn figures(metrics: &BTreeMap<String, f64>) -> String {
    let figures: Vec<String> = metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    figures.join(", ")
}
