"""A model server as a user of HTTP writes it: FastAPI on uvicorn with uvloop and httptools, and ONNX Runtime.

    python fastapi_app.py <port> <model.onnx>

It takes and gives the JSON of the Open Inference Protocol V2.
"""

import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from digits import Digits, reply, when_stdin_closes


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class Request(BaseModel):
    inputs: list[Tensor]


def application(path):
    digits, app = Digits(path), FastAPI()

    @app.post("/v2/models/digits/infer")
    async def infer(request: Request):
        tensor = request.inputs[0]
        probabilities = digits.probabilities(tensor.data, tensor.shape)
        return JSONResponse(reply(probabilities, lambda values: values.ravel().tolist()))

    return app


def main(port, path):
    config = uvicorn.Config(
        application(path),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
    server = uvicorn.Server(config)
    when_stdin_closes(lambda: setattr(server, "should_exit", True))
    server.run()


main(*sys.argv[1:])
