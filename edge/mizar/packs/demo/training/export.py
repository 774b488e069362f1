"""Writes detector.onnx and embedder.onnx from the checkpoints: export.py <work folder> [detector|embedder]."""

import os
import sys
import warnings

import onnx
import torch
from torch import nn

from detector_model import OUTPUT_NAMES, Detector, Exported
from embedder_model import Embedder

OPSET = 17
PACK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def fold(module):
    """Batch normalisation becomes part of the convolution or the linear layer before it."""
    for name, child in list(module.named_children()):
        fold(child)
        if not isinstance(child, nn.Sequential):
            continue
        parts = list(child)
        for i in range(len(parts) - 1):
            if isinstance(parts[i], nn.Conv2d) and isinstance(parts[i + 1], nn.BatchNorm2d):
                parts[i], parts[i + 1] = torch.nn.utils.fuse_conv_bn_eval(parts[i], parts[i + 1]), nn.Identity()
            if isinstance(parts[i], nn.Linear) and isinstance(parts[i + 1], nn.BatchNorm1d):
                parts[i], parts[i + 1] = torch.nn.utils.fuse_linear_bn_eval(parts[i], parts[i + 1]), nn.Identity()
        setattr(module, name, nn.Sequential(*[p for p in parts if not isinstance(p, nn.Identity)]))
    return module


def write(model, example, path, inputs, outputs, dynamic):
    warnings.filterwarnings("ignore")
    torch.onnx.export(model, (example,), path, input_names=inputs, output_names=outputs, dynamic_axes=dynamic, opset_version=OPSET, dynamo=False)
    graph = onnx.load(path)
    graph.producer_version = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    print(path, os.path.getsize(path))


def main(work, parts):
    if "detector" in parts:
        detector = Detector()
        detector.load_state_dict(torch.load(f"{work}/detector.pt", map_location="cpu")["average"])
        model = Exported(fold(detector.eval())).eval()
        dynamic = {"input": {2: "height", 3: "width"}, **{name: {1: "cells_" + name.split("_")[1]} for name in OUTPUT_NAMES}}
        write(model, torch.zeros(1, 3, 320, 320), f"{PACK}/detector.onnx", ["input"], OUTPUT_NAMES, dynamic)
    if "embedder" in parts:
        embedder = Embedder()
        embedder.load_state_dict(torch.load(f"{work}/embedder.pt", map_location="cpu")["average"])
        write(fold(embedder.eval()), torch.zeros(1, 3, 112, 112), f"{PACK}/embedder.onnx", ["input"], ["embedding"], {"input": {0: "batch"}, "embedding": {0: "batch"}})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["detector", "embedder"])
