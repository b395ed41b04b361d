"""Makes the models that leat-bench runs in its peers: ONNX files in f32 and int8, and the same weights for Leat.

`peers/environment` runs it. The serving peers run `digits.classifier.onnx`, which gives probabilities as a deployed model does.

Weights are random with the seed below: what a multiplication costs does not depend on its factors.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SEED = 20240601
CALIBRATION_ROWS = 64
SERVED = "digits"
SHAPES = {
    "seed": [10, 64, 1],
    "tabular": [512, 256, 128, 64, 1],
    "digits": [64, 128, 64, 10],
    "lenet": [784, 300, 100, 10],
    "mnist": [784, 512, 256, 10],
    "large": [1024, 4096, 4096, 1024],
}


def layers(widths, generator):
    """Weights [outputs, inputs] and biases [outputs] that keep the size of what goes through them."""
    for inputs, outputs in zip(widths, widths[1:]):
        weights = generator.normal(0, np.sqrt(2 / inputs), (outputs, inputs)).astype(np.float32)
        yield weights, generator.normal(0, 0.1, outputs).astype(np.float32)


def graph(widths, parts):
    nodes, initializers, value = [], [], "input"
    for index, (weights, bias) in enumerate(parts):
        is_last = index == len(parts) - 1
        result = "output" if is_last else f"sum{index}"
        initializers += [numpy_helper.from_array(weights, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
        nodes.append(helper.make_node("Gemm", [value, f"w{index}", f"b{index}"], [result], transB=1))
        if not is_last:
            nodes.append(helper.make_node("Relu", [result], [f"layer{index}"]))
            value = f"layer{index}"
    rows = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
    made = helper.make_graph(nodes, "mlp", [rows("input", widths[0])], [rows("output", widths[-1])], initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def classifier(model):
    """The same model with probabilities as its output."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    output = made.graph.output[0]
    made.graph.node.append(helper.make_node("Softmax", [output.name], ["probabilities"], axis=1))
    output.name = "probabilities"
    return made


class Rows(CalibrationDataReader):
    def __init__(self, width, generator):
        rows = generator.uniform(-1, 1, (CALIBRATION_ROWS, width)).astype(np.float32)
        self.batches = iter([{"input": rows}])

    def get_next(self):
        return next(self.batches, None)


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, widths in SHAPES.items():
        generator = np.random.default_rng(SEED)
        parts = list(layers(widths, generator))
        f32, int8 = folder / f"{name}.f32.onnx", folder / f"{name}.int8.onnx"
        model = graph(widths, parts)
        onnx.save(model, f32)
        if name == SERVED:
            onnx.save(classifier(model), folder / f"{name}.classifier.onnx")
        quantize_static(
            f32,
            int8,
            Rows(widths[0], generator),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        with open(folder / f"{name}.weights", "wb") as file:
            for weights, bias in parts:
                file.write(weights.astype("<f4").tobytes())
                file.write(bias.astype("<f4").tobytes())
        print(name, widths)


main(sys.argv[1])
