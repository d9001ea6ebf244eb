"""Asks the endpoint as any program written with tritonclient would."""

import asyncio
import contextlib
import unittest

import gevent.ssl
import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

from endpoints import EMPLOYED, OTHER, Endpoint

AGES = np.array([[17], [35], [52], [88]])
SCHOOLING = np.array([[12], [21], [16], [19]])
MARITAL = np.array([["5"], ["1"], ["3"], ["2"]], dtype=np.object_)


def client(application: Endpoint) -> triton.InferenceServerClient:
    options = {"ca_certs": application.ca, "certfile": application.cert, "keyfile": application.key}
    return triton.InferenceServerClient(
        EMPLOYED.address, ssl=True, ssl_options=options, ssl_context_factory=gevent.ssl.create_default_context
    )


def inputs(module=triton, rows=slice(None), **how) -> list:
    """The three inputs, set as the library does by default unless `how` says otherwise."""
    tensors = []
    for name, datatype, values in (
        ("age", "INT64", AGES),
        ("schooling", "INT64", SCHOOLING),
        ("marital_status", "BYTES", MARITAL),
    ):
        tensor = module.InferInput(name, list(values[rows].shape), datatype)
        tensor.set_data_from_numpy(values[rows], **how)
        tensors.append(tensor)
    return tensors


