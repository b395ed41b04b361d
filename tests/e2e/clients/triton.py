"""tritonclient over HTTP and gRPC against a gateway: inference in every form, metadata, health, control, statistics, errors.

    python3 triton.py HTTP_ADDRESS GRPC_ADDRESS digits.csv

Needs the packages of requirements.txt and a deployed model digits with two versions. Exits with an error when something is
not as Triton's own clients expect it. The classification extension is left out: the gateway does not advertise it.
"""

import sys
import threading

import numpy
import tritonclient.grpc as grpc
import tritonclient.http as http

from data import refused, rows, same

ROWS = 5


def http_inputs(values, binary, datatype="FP32"):
    tensor = http.InferInput("input", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return [tensor]


def over_http(address, values):
    client = http.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("digits") and client.is_model_ready("digits", "1")
    assert not client.is_model_ready("digits", "999") and not client.is_model_ready("nobody")
    server = client.get_server_metadata()
    assert server["name"] == "leat" and "binary_tensor_data" in server["extensions"], server
    model = client.get_model_metadata("digits")
    assert model["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 64]}], model
    config = client.get_model_config("digits")
    assert config["max_batch_size"] >= 1 and config["input"][0]["data_type"] == "TYPE_FP32", config

    first = None
    for binary_in in (True, False):
        for outputs in (None, [("probabilities", True), ("label", True)], [("probabilities", False), ("label", False)], [("probabilities", True), ("label", False)]):
            requested = outputs and [http.InferRequestedOutput(name, binary_data=binary) for name, binary in outputs]
            result = client.infer("digits", http_inputs(values, binary_in), outputs=requested, request_id="a-1")
            assert result.get_response()["id"] == "a-1"
            probabilities = result.as_numpy("probabilities").astype(numpy.float32)
            assert probabilities.shape == (ROWS, 10) and result.as_numpy("label").shape == (ROWS,)
            first = probabilities if first is None else first
            same(probabilities, first, f"binary in {binary_in}, outputs {outputs}")
    for algorithm in ("gzip", "deflate"):
        result = client.infer(
            "digits", http_inputs(values, True), request_compression_algorithm=algorithm, response_compression_algorithm=algorithm
        )
        same(result.as_numpy("probabilities"), first, algorithm)
    only = client.infer("digits", http_inputs(values, True), outputs=[http.InferRequestedOutput("label")])
    assert [output["name"] for output in only.get_response()["outputs"]] == ["label"]
    pinned = client.infer("digits", http_inputs(values, True), model_version="2")
    assert pinned.get_response()["model_version"] == "2"
    aliased = client.infer("digits", http_inputs(values, True), model_version="production")
    assert aliased.get_response()["model_version"] == "1"
    timed = client.infer("digits", http_inputs(values, True), priority=1, timeout=5_000_000)
    same(timed.as_numpy("probabilities"), first, "priority and timeout")
    # The digits are whole numbers up to 16, which halves hold too.
    halves = client.infer("digits", http_inputs(values.astype(numpy.float16), True, "FP16"))
    same(halves.as_numpy("probabilities"), first, "FP16")
    waiting = [client.async_infer("digits", http_inputs(values, True)) for _ in range(8)]
    for request in waiting:
        same(request.get_result().as_numpy("probabilities"), first, "asynchronous")

    body, length = http.InferenceServerClient.generate_request_body(http_inputs(values, True))
    reply = client._post("v2/models/digits/infer", body, {"Inference-Header-Content-Length": str(length)}, None)
    parsed = http.InferenceServerClient.parse_response_body(reply.read(), header_length=int(reply.get("Inference-Header-Content-Length")))
    same(parsed.as_numpy("probabilities"), first, "a body written by hand")

    wide = numpy.zeros((1, 63), dtype=numpy.float32)
    refused(lambda: client.infer("digits", http_inputs(wide, True)), "400", "64")
    refused(lambda: client.infer("nobody", http_inputs(values, True)), "404", "nobody")
    refused(lambda: client.infer("digits", http_inputs(values, True), outputs=[http.InferRequestedOutput("nothing")]), "400", "nothing")
    wrong = http.InferInput("other", [ROWS, 64], "FP32")
    wrong.set_data_from_numpy(values)
    refused(lambda: client.infer("digits", [wrong]), "400", "other")
    refused(lambda: client.get_model_metadata("nobody"), "404")
    return first


def grpc_inputs(values):
    tensor = grpc.InferInput("input", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    return [tensor]


def over_grpc(address, values, expected):
    client = grpc.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("digits") and not client.is_model_ready("nobody")
    assert "statistics" in client.get_server_metadata().extensions
    model = client.get_model_metadata("digits")
    assert (model.name, list(model.inputs[0].shape)) == ("digits", [-1, 64]), model
    config = client.get_model_config("digits").config
    assert config.max_batch_size >= 1 and [tensor.name for tensor in config.output] == ["probabilities", "label"], config

    result = client.infer("digits", grpc_inputs(values), request_id="b-1", model_version="1")
    assert result.get_response().id == "b-1" and result.get_response().model_version == "1"
    same(result.as_numpy("probabilities"), expected, "gRPC")
    assert result.as_numpy("label").shape == (ROWS,)
    for algorithm in ("gzip", "deflate"):
        same(client.infer("digits", grpc_inputs(values), compression_algorithm=algorithm).as_numpy("probabilities"), expected, algorithm)
    timed = client.infer("digits", grpc_inputs(values), priority=1, timeout=5_000_000, client_timeout=5)
    same(timed.as_numpy("probabilities"), expected, "priority and timeout")

    refused(lambda: client.infer("digits", grpc_inputs(values[:, :63])), "INVALID_ARGUMENT", "64")
    refused(lambda: client.infer("nobody", grpc_inputs(values)), "NOT_FOUND", "nobody")
    streamed(client, values, expected)
    return client


def streamed(client, values, expected):
    """Twenty requests on one stream, one of them wrong: answers come in order and the stream goes on."""
    answers, done = [], threading.Event()

    def take(result, error):
        answers.append((result, error))
        if len(answers) == 20:
            done.set()

    client.start_stream(take)
    for number in range(20):
        width = 63 if number == 7 else 64
        client.async_stream_infer("digits", grpc_inputs(values[:, :width]), request_id=f"s-{number}")
    assert done.wait(30), f"only {len(answers)} of 20 answers came"
    client.stop_stream()
    for number, (result, error) in enumerate(answers):
        if number == 7:
            assert result is None and "64" in str(error), error
        else:
            assert error is None and result.get_response().id == f"s-{number}", error
            same(result.as_numpy("probabilities"), expected, "on a stream")


def control(client, name):
    index = client.get_model_repository_index(**({"as_json": True} if name == "gRPC" else {}))
    index = index.get("models", []) if name == "gRPC" else index
    assert {(entry["name"], entry["version"]) for entry in index} == {("digits", "1"), ("digits", "2")}, index
    client.unload_model("digits")
    assert not client.is_model_ready("digits")
    client.load_model("digits")
    assert client.is_model_ready("digits") and client.is_model_ready("digits", "2")
    refused(lambda: client.load_model("nobody"), "nobody")
    refused(lambda: client.unload_model("nobody"), "nobody")
    statistics = client.get_inference_statistics("digits", **({"as_json": True} if name == "gRPC" else {}))
    entry = statistics["model_stats"][0]
    assert entry["name"] == "digits" and "inference_stats" in entry, statistics


def counted(client):
    """Each version counts its own rows and requests, and where their time went."""
    (every, second) = (client.get_inference_statistics("digits", version) for version in ("", "2"))
    stats = {entry["version"]: entry for entry in every["model_stats"]}
    assert set(stats) == {"1", "2"} and [entry["version"] for entry in second["model_stats"]] == ["2"], every
    assert sum(entry["inference_count"] for entry in stats.values()) >= 40, stats
    assert sum(entry["inference_stats"]["fail"]["count"] for entry in stats.values()) >= 3, stats
    for entry in stats.values():
        times = entry["inference_stats"]
        assert 0 < entry["execution_count"] <= entry["inference_count"], entry
        assert times["success"]["count"] > 0 and entry["last_inference"] > 1_700_000_000_000, entry
        parts = [times[f"compute_{part}"] for part in ("input", "infer", "output")]
        assert len({part["count"] for part in parts}) == 1 and all(part["ns"] > 0 for part in parts), entry
        # Every run has a size; its time is told once, not once for each of its requests.
        batches = entry["batch_stats"]
        assert sum(batch["compute_infer"]["count"] for batch in batches) == entry["execution_count"], entry
        of_runs = sum(batch["compute_infer"]["ns"] for batch in batches)
        assert 0 < of_runs <= times["compute_infer"]["ns"], entry
        of_parts = sum(part["ns"] for part in parts) + times["queue"]["ns"]
        assert of_parts <= times["success"]["ns"] + times["fail"]["ns"], entry


def main(http_address, grpc_address, path):
    values = rows(path, ROWS)
    expected = over_http(http_address, values)
    client = over_grpc(grpc_address, values, expected)
    counted(http.InferenceServerClient(http_address))
    control(http.InferenceServerClient(http_address), "HTTP")
    control(client, "gRPC")
    print("tritonclient: HTTP, gRPC, stream, repository, statistics, errors")


if __name__ == "__main__":
    main(*sys.argv[1:])
