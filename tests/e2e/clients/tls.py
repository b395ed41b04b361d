"""tritonclient over TLS against a gateway whose certificate is its own authority.

    python3 tls.py HTTP_ADDRESS GRPC_ADDRESS certificate.pem digits.csv
    python3 tls.py shown ADDRESS PEM    # waits until the gateway shows the certificate
"""

import socket
import ssl
import sys
import time

import gevent.ssl
import tritonclient.grpc as grpc
import tritonclient.http as http

from data import rows, same


def ready(client):
    """The gateway answers before it has read what is deployed."""
    for _ in range(100):
        if client.is_server_ready():
            return
        time.sleep(0.1)
    raise AssertionError("the gateway is not ready")


def answer(module, client, values):
    tensor = module.InferInput("input", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    return client.infer("digits", [tensor]).as_numpy("probabilities")


def shown(address, certificate):
    """Waits until the gateway shows this certificate to whoever connects."""
    host, port = address.split(":")
    wanted = ssl.PEM_cert_to_DER_cert(certificate)
    for _ in range(100):
        if ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)))) == wanted:
            return print("this certificate is shown")
        time.sleep(0.1)
    raise AssertionError("another certificate is shown")


def main(http_address, grpc_address, certificate, path):
    values = rows(path, 2)
    trusted = lambda: gevent.ssl.create_default_context(cafile=certificate)
    over_http = http.InferenceServerClient(http_address, ssl=True, ssl_context_factory=trusted)
    ready(over_http)
    over_grpc = grpc.InferenceServerClient(grpc_address, ssl=True, root_certificates=certificate)
    same(answer(http, over_http, values), answer(grpc, over_grpc, values), "both protocols")
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, port = http_address.split(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        assert secure.selected_alpn_protocol() == "h2", secure.selected_alpn_protocol()
    print("TLS: HTTP and gRPC, HTTP/2 by ALPN")


if __name__ == "__main__":
    shown(*sys.argv[2:]) if sys.argv[1] == "shown" else main(*sys.argv[1:])
