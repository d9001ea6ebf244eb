"""Reports labels as applications do that have no client of the protocol:
with `requests`, and with nothing but the standard library."""

import http.client
import json
import ssl
import time
import unittest
import urllib.request

import requests

from endpoints import EMPLOYED, OTHER

ROW = {
    "inputs": [
        {"name": "age", "shape": [1, 1], "datatype": "INT64", "data": [41]},
        {"name": "schooling", "shape": [1, 1], "datatype": "INT64", "data": [21]},
        {"name": "marital_status", "shape": [1, 1], "datatype": "BYTES", "data": ["1"]},
    ]
}


def session(application) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify, session.cert = application.ca, (application.cert, application.key)
    return session


def outcomes(application) -> str:
    return f"{application.url}/v2/models/{application.model}/outcomes"


def kept(asking: requests.Session) -> int:
    """How many labels the serving process has written down so far."""
    lines = asking.get(f"{EMPLOYED.url}/metrics").text.splitlines()
    (count,) = [line.rsplit(" ", 1)[1] for line in lines if line.startswith("falaj_capture_outcomes_total ")]
    return int(count)


class Labels(unittest.TestCase):
    def test_requests_predicts_and_reports_what_became_of_it(self):
        with session(EMPLOYED) as asking:
            before = kept(asking)
            answer = asking.post(f"{EMPLOYED.url}/v2/models/employed/infer", json={"id": "a-person", **ROW})
            self.assertEqual((answer.status_code, answer.json()["id"]), (200, "a-person"), answer.text)
            body = {"outcomes": [{"id": "a-person", "labels": [1]}, {"id": "never-asked", "labels": [0, 1]}]}
            answer = asking.post(outcomes(EMPLOYED), json=body)
            self.assertEqual((answer.status_code, answer.json()), (200, {"accepted": 2}), answer.text)
            # They are written down soon after the reply.
            for _ in range(100):
                if kept(asking) >= before + 2:
                    break
                time.sleep(0.05)
            else:
                self.fail("the labels are not counted")

    def test_the_standard_library_reports_them_too(self):
        body = json.dumps({"outcomes": [{"id": "by-urllib", "labels": [0]}]}).encode()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=EMPLOYED.context())
        )
        with opener.open(urllib.request.Request(outcomes(EMPLOYED), data=body)) as answer:
            self.assertEqual(json.load(answer), {"accepted": 1})

    def test_a_chunked_body_is_taken_as_one(self):
        body = json.dumps({"outcomes": [{"id": "in-pieces", "labels": [1]}]}).encode()
        host, port = EMPLOYED.address.split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=EMPLOYED.context())
        pieces = (body[start : start + 7] for start in range(0, len(body), 7))
        connection.request("POST", "/v2/models/employed/outcomes", pieces, encode_chunked=True)
        answer = connection.getresponse()
        self.assertEqual((answer.status, json.load(answer)), (200, {"accepted": 1}))
        connection.close()

    def test_what_is_wrong_is_said_in_the_protocols_shape(self):
        with session(EMPLOYED) as asking:
            for body, word in ((b"{", "outcomes"), (b'{"outcomes": [{"id": "x"}]}', "labels")):
                answer = asking.post(outcomes(EMPLOYED), data=body)
                self.assertEqual(answer.status_code, 400, answer.text)
                self.assertIn(word, answer.json()["error"])
            answer = asking.get(outcomes(EMPLOYED))
            self.assertEqual((answer.status_code, answer.headers["allow"]), (405, "POST"), answer.text)
            answer = asking.post(outcomes(OTHER), json={"outcomes": []})
            self.assertEqual(answer.status_code, 403, answer.text)
        with session(OTHER) as asking:
            answer = asking.post(outcomes(EMPLOYED), json={"outcomes": [{"id": "forged", "labels": [1]}]})
            self.assertEqual(answer.status_code, 403, answer.text)
            self.assertIn("not among the invokers", answer.json()["error"])
            answer = asking.post(outcomes(OTHER), json={"outcomes": [{"id": "x", "labels": [1]}]})
            self.assertEqual(answer.status_code, 400, answer.text)
            self.assertIn("has no capture", answer.json()["error"])

    def test_without_a_certificate_no_request_is_read(self):
        nobody = ssl.create_default_context(cafile=EMPLOYED.ca)
        host, port = EMPLOYED.address.split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=nobody)
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()


if __name__ == "__main__":
    unittest.main()
