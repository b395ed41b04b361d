use http::StatusCode;

use super::*;

fn named(model: &str, version: Option<&str>) -> Named {
    Named { model: model.to_owned(), version: version.map(ToOwned::to_owned) }
}

fn get(path: &str) -> Result<Route, StatusCode> {
    Route::of(&Method::GET, path).map_err(|refusal| refusal.status)
}

fn post(path: &str) -> Result<Route, StatusCode> {
    Route::of(&Method::POST, path).map_err(|refusal| refusal.status)
}

#[test]
fn paths_of_the_open_inference_protocol_are_known() {
    assert_eq!(get("/v2"), Ok(Route::Server));
    assert_eq!(get("/v2/"), Ok(Route::Server));
    assert_eq!(get("/v2/health/live"), Ok(Route::Live { is_v2: true }));
    assert_eq!(get("/v2/models/digits"), Ok(Route::Model(named("digits", None))));
    assert_eq!(get("/v2/models/digits/versions/3/ready"), Ok(Route::ModelReady(named("digits", Some("3")))));
    assert_eq!(post("/v2/models/digits/infer"), Ok(Route::Infer(named("digits", None))));
    assert_eq!(get("/v2/models/stats"), Ok(Route::Statistics(None)));
    assert_eq!(get("/v2/models/digits/stats"), Ok(Route::Statistics(Some(named("digits", None)))));
    assert_eq!(post("/v2/repository/models/digits/load"), Ok(Route::Load("digits".to_owned())));
}

#[test]
fn a_wrong_path_is_404_and_a_wrong_method_405() {
    for path in ["/", "/v3", "/v2/models/digits/infer/more", "/v2/repository", "/v2/a/b/c/d/e/f/g/h/i/j"] {
        assert_eq!(get(path), Err(StatusCode::NOT_FOUND), "{path}");
    }
    assert_eq!(get("/v2/models/digits/infer"), Err(StatusCode::METHOD_NOT_ALLOWED));
    assert_eq!(post("/v2"), Err(StatusCode::METHOD_NOT_ALLOWED));
    assert!(Route::of(&Method::HEAD, "/healthz").is_ok());
}

#[test]
fn paths_of_tensorflow_serving_are_known_in_any_case() {
    assert_eq!(post("/v1/models/digits:predict"), Ok(Route::TfsPredict(named("digits", None))));
    assert_eq!(
        post("/v1/models/digits/Versions/2:PREDICT"),
        Ok(Route::TfsPredict(named("digits", Some("2"))))
    );
    assert_eq!(
        post("/v1/models/digits/labels/stable:predict"),
        Ok(Route::TfsPredict(named("digits", Some("stable"))))
    );
    assert_eq!(get("/v1/models/digits"), Ok(Route::TfsStatus(named("digits", None))));
    assert_eq!(
        get("/v1/models/digits/labels/stable/metadata"),
        Ok(Route::TfsMetadata(named("digits", Some("stable"))))
    );
}

#[test]
fn what_tensorflow_serving_does_not_have_is_malformed() {
    for path in
        ["/v1/models", "/v1/models/", "/v1/models/a/versions/x", "/v1/models/a/b/c", "/v1/models/a:explain"]
    {
        assert_eq!(get(path), Err(StatusCode::BAD_REQUEST), "{path}");
        assert_eq!(post(path), Err(StatusCode::BAD_REQUEST), "{path}");
    }
    assert_eq!(get("/v1/models/a:predict"), Err(StatusCode::BAD_REQUEST));
    assert_eq!(post("/v1/models/a:classify"), Err(StatusCode::NOT_IMPLEMENTED));
}

#[test]
fn names_are_decoded() {
    assert_eq!(get("/v2/models/dig%69ts"), Ok(Route::Model(named("digits", None))));
}

#[test]
fn only_health_and_the_description_need_no_key() {
    assert_eq!(Route::Ready.right(), None);
    assert_eq!(Route::OpenApi.right(), None);
    assert_eq!(Route::Metrics.right(), Some(Right::Ask));
    assert_eq!(Route::Load("digits".to_owned()).right(), Some(Right::Manage));
}

#[test]
fn a_long_path_is_not_repeated_whole() {
    let path = format!("/{}", "é".repeat(5_000));
    assert!(Route::of(&Method::GET, &path).unwrap_err().message.len() < 400);
}
