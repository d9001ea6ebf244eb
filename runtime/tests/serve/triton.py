"""Asks an endpoint as any program written with tritonclient would."""

import json
import sys

import gevent.ssl
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(
    url=sys.argv[1],
    ssl=True,
    ssl_options={"ca_certs": "ca.pem", "certfile": "cert.pem", "keyfile": "key.pem"},
    ssl_context_factory=gevent.ssl.create_default_context,
)

assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("employed") and client.is_model_ready("employed", "2")
metadata = client.get_model_metadata("employed")
assert [tensor["name"] for tensor in metadata["inputs"]] == ["age", "sector"], metadata

age = triton.InferInput("age", [2, 1], "INT64")
sector = triton.InferInput("sector", [2, 1], "BYTES")
ages, sectors = np.array([[23], [61]]), np.array([["private"], ["public"]], dtype=np.object_)

# As the library does it by default, everything is binary.
age.set_data_from_numpy(ages)
sector.set_data_from_numpy(sectors)
answer = client.infer("employed", [age, sector], request_id="triton-1")
assert answer.get_response()["id"] == "triton-1", answer.get_response()
binary, label = answer.as_numpy("probability"), answer.as_numpy("label")

age.set_data_from_numpy(ages, binary_data=False)
sector.set_data_from_numpy(sectors, binary_data=False)
wanted = [triton.InferRequestedOutput("probability", binary_data=False)]
answer = client.infer("employed", [age, sector], model_version="2", outputs=wanted)
assert len(answer.get_response()["outputs"]) == 1, answer.get_response()

try:
    client.infer("employed", [age])
    raise SystemExit("a request without an input was answered")
except triton.InferenceServerException as error:
    assert "sector" in str(error) and error.status() == "400", (error, error.status())

flat = {"json": answer.as_numpy("probability"), "binary": binary, "label": label}
print(json.dumps({name: values.flatten().tolist() for name, values in flat.items()}))
