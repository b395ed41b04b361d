use std::path::{Path, PathBuf};

/// Why a command failed. The text says what happened and, where there is something, what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker could not be found, fetched or started.
    #[error(transparent)]
    Broker(#[from] leat_broker::Error),
    /// The broker or a service on it did not do what was asked.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// A name, reference or document is not what the contract says.
    #[error(transparent)]
    Contract(#[from] leat_contract::Error),
    /// A service could not run.
    #[error(transparent)]
    Runtime(#[from] leat_service_runtime::Error),
    /// Load cannot be made.
    #[error(transparent)]
    Load(#[from] leat_load::Error),
    /// A data set cannot be used.
    #[error(transparent)]
    Training(#[from] leat_training::Error),
    /// Measured latencies do not fit together.
    #[error(transparent)]
    Statistics(#[from] leat_statistics::Error),
    /// A file or process could not be used.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A service of the cluster did not start or did not stay.
    #[error("{instance} {what}; its log is {log}, which ends with:\n{tail}", log = log.display())]
    Service {
        /// Its name.
        instance: String,
        /// What it did.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// Something was named that does not exist.
    #[error("no such {what}: {name}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something was named that nobody knows.
    #[error("no such {what}: {name}\n{hint}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is instead, or how to find out.
        hint: String,
    },
    /// An argument cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A job ended without a result.
    #[error("job {job} {state}: {reason}")]
    Job {
        /// The job.
        job: String,
        /// `failed` or `cancelled`.
        state: String,
        /// Why.
        reason: String,
    },
    /// The system did something that it promises not to do; each with what was expected and found.
    #[error("not as promised:\n  {}", .0.join("\n  "))]
    BrokenPromises(Vec<String>),
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Wraps an input or output error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }
}

/// What to do about it is for people at a terminal, so it is said here.
impl From<leat_catalogue::Error> for Error {
    fn from(error: leat_catalogue::Error) -> Self {
        use leat_catalogue::Error as Catalogue;
        let text = error.to_string();
        match error {
            Catalogue::Messaging(error) => error.into(),
            Catalogue::Contract(error) => error.into(),
            Catalogue::UnknownVersion { reference, known } => {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                let hint = match known.as_slice() {
                    [] => format!("there is no model {}; `leat models ls` lists them", reference.name),
                    known => format!("{} has versions {}", reference.name, known.join(", ")),
                };
                Self::Unknown { what: "model version", name: reference.to_string(), hint }
            }
            Catalogue::NotDeployed { model } => {
                let hint = format!("deploy a version with `leat deploy {model}@1`");
                Self::Unknown { what: "deployment", name: model.to_string(), hint }
            }
            Catalogue::NotServed { .. } => {
                Self::Usage(format!("{text}; `leat status` shows what each has loaded"))
            }
            _ => Self::Usage(text),
        }
    }
}
