"""`/openapi.json`, made from the structs of requests and answers, and `/docs`, which shows it without anything from the
network.
"""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

from clickwise._version import __version__
from clickwise.serving.app import arrow
from clickwise.serving.app.explaining import ExplainAnswer
from clickwise.serving.app.http import ErrorAnswer, Request, Response, json_response
from clickwise.serving.app.models import ChangeRequest, ModelsAnswer, TrafficAnswer
from clickwise.serving.app.open_inference import PREFIX, InferAnswer, InferRequest
from clickwise.serving.app.recommending import RecommendAnswer, RecommendRequest
from clickwise.serving.app.scoring import ScoreAnswer, Scoring

_STRUCTS = [
    *(ChangeRequest, ErrorAnswer, ExplainAnswer, InferAnswer, InferRequest, ModelsAnswer),
    *(RecommendAnswer, RecommendRequest, ScoreAnswer, TrafficAnswer),
]
_CELLS: dict[str, dict[str, Any]] = {
    "number": {"type": ["number", "string", "null"]},
    "list": {"type": ["array", "string", "number", "null"], "items": {"type": ["string", "number"]}},
}
_CELL: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_REFUSALS = {
    "400": "The request cannot be read or scored; the answer says where and why.",
    "401": "The key is missing or wrong.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is of another type.",
    "503": "Too many requests wait, or no version is live.",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
code,pre{{font:14px/1.4 ui-monospace,monospace}}pre{{background:#f4f4f4;padding:.8rem;overflow:auto}}
h2{{margin:2rem 0 0;border-top:1px solid #ccc;padding-top:1rem}}th{{text-align:left;padding-right:1rem}}
</style><h1>{title}</h1><p>The same for machines: <a href="openapi.json">openapi.json</a></p>{body}</html>
"""


class Documentation:
    """The routes that say what there is."""

    def __init__(self, scoring: Scoring) -> None:
        self.live, self.name = scoring.live, scoring.config.model_name

    async def schema(self, request: Request) -> Response:
        """`GET /openapi.json`"""
        return json_response(self.openapi())

    async def page(self, request: Request) -> Response:
        """`GET /docs`"""
        schema = self.openapi()
        parts = []
        for path, methods in schema["paths"].items():
            for method, told in methods.items():
                answers = "".join(
                    f"<tr><th>{status}<td>{escape(answer['description'])}"
                    for status, answer in told["responses"].items()
                )
                body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
                text = "" if body is None else f"<pre>{escape(_pretty(body))}</pre>"
                head = f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(told['summary'])}</p>"
                parts.append(f"{head}{text}<table>{answers}</table>")
        shapes = "".join(
            f'<h3 id="{name}">{name}</h3><pre>{escape(_pretty(shape))}</pre>'
            for name, shape in schema["components"]["schemas"].items()
        )
        body = "".join(parts) + "<h2>Shapes</h2>" + shapes
        page = _PAGE.format(title=escape(schema["info"]["title"]), body=body)
        return Response(200, page.encode(), b"text/html; charset=utf-8")

    def openapi(self) -> dict[str, Any]:
        """The whole description, with the columns of the version that is live now."""
        refs, components = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
        shape = {struct.__name__: ref for struct, ref in zip(_STRUCTS, refs, strict=True)}
        components = {**components, "ScoreRequest": self._score_request()}
        score = {"$ref": "#/components/schemas/ScoreRequest"}
        model, error = f"{PREFIX}{self.name}", shape["ErrorAnswer"]
        text = {"type": "string"}
        paths = {
            "/v1/score": {"post": _operation("Click probabilities of candidates", error, shape["ScoreAnswer"], score)},
            "/v1/explain": {
                "post": _operation("The same, and what each column does", error, shape["ExplainAnswer"], score)
            },
            "/v1/example": {"get": _operation("A request to begin with", error, score)},
            "/v1/recommend": {
                "post": _operation(
                    "The best items for a user", error, shape["RecommendAnswer"], shape["RecommendRequest"], "404"
                )
            },
            "/v1/models": {"get": _operation("Versions, and which of them answer", error, shape["ModelsAnswer"])},
            "/v1/models/live": {
                "post": _operation(
                    "Let a version answer", error, shape["TrafficAnswer"], shape["ChangeRequest"], "403", "409"
                )
            },
            "/v1/models/rollback": {
                "post": _operation(
                    "End a trial, or let the version before answer", error, shape["TrafficAnswer"], None, "403", "409"
                )
            },
            "/healthz": {"get": _operation("The process lives", error, {})},
            "/readyz": {"get": _operation("It can score", error, {})},
            "/metrics": {"get": _operation("Numbers for Prometheus", error, text, media="text/plain")},
            "/": {"get": _operation("A page to look at", error, text, media="text/html")},
            "/console.css": {"get": _operation("Of that page", error, text, media="text/css")},
            "/console.js": {"get": _operation("Of that page", error, text, media="text/javascript")},
            "/docs": {"get": _operation("This page", error, text, media="text/html")},
            "/openapi.json": {"get": _operation("This description", error, {})},
            "/v2": {"get": _operation("Open Inference Protocol: the server", error, {})},
            "/v2/health/live": {"get": _operation("Open Inference Protocol: it lives", error, {})},
            "/v2/health/ready": {"get": _operation("Open Inference Protocol: it can score", error, {})},
            model: {"get": _operation("Open Inference Protocol: inputs and outputs", error, {})},
            f"{model}/ready": {"get": _operation("Open Inference Protocol: the model can score", error, {})},
            f"{model}/infer": {
                "post": _operation(
                    "Open Inference Protocol: scores", error, shape["InferAnswer"], shape["InferRequest"]
                )
            },
        }
        paths["/v1/score"]["post"]["requestBody"]["content"][arrow.CONTENT_TYPE.decode()] = {"schema": text}
        info = {"title": "clickwise", "version": __version__}
        return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": components}}

    def _score_request(self) -> dict[str, Any]:
        current = self.live.current
        engine = current.engines[current.traffic.live] if current else None
        cells = {name: _CELLS.get(engine.kinds[name], _CELL) for name in engine.columns} if engine else {}
        row = {"type": "object", "properties": cells}
        return {
            "description": "The user's columns once, those of each candidate; a column may be with either.",
            "type": "object",
            "properties": {"user": row, "candidates": {"type": "array", "items": row}},
            "required": ["candidates"],
        }


def _operation(
    summary: str, error: Any, answer: Any, body: Any = None, *more: str, media: str = "application/json"
) -> dict[str, Any]:
    refusals = {**_REFUSALS, "403": "Not without a key.", "404": "There is none.", "409": "It was refused; see why."}
    given = [*_REFUSALS, *more] if body is not None or more else ["401", "503"]
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": {media: {"schema": answer}}}}
    for status in sorted(given):
        content = {"application/json": {"schema": error}}
        responses[status] = {"description": refusals[status], "content": content}
    told: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return told


def _pretty(content: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
