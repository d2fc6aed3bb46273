"""
Makes the models of this folder, with the package `onnx` (1.17 or newer) of PyPI:

    python3 -m venv venv && venv/bin/pip install onnx && venv/bin/python make_models.py .

Each takes a picture of 8 x 8 and says whether it is red, green or blue: the mean of each colour, then a linear layer. `scores` leaves
it at that (softmax is ours); `shares` ends in a softmax of its own, and takes the colours last.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 8


def model(path: str, layout: str, softmax: bool) -> None:
    shape, axes = (["N", 3, SIDE, SIDE], [2, 3]) if layout == "NCHW" else (["N", SIDE, SIDE, 3], [1, 2])
    weights = np.full((3, 3), -4, dtype=np.float32)
    np.fill_diagonal(weights, 8)
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["scores"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["scores"], ["shares"], axis=1))
    out = "shares" if softmax else "scores"
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.zeros(3, dtype=np.float32), "bias")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="")
    onnx.checker.check_model(made)
    onnx.save(made, path)


folder = sys.argv[1]
model(f"{folder}/colors-scores.onnx", "NCHW", softmax=False)
model(f"{folder}/colors-shares.onnx", "NHWC", softmax=True)
