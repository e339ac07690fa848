"""`GET /v1/example`: a request to begin with. `POST /v1/explain`: scores, and what each column does to the best."""

from __future__ import annotations

import msgspec

from clickwise.errors import ClickwiseError
from clickwise.serving.app.http import JSON, Refused, Request, Response, json_response
from clickwise.serving.app.scoring import Scoring

MAX_ROWS = 1_000
"""That are scored for the reasons of one request: about as long as five usual requests."""


class Reasons(msgspec.Struct):
    """Of one candidate.

    Args:
        candidate: its place in the request, from 1.
        logit: its log-odds of a click, calibrated.
        effects: how much lower they get when a column is missing, by the columns that the request gives.

    What is no finite number is null.
    """

    candidate: int
    logit: float | None
    effects: dict[str, float | None]


class ExplainAnswer(msgspec.Struct):
    """What `POST /v1/explain` answers: what `/v1/score` does, and reasons, best candidates first.

    Args:
        limit: why not all candidates have reasons; None: all have.
    """

    version: int
    probabilities: list[float]
    ignored: list[str]
    reasons: list[Reasons]
    limit: str | None = None


class Explaining:
    """The routes that help to understand the version that is live."""

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring

    async def example(self, request: Request) -> Response:
        """`GET /v1/example`"""
        number, engine = self.scoring.serving().for_request(request.id)
        response = json_response(engine.example)
        response.version = number
        return response

    async def answer(self, request: Request) -> Response:
        """`POST /v1/explain`, with a body as for `/v1/score` in JSON."""
        if request.content_type not in (JSON, b""):
            raise Refused(415, f"Content-Type: got {request.content_type[:80]!r}, allowed is {JSON.decode()}")
        body, config = await self.scoring.body(request), self.scoring.config
        until = request.until(config.deadline_s)

        def explained() -> ExplainAnswer:
            number, engine = self.scoring.serving().for_request(request.id)
            try:
                found = engine.explain_json(
                    body, max_candidates=config.max_candidates, max_rows=MAX_ROWS, until_s=until
                )
            except ClickwiseError as error:
                raise Refused(400, str(error)) from None
            reasons = [
                Reasons(place + 1, logit, dict(zip(found.columns, effects, strict=True)))
                for place, logit, effects in zip(
                    found.best.tolist(), found.scores.logits[found.best].tolist(), found.effects.tolist(), strict=True
                )
            ]
            given, told = len(found.scores.logits), len(reasons)
            limit = f"the best {told} of {given} candidates: reasons cost at most {MAX_ROWS:,} rows a request"
            scores = found.scores
            return ExplainAnswer(
                number, scores.probabilities.tolist(), list(scores.ignored), reasons, limit if told < given else None
            )

        answer = await self.scoring.line.run(explained, until)
        response = json_response(answer)
        response.version, response.rows = answer.version, len(answer.probabilities)
        return response
