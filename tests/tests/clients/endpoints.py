"""Where the endpoints of the test are, and which files their applications hold."""

import os
import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    model: str
    url: str
    ca: str
    cert: str
    key: str

    @property
    def address(self) -> str:
        return self.url.removeprefix("https://")

    def context(self) -> ssl.SSLContext:
        """TLS as Python's standard library does it, with this application's certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.cert, self.key)
        return context


def endpoint(model: str) -> Endpoint:
    names = ("URL", "CA_FILE", "CLIENT_CERT_FILE", "CLIENT_KEY_FILE")
    return Endpoint(model, *(os.environ[f"{model.upper()}_{name}"] for name in names))


EMPLOYED = endpoint("employed")
OTHER = endpoint("other")
