"""The digits classifier in ONNX Runtime on one thread, as both serving peers run it."""

import sys
import threading

import numpy as np
import onnxruntime

LABELS = np.array([str(digit) for digit in range(10)])


class Digits:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def probabilities(self, data, shape):
        """Probabilities [batch, 10] of rows [batch, 64], given flat as a list or as little-endian bytes."""
        is_binary = isinstance(data, bytes)
        rows = np.frombuffer(data, "<f4") if is_binary else np.asarray(data, np.float32)
        return self.session.run(None, {"input": rows.reshape(shape)})[0]


def reply(probabilities, data):
    """The body of a reply in the Open Inference Protocol V2; `data` writes the probabilities."""
    rows = len(probabilities)
    labels = LABELS[probabilities.argmax(axis=1)].tolist()
    return {
        "model_name": "digits",
        "model_version": "1",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [rows, 10], "data": data(probabilities)},
            {"name": "label", "datatype": "BYTES", "shape": [rows], "data": labels},
        ],
    }


def when_stdin_closes(stop):
    """Calls `stop` when whoever started this process ends."""

    def wait():
        sys.stdin.read()
        stop()

    threading.Thread(target=wait, daemon=True).start()
