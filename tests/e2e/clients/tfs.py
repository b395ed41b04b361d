"""Compares TensorFlow Serving's REST as a gateway speaks it with what is recorded in tfs.json, as parsed JSON.

    python3 tfs.py HTTP_ADDRESS digits.csv

In the record "<row>" stands for a row of the data set, and "<text>" and "<ten numbers>" for any text and any ten
probabilities. The forms are those of TensorFlow Serving's api_rest.md and http_rest_api_util.cc.
"""

import http.client
import json
import pathlib
import sys

from data import rows


def filled(value, row):
    if isinstance(value, dict):
        return {name: filled(inside, row) for name, inside in value.items()}
    if isinstance(value, list):
        return [filled(inside, row) for inside in value]
    return row if value == "<row>" else value


def differs(found, recorded, where=""):
    """Where two documents differ, or nothing."""
    if recorded == "<text>":
        return None if isinstance(found, str) and found else f"{where}: {found!r} is no text"
    if recorded == "<ten numbers>":
        is_ten = isinstance(found, list) and len(found) == 10 and all(isinstance(number, float) for number in found)
        return None if is_ten and abs(sum(found) - 1) < 1e-3 else f"{where}: {found!r} is not ten probabilities"
    if isinstance(recorded, dict) and isinstance(found, dict):
        if found.keys() != recorded.keys():
            return f"{where}: {sorted(found)} is not {sorted(recorded)}"
        pairs = [(found[name], recorded[name], f"{where}.{name}") for name in recorded]
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(found) != len(recorded):
            return f"{where}: {len(found)} entries, not {len(recorded)}"
        pairs = [(*pair, f"{where}[{place}]") for place, pair in enumerate(zip(found, recorded))]
    else:
        return None if found == recorded else f"{where}: {found!r} is not {recorded!r}"
    return next((difference for difference in (differs(*pair) for pair in pairs) if difference), None)


def ask(address, request, row):
    connection = http.client.HTTPConnection(address, timeout=30)
    body = json.dumps(filled(request["body"], row)) if "body" in request else None
    connection.request(request["method"], request["path"], body)
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def bare_words(address, row):
    """NaN, Infinity and -Infinity are no JSON, and yet taken; the model may refuse the values, but not the words."""
    for word in ("NaN", "Infinity", "-Infinity"):
        connection = http.client.HTTPConnection(address, timeout=30)
        body = json.dumps({"instances": [row]}).replace(json.dumps(row[0]), word, 1)
        connection.request("POST", "/v1/models/digits:predict", body)
        reply = connection.getresponse()
        text = reply.read().decode()
        assert reply.status in (200, 400) and "Parse" not in text, text


def main(address, path):
    row = [float(value) for value in rows(path, 1)[0]]
    record = json.loads((pathlib.Path(__file__).parent / "tfs.json").read_text())
    for entry in record:
        status, body = ask(address, entry["request"], row)
        assert status == entry["reply"]["status"], f"{entry['what']}: {status} {body}"
        difference = differs(body, entry["reply"]["body"])
        assert difference is None, f"{entry['what']}: {difference}"
    bare_words(address, row)
    print(f"TensorFlow Serving: {len(record)} recorded answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
