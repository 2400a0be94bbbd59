"""Requests made of the OpenAPI document by schemathesis, good and bad ones: answers are as documented.

A status that the document does not name for the route, a content type or a body that is not what it says, and so every
5xx but the documented 503, is a failure. Requests of signed routes are signed: else only the signature would be seen.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import sys
import time
import traceback
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.transport import Response

from tests.clients.scripts.scenes import venue

EXAMPLES = int(sys.argv[1])
"""Requests of each kind, good and bad, to each route."""
load_all_checks()
DOCUMENTED = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    ]
)
MOVING = {-1130, -2010, -2011, -2021, -2022, -2038, -2039}
"""Codes with which the engine may refuse, which counts as a command; whatever the gateway refuses is none."""
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Prober:
    """Sends cases of operations, and judges the answers."""

    def __init__(self) -> None:
        self.venue = venue()
        self.http = requests.Session()
        self.http.trust_env = False
        self.sent = 0
        self.statuses: dict[int, int] = {}
        self.may_have_moved = False

    def send(self, case: Any) -> None:
        """One request. Raises what schemathesis says about the answer."""
        arguments = case.as_transport_kwargs(base_url=self.venue.http)
        arguments = {
            name: arguments[name]
            for name in ("method", "url", "params", "data", "headers", "json")
            if name in arguments
        }
        request = self.http.prepare_request(requests.Request(**arguments))
        security = case.operation.definition.raw.get("security", [{}])[0]
        if "apiKey" in security:
            request.headers["X-MBX-APIKEY"] = self.venue.alice[0]
        if "signature" in security:
            self.sign(request)
        answer = self.http.send(request, timeout=30, allow_redirects=False)
        self.sent += 1
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if case.method != "GET":
            self.may_have_moved |= answer.status_code < 300 or answer.json().get("code") in MOVING
        case.validate_response(Response.from_requests(answer, verify=False), checks=DOCUMENTED)
        assert "Traceback" not in answer.text

    def sequence(self) -> int:
        """How many commands the engine has had."""
        return int(self.http.get(f"{self.venue.http}/health", timeout=30).json()["sequence"])

    def probe(self, strategy: Any) -> None:
        """Some requests; if all were refused before the engine, it has had no command."""
        before, self.may_have_moved = self.sequence(), False
        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # without parameters nothing can be wrong
            SETTINGS(given(case=strategy)(self.send))()
        assert self.may_have_moved or self.sequence() == before, "a refused request reached the engine"

    def sign(self, request: Any) -> None:
        """Put the time right, and sign query and body as they are sent."""
        path, _, query = request.url.partition("?")
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        in_body = bool(body)
        text = body.decode("latin-1") if in_body else query
        pairs = [
            pair
            for pair in text.split("&")
            if pair and not pair.startswith(("timestamp=", "signature=", "recvWindow="))
        ]
        signed = "&".join([*pairs, f"timestamp={time.time_ns() // 1_000_000}", "recvWindow=60000"])
        covered = query.encode() + signed.encode("latin-1") if in_body else signed.encode()
        mark = hmac.digest(self.venue.alice[1].encode(), covered, "sha256").hex()
        if in_body:
            request.body = signed.encode("latin-1") + f"&signature={mark}".encode()
            request.headers["Content-Length"] = str(len(request.body))
        else:
            request.url = f"{path}?{signed}&signature={mark}"


def main() -> None:
    """Every route; prints {name: None, or what was wrong}, then how many answers had which status."""
    prober = Prober()
    schema = schemathesis.openapi.from_url(f"{prober.venue.http}/openapi.json")
    went: dict[str, str | None] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            name = f"{operation.label} {mode.value}"
            try:
                prober.probe(operation.as_strategy(generation_mode=mode))
                went[name] = None
            except Exception:  # noqa: BLE001  whatever it is, the test shows it
                went[name] = traceback.format_exc()
    sys.stderr.write(f"{prober.sent} {prober.statuses}\n")
    sys.stdout.write(json.dumps(went) + "\n")


main()
