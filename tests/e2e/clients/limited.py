"""A key that may ask three times, over gRPC: every request of a stream counts, and the stream goes on.

    python3 limited.py GRPC_ADDRESS digits.csv KEY
"""

import queue
import sys

import tritonclient.grpc as grpc

from data import refused, rows

PATIENCE_SECONDS = 60


def main(address, path, key):
    headers = {"x-api-key": key}
    tensor = grpc.InferInput("input", [1, 64], "FP32")
    tensor.set_data_from_numpy(rows(path, 1))
    answers = queue.Queue()
    client = grpc.InferenceServerClient(address)
    client.start_stream(callback=lambda result, error: answers.put((result, error)), headers=headers)
    for number in range(6):
        client.async_stream_infer("digits", [tensor], request_id=str(number))
    told = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(6)]
    client.stop_stream()
    for number, (result, error) in enumerate(told[:3]):
        assert error is None and result.get_response().id == str(number), told
    for result, error in told[3:]:
        assert error is not None and "requests" in str(error), told
    refused(lambda: client.infer("digits", [tensor], headers=headers), "RESOURCE_EXHAUSTED")
    refused(lambda: client.infer("digits", [tensor]), "UNAUTHENTICATED")
    print("three of six were answered")


if __name__ == "__main__":
    main(*sys.argv[1:])
