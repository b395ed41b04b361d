//! The description of every path, as an OpenAPI document.

/// The document, which stands in `proto/` beside the other contracts.
pub(crate) const DOCUMENT: &str = include_str!("../../../proto/openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;
    use serde_json::Value;

    use super::DOCUMENT;
    use crate::route::Route;

    /// Every [`Route::operation`].
    const OPERATIONS: [&str; 17] = [
        "config",
        "index",
        "infer",
        "live",
        "load",
        "metadata",
        "metrics",
        "model_ready",
        "models",
        "openapi",
        "predict",
        "ready",
        "server",
        "statistics",
        "status",
        "tfs_metadata",
        "unload",
    ];

    #[test]
    fn every_route_stands_in_the_document_and_every_path_of_it_is_a_route() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let path =
                path.replace("{model}", "digits").replace("{version}", "1").replace("{label}", "stable");
            for method in methods.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                described.insert(Route::of(&method, &path).unwrap().operation());
            }
        }
        assert_eq!(described, BTreeSet::from(OPERATIONS));
    }

    #[test]
    fn what_needs_no_key_says_so() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let Some(get) = methods.get("get") else { continue };
            let route = Route::of(
                &Method::GET,
                &path.replace("{model}", "digits").replace("{version}", "1").replace("{label}", "a"),
            );
            let is_open = route.unwrap().right().is_none();
            assert_eq!(get.get("security").is_some(), is_open, "{path}");
        }
    }
}
