//! Which path means what. Every path of every protocol stands here.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::keys::Right;
use crate::refusal::Refusal;

/// A model as a path names it, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) model: String,
    /// A number or an alias; none for the live route.
    pub(crate) version: Option<String>,
}

/// What is asked of a model or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/healthz` and `/v2/health/live`.
    Live { is_v2: bool },
    /// `/v2/health/ready`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/openapi.json`.
    OpenApi,
    /// `/v2`.
    Server,
    /// `/v2/models`.
    Models,
    /// `/v2/models/<model>`.
    Model(Named),
    /// `…/ready`.
    ModelReady(Named),
    /// `…/infer`.
    Infer(Named),
    /// `…/config`.
    Config(Named),
    /// `…/stats`, of every model without a name.
    Statistics(Option<Named>),
    /// `/v2/repository/index`.
    Index,
    /// `/v2/repository/models/<model>/load`.
    Load(String),
    /// `/v2/repository/models/<model>/unload`.
    Unload(String),
    /// `/v1/models/<model>:predict`.
    TfsPredict(Named),
    /// `/v1/models/<model>`.
    TfsStatus(Named),
    /// `/v1/models/<model>/metadata`.
    TfsMetadata(Named),
}

impl Route {
    /// Where a request goes.
    ///
    /// # Errors
    /// 404 for a path that does not exist, 405 for a method that it does not have.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::not_found(format!("there is no path {:?}", shortened(path)));
        let trimmed = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
        let segments: Vec<&str> = trimmed.split('/').skip(1).take(8).collect();
        let route = match segments.as_slice() {
            ["healthz"] => Some(Self::Live { is_v2: false }),
            ["metrics"] => Some(Self::Metrics),
            ["openapi.json"] => Some(Self::OpenApi),
            ["v2", rest @ ..] => v2(rest),
            ["v1", "models", rest @ ..] => return v1(method, rest),
            _ => None,
        };
        let route = route.ok_or_else(unknown)?;
        let wanted = route.method();
        let is_allowed = *method == wanted || (*method == Method::HEAD && wanted == Method::GET);
        if is_allowed { Ok(route) } else { Err(Refusal::method(name(&wanted))) }
    }

    /// What its caller must be allowed to do; none when everybody may ask, with or without a key.
    pub(crate) fn right(&self) -> Option<Right> {
        match self {
            Self::Live { .. } | Self::Ready | Self::OpenApi => None,
            Self::Load(_) | Self::Unload(_) => Some(Right::Manage),
            _ => Some(Right::Ask),
        }
    }

    /// Its name in metrics.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::Live { .. } => "live",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
            Self::OpenApi => "openapi",
            Self::Server => "server",
            Self::Models => "models",
            Self::Model(_) => "metadata",
            Self::ModelReady(_) => "model_ready",
            Self::Infer(_) => "infer",
            Self::Config(_) => "config",
            Self::Statistics(_) => "statistics",
            Self::Index => "index",
            Self::Load(_) => "load",
            Self::Unload(_) => "unload",
            Self::TfsPredict(_) => "predict",
            Self::TfsStatus(_) => "status",
            Self::TfsMetadata(_) => "tfs_metadata",
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Infer(_) | Self::Index | Self::Load(_) | Self::Unload(_) | Self::TfsPredict(_) => {
                Method::POST
            }
            _ => Method::GET,
        }
    }
}

fn v2(segments: &[&str]) -> Option<Route> {
    let (named, rest) = match segments {
        [] => return Some(Route::Server),
        ["health", "live"] => return Some(Route::Live { is_v2: true }),
        ["health", "ready"] => return Some(Route::Ready),
        ["models"] => return Some(Route::Models),
        ["models", "stats"] => return Some(Route::Statistics(None)),
        ["repository", "index"] => return Some(Route::Index),
        ["repository", "models", model, "load"] => return Some(Route::Load(decoded(model))),
        ["repository", "models", model, "unload"] => return Some(Route::Unload(decoded(model))),
        ["models", model, "versions", version, rest @ ..] => (Named::new(model, Some(version)), rest),
        ["models", model, rest @ ..] => (Named::new(model, None), rest),
        _ => return None,
    };
    Some(match rest {
        [] => Route::Model(named),
        ["ready"] => Route::ModelReady(named),
        ["infer"] => Route::Infer(named),
        ["config"] => Route::Config(named),
        ["stats"] => Route::Statistics(Some(named)),
        _ => return None,
    })
}

/// TensorFlow Serving answers 400 to every path that it does not have, and reads words of the path in any case.
fn v1(method: &Method, segments: &[&str]) -> Result<Route, Refusal> {
    let malformed = || {
        Refusal::invalid(format!("Malformed request: {method} /v1/models/{}", shortened(&segments.join("/"))))
    };
    let (last, before) = segments.split_last().ok_or_else(malformed)?;
    let (last, verb) = match last.rsplit_once(':') {
        Some((name, verb)) => (name, Some(verb.to_ascii_lowercase())),
        None => (*last, None),
    };
    let is_metadata = verb.is_none() && last.eq_ignore_ascii_case("metadata") && !before.is_empty();
    let path = if is_metadata { before.to_vec() } else { [before, &[last]].concat() };
    let named = match path.as_slice() {
        [model] if !model.is_empty() => Named::new(model, None),
        [model, kind, version] if is_one_of(kind, &["versions"]) && is_number(version) => {
            Named::new(model, Some(version))
        }
        // An alias never is a number, so that a label cannot be taken for a version.
        [model, kind, label] if is_one_of(kind, &["labels"]) && !label.is_empty() && !is_number(label) => {
            Named::new(model, Some(label))
        }
        _ => return Err(malformed()),
    };
    match verb.as_deref() {
        Some("predict") if *method == Method::POST => Ok(Route::TfsPredict(named)),
        Some(verb @ ("classify" | "regress")) if *method == Method::POST => {
            Err(Refusal::unsupported(format!("the method {verb} of TensorFlow Serving")))
        }
        None if *method != Method::GET => Err(malformed()),
        None if is_metadata => Ok(Route::TfsMetadata(named)),
        None => Ok(Route::TfsStatus(named)),
        Some(_) => Err(malformed()),
    }
}

impl Named {
    fn new(model: &str, version: Option<&str>) -> Self {
        Self { model: decoded(model), version: version.map(decoded) }
    }
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A path may be long; a message need not.
fn shortened(path: &str) -> &str {
    let end = path.char_indices().nth(128).map_or(path.len(), |(end, _)| end);
    path.get(..end).unwrap_or(path)
}

const fn name(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        _ => "GET",
    }
}

#[cfg(test)]
mod tests;