class AnInvoker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = client(EMPLOYED)

    @contextlib.contextmanager
    def refused(self, status: str, *words: str):
        with self.assertRaises(triton.InferenceServerException) as caught:
            yield
        self.assertEqual(caught.exception.status(), status, caught.exception)
        for word in words:
            self.assertIn(word, caught.exception.message())

    def test_the_server_and_the_model_are_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("employed"))
        self.assertTrue(self.client.is_model_ready("employed", "1"))
        self.assertFalse(self.client.is_model_ready("employed", "99"))
        self.assertFalse(self.client.is_model_ready("unknown"))

    def test_metadata_names_the_server_the_inputs_and_the_outputs(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server["name"], "falaj")
        self.assertIn("binary_tensor_data", server["extensions"])
        for version in ("", "1"):
            model = self.client.get_model_metadata("employed", version)
            self.assertEqual((model["name"], model["versions"], model["platform"]), ("employed", ["1"], "onnx_onnxv1"))
            inputs = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in model["inputs"]}
            # Whole numbers are taken as FP64, in which they can also be missing.
            kinds = {"age": "FP64", "schooling": "FP64", "marital_status": "BYTES"}
            self.assertEqual(inputs, {name: (kind, [-1, 1]) for name, kind in kinds.items()})
            self.assertIn("probability", [tensor["name"] for tensor in model["outputs"]])

    def test_json_and_binary_tensors_get_the_same_answer(self):
        binary = self.client.infer("employed", inputs(), request_id="as-binary")
        self.assertEqual(binary.get_response()["id"], "as-binary")
        self.assertEqual(binary.get_response()["model_version"], "1")
        wanted = [triton.InferRequestedOutput("probability", binary_data=False)]
        json = self.client.infer("employed", inputs(binary_data=False), outputs=wanted)
        self.assertIn("data", json.get_output("probability"))
        self.assertIn("binary_data_size", binary.get_output("probability")["parameters"])
        probability = binary.as_numpy("probability")
        self.assertEqual(probability.shape[0], 4)
        self.assertTrue(((probability > 0) & (probability < 1)).all(), probability)
        self.assertEqual(len(np.unique(probability)), 4, "four different people")
        np.testing.assert_array_equal(probability, json.as_numpy("probability"))
        np.testing.assert_array_equal(binary.as_numpy("label"), (probability >= 0.5).astype(np.int64))

    def test_a_row_alone_is_answered_as_it_is_among_others(self):
        together = self.client.infer("employed", inputs()).as_numpy("probability")
        alone = [self.client.infer("employed", inputs(rows=slice(i, i + 1))).as_numpy("probability") for i in range(4)]
        np.testing.assert_allclose(np.concatenate(alone), together, rtol=0, atol=1e-12)

    def test_only_the_outputs_that_are_asked_for_come_back(self):
        for binary in (True, False):
            wanted = [triton.InferRequestedOutput("label", binary_data=binary)]
            answer = self.client.infer("employed", inputs(), outputs=wanted)
            self.assertEqual([output["name"] for output in answer.get_response()["outputs"]], ["label"])
            self.assertEqual(answer.as_numpy("label").size, 4)
            self.assertIsNone(answer.as_numpy("probability"))
        with self.refused("400", "nonsense", "probability"):
            self.client.infer("employed", inputs(), outputs=[triton.InferRequestedOutput("nonsense")])

    def test_a_version_is_asked_for_by_its_number(self):
        latest = self.client.infer("employed", inputs()).as_numpy("probability")
        first = self.client.infer("employed", inputs(), model_version="1").as_numpy("probability")
        np.testing.assert_array_equal(first, latest)
        with self.refused("404", "does not serve version 99", "served: 1"):
            self.client.infer("employed", inputs(), model_version="99")

    def test_text_of_any_script_and_length_is_taken(self):
        tensors = inputs(rows=slice(0, 3))
        texts = np.array([["متزوج"], [""], ["x" * 10_000]], dtype=np.object_)
        tensors[2].set_data_from_numpy(texts)
        answer = self.client.infer("employed", tensors).as_numpy("probability")
        self.assertTrue(np.isfinite(answer).all(), answer)
        # Fixed-width bytes, the other way to hold text in numpy.
        tensors = inputs(rows=slice(1, 2))
        tensors[2].set_data_from_numpy(np.array([[b"1"]], dtype="S1"))
        expected = self.client.infer("employed", inputs(rows=slice(1, 2))).as_numpy("probability")
        np.testing.assert_array_equal(self.client.infer("employed", tensors).as_numpy("probability"), expected)

    def test_what_is_wrong_reaches_the_caller(self):
        with self.refused("404", "there is no model \"unknown\"", "employed"):
            self.client.infer("unknown", inputs())
        with self.refused("400", "marital_status", "missing"):
            self.client.infer("employed", inputs()[:2])
        wide = triton.InferInput("age", [2, 3], "INT64")
        wide.set_data_from_numpy(np.zeros((2, 3), dtype=np.int64))
        with self.refused("400", "age", "the shape is [2, 3], but the model takes [N, 1]"):
            self.client.infer("employed", [wide, *inputs()[1:]])
        short = inputs(rows=slice(0, 2))[:1]
        with self.refused("400", "has 4 rows, where input \"age\" has 2"):
            self.client.infer("employed", [*short, *inputs()[1:]])
        text = triton.InferInput("age", [4, 1], "BYTES")
        text.set_data_from_numpy(MARITAL)
        with self.refused("400", "age", "the datatype is BYTES, but the model takes FP64"):
            self.client.infer("employed", [text, *inputs()[1:]])
        with self.refused("415", "compressed bodies are not accepted"):
            self.client.infer("employed", inputs(), request_compression_algorithm="gzip")

    def test_another_applications_certificate_opens_nothing(self):
        stranger = client(OTHER)
        self.assertTrue(stranger.is_server_live())
        self.assertFalse(stranger.is_model_ready("employed"))
        self.assertTrue(stranger.is_model_ready("other"))
        with self.refused("403", "invoker/other", "is not among the invokers of endpoint \"employed\""):
            stranger.infer("employed", inputs())
        with self.refused("403", "is not among the invokers"):
            stranger.get_model_metadata("employed")
        self.assertEqual(stranger.infer("other", inputs()).as_numpy("probability").shape[0], 4)

    def test_the_asynchronous_client_gets_the_same_answers(self):
        async def ask():
            asking = triton_aio.InferenceServerClient(EMPLOYED.address, ssl=True, ssl_context=EMPLOYED.context())
            try:
                answers = [asking.infer("employed", inputs(triton_aio), request_id=str(i)) for i in range(32)]
                answers = await asyncio.gather(*answers)
                return [(answer.get_response()["id"], answer.as_numpy("probability")) for answer in answers]
            finally:
                await asking.close()

        expected = self.client.infer("employed", inputs()).as_numpy("probability")
        for index, (request_id, probability) in enumerate(asyncio.run(ask())):
            self.assertEqual(request_id, str(index))
            np.testing.assert_array_equal(probability, expected)


if __name__ == "__main__":
    unittest.main()
