"""The client of KServe over REST and gRPC against a gateway.

    python3 kserve_client.py HTTP_ADDRESS GRPC_ADDRESS digits.csv
"""

import asyncio
import sys

from kserve import InferInput, InferRequest, InferenceGRPCClient, InferenceRESTClient, RESTConfig

from data import rows, same


async def over_rest(address, values):
    url, first = f"http://{address}", None
    client = InferenceRESTClient(config=RESTConfig(protocol="v2", timeout=30))
    assert await client.is_server_live(url) and await client.is_server_ready(url)
    assert await client.is_model_ready(url, "digits")
    for binary in (True, False):
        tensor = InferInput("input", list(values.shape), "FP32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        request = InferRequest("digits", [tensor], request_id=f"k-{binary}")
        response = await client.infer(url, request, model_name="digits")
        assert response.id == f"k-{binary}"
        found = next(output for output in response.outputs if output.name == "probabilities").as_numpy()
        first = found if first is None else first
        same(found.astype("float32"), first.astype("float32"), f"binary {binary}")
    v1 = InferenceRESTClient(config=RESTConfig(protocol="v1", timeout=30))
    rows_form = await v1.infer(url, {"instances": values.tolist()}, model_name="digits")
    assert len(rows_form["predictions"]) == len(values), rows_form
    for model, code in (("nobody", "404"),):
        try:
            await client.infer(url, InferRequest(model, [tensor]), model_name=model)
            raise AssertionError("expected an error")
        except Exception as error:
            assert code in str(error), error
    return first


async def over_grpc(address, values, expected):
    client = InferenceGRPCClient(address, timeout=30)
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("digits") and not await client.is_model_ready("nobody")
    tensor = InferInput("input", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, binary_data=True)
    response = await client.infer(InferRequest("digits", [tensor], request_id="k-2"))
    found = next(output for output in response.outputs if output.name == "probabilities").as_numpy()
    same(found, expected.astype("float32"), "gRPC, raw")
    typed = InferInput("input", list(values.shape), "FP32")
    typed.set_data_from_numpy(values, binary_data=False)
    response = await client.infer(InferRequest("digits", [typed]))
    found = next(output for output in response.outputs if output.name == "probabilities").as_numpy()
    same(found, expected.astype("float32"), "gRPC, typed")
    try:
        await client.infer(InferRequest("nobody", [tensor]))
        raise AssertionError("expected an error")
    except Exception as error:
        assert "nobody" in str(error), error
    await client.close()


async def main(http_address, grpc_address, path):
    values = rows(path, 5)
    expected = await over_rest(http_address, values)
    await over_grpc(grpc_address, values, expected)
    print("kserve: REST v2 and v1, gRPC raw and typed, errors")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
