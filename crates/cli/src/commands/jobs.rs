use clap::{Args, Subcommand};
use leat_contract::{JobId, JobStatus};

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Look at and cancel jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, the newest last.
    #[command(after_help = "Example: leat jobs ls --output json")]
    Ls,
    /// Show one job.
    #[command(after_help = "Example: leat jobs show train-YE2VGXKDGHU0UZ6Q1T2XGG")]
    Show(One),
    /// Ask for a job's end.
    #[command(after_help = "Example: leat jobs cancel train-YE2VGXKDGHU0UZ6Q1T2XGG")]
    Cancel(One),
}

/// One job.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id, as `leat jobs ls` shows it.
    job: JobId,
}

pub(crate) async fn run(global: &GlobalOptions, jobs: Jobs) -> Result<(), Error> {
    let session = Session::open(global).await?;
    match jobs {
        Jobs::Ls => list(&session).await,
        Jobs::Show(one) => show(&session, &session.jobs().get(&one.job).await?.value),
        Jobs::Cancel(one) => {
            let state = session.jobs().cancel(&one.job).await?;
            if session.is_json() {
                return output::json(
                    &serde_json::json!({ "job": one.job, "state": state, "cancel_requested": !state.is_final() }),
                );
            }
            let text = if state.is_final() {
                format!("it has already {state}")
            } else {
                "its end was asked for".to_owned()
            };
            output::line(&format!("{}: {text}", one.job));
            Ok(())
        }
    }
}

async fn list(session: &Session) -> Result<(), Error> {
    let jobs = session.jobs().all().await?;
    if session.is_json() {
        return output::json(&jobs);
    }
    let rows = jobs.iter().map(|job| {
        vec![
            job.id.to_string(),
            job.spec.model().to_string(),
            job.state.to_string(),
            progress(job),
            job.worker.as_ref().map(ToString::to_string).unwrap_or_default(),
            output::moment(job.submitted_at),
        ]
    });
    output::line(&output::table(
        &["job", "model", "state", "progress", "worker", "submitted (UTC)"],
        rows.collect(),
    ));
    Ok(())
}

fn show(session: &Session, job: &JobStatus) -> Result<(), Error> {
    if session.is_json() {
        return output::json(job);
    }
    output::line(&format!("{} ({} {}, attempt {})", job.id, job.spec.kind(), job.spec.model(), job.attempt));
    output::line(&format!("  state      {} {}", job.state, progress(job)));
    if let Some(result) = &job.result {
        output::line(&format!("  result     {} {}", result.model.at(result.version), result.digest));
    }
    if let Some(error) = &job.error {
        output::line(&format!("  error      {} ({})", error.message, error.code));
    }
    output::line(&format!("  submitted  {}", output::moment(job.submitted_at)));
    if let Some(finished) = job.finished_at {
        output::line(&format!("  finished   {}", output::moment(finished)));
    }
    Ok(())
}

fn progress(job: &JobStatus) -> String {
    let progress = job.progress.as_ref();
    progress
        .map(|progress| format!("{} {}/{}", progress.unit, progress.done, progress.total))
        .unwrap_or_default()
}
