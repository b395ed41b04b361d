"""A worker as a user of NATS writes it: nats-py and ONNX Runtime in one process and one asyncio loop.

    python nats_worker.py <url> <subject> <model.onnx>

It takes and gives the same MessagePack and JSON as a worker of Leat, in tensor form.
"""

import asyncio
import json
import sys

import msgpack
import nats
import numpy as np
import uvloop

from digits import Digits, reply, when_stdin_closes


async def main(url, subject, path):
    digits = Digits(path)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    when_stdin_closes(lambda: loop.call_soon_threadsafe(stopped.set))

    async def answer(message):
        is_json = message.data.startswith(b"{")
        request = json.loads(message.data) if is_json else msgpack.unpackb(message.data)
        tensor = request["inputs"][0]
        probabilities = digits.probabilities(tensor["data"], tensor["shape"])
        if is_json:
            await message.respond(json.dumps(reply(probabilities, lambda values: values.ravel().tolist())).encode())
        else:
            await message.respond(msgpack.packb(reply(probabilities, np.ndarray.tobytes)))

    client = await nats.connect(url)
    await client.subscribe(subject, queue="q", cb=answer)
    await stopped.wait()
    await client.drain()


uvloop.run(main(*sys.argv[1:]))
