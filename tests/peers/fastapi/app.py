"""The usual way to serve such a model: FastAPI, pydantic and ONNX Runtime, with
the Open Inference Protocol's bodies. `make bench` compares Falaj with it.

MODEL names the ONNX file.
"""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

KINDS = {
    "tensor(double)": ("FP64", np.float64),
    "tensor(float)": ("FP32", np.float32),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(string)": ("BYTES", np.object_),
}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
inputs = {tensor.name: tensor for tensor in session.get_inputs()}
outputs = session.get_outputs()
names = [tensor.name for tensor in outputs]


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list


class InferRequest(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


class InferReply(BaseModel):
    model_name: str
    model_version: str
    id: str | None
    outputs: list[Tensor]


app = FastAPI()


def described(tensor) -> dict:
    return {
        "name": tensor.name,
        "datatype": KINDS[tensor.type][0],
        "shape": [size if isinstance(size, int) else -1 for size in tensor.shape],
    }


@app.get("/v2/models/employed")
async def metadata() -> dict:
    return {
        "name": "employed",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [described(tensor) for tensor in inputs.values()],
        "outputs": [described(tensor) for tensor in outputs],
    }


@app.post("/v2/models/employed/infer")
async def infer(request: InferRequest) -> InferReply:
    try:
        feeds = {
            tensor.name: np.array(tensor.data, KINDS[inputs[tensor.name].type][1]).reshape(tensor.shape)
            for tensor in request.inputs
        }
        answers = session.run(names, feeds)
    except (KeyError, ValueError) as error:
        raise HTTPException(400, str(error)) from error
    return InferReply(
        model_name="employed",
        model_version="1",
        id=request.id,
        outputs=[
            Tensor(name=tensor.name, shape=answer.shape, datatype=KINDS[tensor.type][0], data=answer.ravel().tolist())
            for tensor, answer in zip(outputs, answers)
        ],
    )
