"""The generated client of the Open Inference Protocol over gRPC against a gateway.

    python3 oip_grpc.py HTTP_ADDRESS GRPC_ADDRESS digits.csv
"""

import struct
import sys

import grpc
from open_inference.grpc.protocol import (
    InferTensorContents,
    ModelInferRequest,
    ModelMetadataRequest,
    ModelReadyRequest,
    ServerLiveRequest,
    ServerMetadataRequest,
    ServerReadyRequest,
)
from open_inference.grpc.service import GRPCInferenceServiceStub

from data import rows


def request(values, raw, **fields):
    tensor = ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=values.shape)
    if raw:
        return ModelInferRequest(inputs=[tensor], raw_input_contents=[values.tobytes()], **fields)
    tensor.contents.CopyFrom(InferTensorContents(fp32_contents=values.ravel()))
    return ModelInferRequest(inputs=[tensor], **fields)


def fails(call, code, word):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code and word in error.details(), error
        return
    raise AssertionError(f"expected {code}")


def health(channel):
    """grpc.health.v1 by its bytes: a service has field 1, and status 1 is SERVING."""
    same = {"request_serializer": bytes, "response_deserializer": bytes}
    check = channel.unary_unary("/grpc.health.v1.Health/Check", **same)
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", **same)
    named = lambda service: bytes([10, len(service)]) + service.encode()
    for service in (b"", named("inference.GRPCInferenceService")):
        assert check(service, timeout=10) == bytes([8, 1]), service
    watching = watch(b"", timeout=10)
    assert next(watching) == bytes([8, 1])
    watching.cancel()
    fails(lambda: check(named("nobody"), timeout=10), grpc.StatusCode.NOT_FOUND, "service")
    # Status 3 is SERVICE_UNKNOWN.
    assert list(watch(named("nobody"), timeout=10)) == [bytes([8, 3])]


def main(http_address, address, path):
    values = rows(path, 3)
    channel = grpc.insecure_channel(address)
    health(channel)
    stub = GRPCInferenceServiceStub(channel)
    assert stub.ServerLive(ServerLiveRequest()).live and stub.ServerReady(ServerReadyRequest()).ready
    assert stub.ServerMetadata(ServerMetadataRequest()).name == "leat"
    assert stub.ModelReady(ModelReadyRequest(name="digits", version="1")).ready
    assert not stub.ModelReady(ModelReadyRequest(name="digits", version="77")).ready
    metadata = stub.ModelMetadata(ModelMetadataRequest(name="digits"))
    assert [tensor.name for tensor in metadata.outputs] == ["probabilities", "label"], metadata

    answers = [stub.ModelInfer(request(values, raw, model_name="digits", id="o-1"), timeout=10) for raw in (True, False)]
    assert answers[0] == answers[1] and answers[0].id == "o-1" and answers[0].model_version == "1"
    probabilities = struct.unpack("<30f", answers[0].raw_output_contents[0])
    assert abs(sum(probabilities) - 3) < 1e-3, probabilities

    def called(metadata):
        _, call = stub.ModelInfer.with_call(request(values, True, model_name="digits"), timeout=10, metadata=metadata)
        return dict(call.initial_metadata())["x-request-id"]

    assert called([("x-request-id", "order-18")]) == "order-18"
    assert len({called([]), called([])}) == 2, "a request without a name gets one of its own"

    # The digits are whole numbers up to 16, which halves of both kinds hold too: the upper half of a float is a BF16.
    upper = (values.astype("<f4").view("<u4") >> 16).astype("<u2")
    for datatype, halves in (("FP16", values.astype("<f2")), ("BF16", upper)):
        of_halves = request(halves, True, model_name="digits", id="o-1")
        of_halves.inputs[0].datatype = datatype
        assert stub.ModelInfer(of_halves, timeout=10) == answers[0], datatype

    # No message of the broker can hold this row with what stands beside it, and it cannot be cut.
    large = request(values[:1], True, model_name="digits")
    large.parameters["note"].string_param = "x" * (2 << 20)
    large = stub.ModelInfer(large, timeout=30)
    assert large.raw_output_contents[0] == answers[0].raw_output_contents[0][:40], large

    # HTTP/2 without TLS is understood on the port of HTTP too, and so is gRPC.
    assert GRPCInferenceServiceStub(grpc.insecure_channel(http_address)).ServerLive(ServerLiveRequest()).live

    both = request(values, False, model_name="digits")
    both.raw_input_contents.append(values.tobytes())
    fails(lambda: stub.ModelInfer(both), grpc.StatusCode.INVALID_ARGUMENT, "input")
    fails(lambda: stub.ModelInfer(request(values, True, model_name="nobody")), grpc.StatusCode.NOT_FOUND, "nobody")
    fails(lambda: stub.ModelInfer(request(values[:, :9], True, model_name="digits")), grpc.StatusCode.INVALID_ARGUMENT, "64")
    huge = ModelInferRequest(model_name="digits", raw_input_contents=[bytes(65 << 20)])
    # The generated client has no streams.
    stream = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer", request_serializer=ModelInferRequest.SerializeToString, response_deserializer=bytes
    )
    for ask in (lambda: stub.ModelInfer(huge), lambda: next(stream(iter([huge])))):
        fails(ask, grpc.StatusCode.OUT_OF_RANGE, "gateway.body_bytes_max")
    print("open-inference: gRPC, raw and typed contents, errors")


if __name__ == "__main__":
    main(*sys.argv[1:])
