"""The Open Inference Protocol v2, so that clients which know it score too: https://github.com/kserve/open-inference-protocol,
with the extension of binary tensors that Triton's clients use.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clickwise._version import __version__
from clickwise.serving.app.http import Handler, Refused, Request, Response, json_response
from clickwise.serving.app.scoring import Scoring
from clickwise.serving.app.tensors import TEXT, TensorIn, TensorOut, rows_of, scores_out

PROBABILITY, LOGIT = "probability", "logit"
HEADER_LENGTH = b"inference-header-content-length"
PREFIX = "/v2/models/"
_DATATYPES = {"number": "FP64"}


class WantedOutput(msgspec.Struct):
    """One of `probability` and `logit`."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """Columns of n candidates."""

    inputs: list[TensorIn]
    id: str | None = None
    outputs: list[WantedOutput] | None = None
    parameters: dict[str, Any] | None = None


class InferAnswer(msgspec.Struct, omit_defaults=True):
    """Scores of n candidates."""

    model_name: str
    model_version: str
    outputs: list[TensorOut]
    id: str | None = None


class OpenInference:
    """The routes of the protocol."""

    def __init__(self, scoring: Scoring) -> None:
        self.scoring, self.name = scoring, scoring.config.model_name

    async def server(self, request: Request) -> Response:
        """`GET /v2`"""
        return json_response({"name": "clickwise", "version": __version__, "extensions": ["binary_tensor_data"]})

    def find(self, path: str) -> dict[str, Handler]:
        """Methods and handlers of a path that begins with `PREFIX`; none where there is nothing."""
        name, *rest = path.removeprefix(PREFIX).split("/")
        if name != self.name:
            return {}
        version: int | None = None
        if rest[:1] == ["versions"]:
            if len(rest) < 2 or not rest[1].isascii() or not rest[1].isdigit() or len(rest[1]) > 9:
                return {}
            version, rest = int(rest[1]), rest[2:]
        if not rest:
            return {"GET": lambda request: self._metadata(version)}
        if rest == ["ready"]:
            return {"GET": lambda request: self._ready(version)}
        if rest == ["infer"]:
            return {"POST": lambda request: self._infer(request, version)}
        return {}

    async def _metadata(self, version: int | None) -> Response:
        serving = self.scoring.serving()
        number = serving.traffic.live if version is None else version
        engine = serving.engines.get(number)
        if engine is None:
            raise Refused(404, f"version {number} is not served; {', '.join(map(str, serving.engines))} is")
        inputs = [
            {"name": name, "datatype": _DATATYPES.get(engine.kinds[name], TEXT), "shape": [-1]}
            for name in engine.columns
        ]
        outputs = [{"name": n, "datatype": t, "shape": [-1]} for n, t in ((PROBABILITY, "FP64"), (LOGIT, "FP32"))]
        versions = [str(n) for n in serving.engines]
        about = {"name": self.name, "versions": versions, "platform": "clickwise"}
        return json_response({**about, "inputs": inputs, "outputs": outputs})

    async def _ready(self, version: int | None) -> Response:
        if version is not None and version not in self.scoring.serving().engines:
            raise Refused(404, f"version {version} is not served")
        self.scoring.serving()
        return json_response({"name": self.name, "ready": True})

    async def _infer(self, request: Request, version: int | None) -> Response:
        body = await self.scoring.body(request)
        asked, binary = _read(request, body)
        wanted = _wanted(asked)
        most = self.scoring.config.max_candidates
        found = await self.scoring.score(
            request,
            lambda engine, until: engine.score_rows(rows_of(asked.inputs, binary, most, engine.kinds), until_s=until),
            version,
        )
        values = {PROBABILITY: found.scores.probabilities, LOGIT: found.scores.logits}
        outputs = [scores_out(name, values[name], as_bytes) for name, as_bytes in wanted]
        answer = InferAnswer(self.name, str(found.version), [tensor for tensor, _ in outputs], asked.id)
        text, raw = msgspec.json.encode(answer), b"".join(raw for _, raw in outputs)
        response = Response(200, text + raw, version=found.version, rows=len(found.scores.logits))
        if any(as_bytes for _, as_bytes in wanted):
            response.content_type = b"application/octet-stream"
            response.headers.append((HEADER_LENGTH, str(len(text)).encode()))
        return response


def _read(request: Request, body: bytes) -> tuple[InferRequest, bytes]:
    """The JSON, and what follows it."""
    told = request.headers.get(HEADER_LENGTH, str(len(body)).encode())
    if not told.isdigit() or len(told) > 12 or int(told) > len(body):
        raise Refused(400, f"Inference-Header-Content-Length: got {told[:20]!r}, the body has {len(body):,} bytes")
    length = int(told)
    try:
        return msgspec.json.decode(body[:length], type=InferRequest), body[length:]
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, f"is no inference request: {error}") from None


def _wanted(asked: InferRequest) -> list[tuple[str, bool]]:
    """Names of the outputs, and whether each comes as bytes."""
    default = (asked.parameters or {}).get("binary_data_output") is True
    wanted = []
    for output in asked.outputs or [WantedOutput(PROBABILITY)]:
        if output.name not in (PROBABILITY, LOGIT):
            raise Refused(400, f"outputs: got {output.name[:80]!r}, allowed are {PROBABILITY} and {LOGIT}")
        wanted.append((output.name, (output.parameters or {}).get("binary_data", default) is True))
    if len({name for name, _ in wanted}) < len(wanted):
        raise Refused(400, "outputs: one comes twice")
    return wanted
