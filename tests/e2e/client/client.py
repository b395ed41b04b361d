"""A producer that knows only proto/README.md: it asks for predictions in every encoding and makes every mistake once.

    python3 client.py nats://127.0.0.1:4222 digits.csv answers|overload|expiry|objects

Needs nats-py and msgpack. For `overload` the deployment has a queue of one request, for `expiry` a wait for a fuller batch
that is longer than the deadline. Exits with an error when numbers differ or an error has another code than the contract says.
"""

import asyncio
import csv
import json
import struct
import sys
import uuid

import msgpack
import nats

ROWS = 5


def rows(path):
    with open(path, newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        return header[:-1], [[float(cell) for cell in row[:-1]] for _, row in zip(range(ROWS), reader)]


def tensor(data, shape, datatype="FP32", name="input"):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


async def ask(client, subject, payload, timeout=5):
    reply = await client.request(subject, payload, timeout=timeout)
    headers = reply.headers or {}
    code = headers.get("Nats-Service-Error-Code")
    return (int(code) if code else None), reply.data


def probabilities(response):
    output = next(output for output in response["outputs"] if output["name"] == "probabilities")
    data = output["data"]
    if isinstance(data, bytes):
        data = struct.unpack(f"<{len(data) // 4}f", data)
    flat = []
    for value in data:
        flat.extend(value if isinstance(value, list) else [value])
    return output["shape"], flat


async def same_numbers(client, features, values):
    subject, shape = "leat.v1.infer.digits.1", [len(values), len(features)]
    flat = [value for row in values for value in row]
    packed = struct.pack(f"<{len(flat)}f", *flat)
    requests = {
        "JSON": json.dumps({"id": "a", "inputs": [tensor(values, shape)]}).encode(),
        "JSON, flat": json.dumps({"inputs": [tensor(flat, shape)]}).encode(),
        "MessagePack array": msgpack.packb({"inputs": [tensor(flat, shape)]}),
        "MessagePack bin": msgpack.packb({"inputs": [tensor(packed, shape)]}),
    }
    answers = {}
    for name, payload in requests.items():
        code, data = await ask(client, subject, payload)
        assert code is None, f"{name}: {code} {data!r}"
        response = msgpack.unpackb(data) if name.startswith("MessagePack") else json.loads(data)
        assert response["model_name"] == "digits" and response["model_version"] == "1", response
        answers[name] = probabilities(response)
    shape, expected = answers["MessagePack bin"]
    assert shape == [len(values), 10] and len(expected) == 10 * len(values), shape
    for name, (_, got) in answers.items():
        # Every 32-bit number written as decimal text is read back as the same 32-bit number.
        same = [struct.pack("<f", value) for value in got] == [struct.pack("<f", value) for value in expected]
        assert same, f"{name} differs"
    for row in range(len(values)):
        assert abs(sum(expected[10 * row : 10 * row + 10]) - 1) < 1e-5
    print(f"same numbers in {len(answers)} encodings")
    named = [dict(zip(features, row)) for row in values]
    code, data = await ask(client, subject, json.dumps({"instances": named}).encode())
    assert code is None, data
    predictions = json.loads(data)["predictions"]
    assert [round(p, 6) for p in predictions[0]["probabilities"]] == [round(p, 6) for p in expected[:10]]


async def right_errors(client, features):
    live, width = "leat.v1.infer.digits", len(features)
    row = [0.0] * width
    good = {"inputs": [tensor(row, [1, width])]}
    mistakes = [
        ("not a message", live, b"\xc1\x00", 400),
        ("truncated JSON", live, b'{"inputs": [', 400),
        ("no inputs", live, b"{}", 400),
        ("unknown input", live, json.dumps({"inputs": [tensor(row, [1, width], name="pixels")]}).encode(), 400),
        ("wrong width", live, json.dumps({"inputs": [tensor([0.0], [1, 1])]}).encode(), 400),
        ("shape and data disagree", live, json.dumps({"inputs": [tensor(row, [2, width])]}).encode(), 400),
        ("text for numbers", live, json.dumps({"inputs": [tensor(["x"] * width, [1, width], "BYTES")]}).encode(), 400),
        ("not a number", live, msgpack.packb({"inputs": [tensor([float("nan")] + row[1:], [1, width])]}), 400),
        ("too many rows", live, msgpack.packb({"inputs": [tensor(b"\0" * (4 * 3 * 5000), [5000, 3])]}), 413),
        ("deadline out of range", live, json.dumps({**good, "deadline_ms": 0}).encode(), 400),
    ]
    for what, subject, payload, expected in mistakes:
        code, data = await ask(client, subject, payload)
        assert code == expected, f"{what}: expected {expected}, found {code} {data!r}"
        body = msgpack.unpackb(data) if payload[:1] >= b"\x80" and data[:1] != b"{" else json.loads(data)
        assert body["error"]["code"] == expected and body["error"]["message"], body
    print(f"{len(mistakes)} errors with the right code")
    for subject in ("leat.v1.infer.nobody", "leat.v1.infer.digits.99"):
        try:
            await client.request(subject, json.dumps(good).encode(), timeout=5)
        except nats.errors.NoRespondersError:
            continue
        raise AssertionError(f"{subject} was answered, and nobody serves it")


async def burst(client, features, count, **extra):
    """So many requests at once; gives the codes and the bodies of the errors."""
    row = struct.pack(f"<{len(features)}f", *[0.0] * len(features))
    request = msgpack.packb({"inputs": [tensor(row, [1, len(features)])], **extra})
    replies = await asyncio.gather(*[ask(client, "leat.v1.infer.digits.1", request) for _ in range(count)])
    return [code for code, _ in replies], [msgpack.unpackb(data)["error"] for code, data in replies if code]


async def overload(client, features):
    codes, errors = await burst(client, features, 400)
    assert set(codes) == {None, 429}, set(codes)
    assert all(error["retryable"] and error["retry_after_ms"] >= 1 for error in errors), errors[0]
    print("overload is refused with 429")


async def expiry(client, features):
    # How many the worker answers within a millisecond is a matter of the machine.
    for count in (40, 160, 640, 2560):
        codes, errors = await burst(client, features, count, deadline_ms=1)
        assert set(codes) <= {None, 429, 504}, set(codes)
        if 504 in codes:
            break
    else:
        raise AssertionError(f"each of {count} requests was answered within a millisecond")
    assert not any(error["retryable"] for error in errors if error["code"] == 504)
    print("expired requests are refused with 504")


async def objects(client, values):
    """A request that no message can hold, as README.md tells it."""
    count = 4096
    flat = [value for row in (values * count)[:count] for value in row]
    packed = struct.pack(f"<{len(flat)}f", *flat)
    payload = msgpack.packb({"inputs": [tensor(packed, [count, len(values[0])])]})
    assert len(payload) > client.max_payload, len(payload)
    store = await client.jetstream().object_store("leat_payloads")
    name = uuid.uuid4().hex
    await store.put(name, payload)
    accepted = str(64 * 1024 * 1024)
    message = msgpack.packb({"deadline_ms": 20000})

    async def request(name, **headers):
        headers["Leat-Body-Object"] = name
        return await client.request("leat.v1.infer.digits", message, timeout=21, headers=headers)

    reply = await request(name, **{"Leat-Reply-Object-Bytes-Max": accepted})
    body = reply.data
    if "Leat-Body-Object" in (reply.headers or {}):
        body = (await store.get(reply.headers["Leat-Body-Object"])).data
        await store.delete(reply.headers["Leat-Body-Object"])
    await store.delete(name)
    shape, got = probabilities(msgpack.unpackb(body))
    flat = [value for row in values for value in row]
    few = {"inputs": [tensor(struct.pack(f"<{len(flat)}f", *flat), [len(values), len(values[0])])]}
    code, data = await ask(client, "leat.v1.infer.digits", msgpack.packb(few))
    _, expected = probabilities(msgpack.unpackb(data))
    assert code is None and shape == [count, 10] and got[: len(expected)] == expected, shape
    reply = await request(name)
    assert reply.headers["Nats-Service-Error-Code"] == "404", reply.headers
    print(f"{count} rows in an object")


async def main():
    url, path, what = sys.argv[1:]
    features, values = rows(path)
    client = await nats.connect(url)
    if what == "answers":
        await same_numbers(client, features, values)
        await right_errors(client, features)
    elif what == "overload":
        await overload(client, features)
    elif what == "expiry":
        await expiry(client, features)
    elif what == "objects":
        await objects(client, values)
    else:
        raise SystemExit(f"nothing to do for {what!r}")
    await client.close()


asyncio.run(main())
