"""`POST /v1/recommend`: retrieve, filter and rank for one user."""

from __future__ import annotations

from typing import Any

import msgspec

from clickwise.errors import ClickwiseError
from clickwise.serving.app.http import Refused, Request, Response, json_response
from clickwise.serving.app.scoring import Scoring
from clickwise.serving.recommends import Recommends

_MOST_EXPLAINED = 10


class RecommendRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /v1/recommend` is given.

    Args:
        user: the columns of a request.
        k: longest list.
        where: rules that items fulfil, such as "category=shoes".
        allow: ids of the only items that may come; none: all.
        exclude: ids of items that may not come.
        explain: ids of items, at most ten: why each is where it is.
    """

    user: dict[str, Any]
    k: int = 10
    where: list[str] = []
    allow: list[str] | None = None
    exclude: list[str] = []
    explain: list[str] = []


class RecommendAnswer(msgspec.Struct):
    """A list, best first, and the explanations that were asked for."""

    recommender: str
    items: list[dict[str, Any]]
    explanations: list[dict[str, Any]]


class Recommending:
    """The route of lists."""

    def __init__(self, scoring: Scoring, recommender: Recommends | None) -> None:
        self.line, self.config, self.recommender = scoring.line, scoring.config, recommender
        self._body = scoring.body

    async def answer(self, request: Request) -> Response:
        """`POST /v1/recommend`"""
        recommender = self.recommender
        if recommender is None:
            raise Refused(404, "this server has no recommender: start it with --recommender FOLDER")
        body = await self._body(request)
        try:
            asked = msgspec.json.decode(body, type=RecommendRequest)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(400, f"is no request for a list: {error}") from None
        most = self.config.max_candidates
        if not 1 <= asked.k <= most or len(asked.explain) > _MOST_EXPLAINED:
            raise Refused(400, f"allowed are k from 1 to {most:,}, and {_MOST_EXPLAINED} ids to explain")

        def listed() -> RecommendAnswer:
            told: dict[str, Any] = {"where": asked.where, "allow": asked.allow, "exclude": asked.exclude}
            try:
                items = recommender.lists(asked.user, asked.k, **told)
                reasons = [recommender.why(asked.user, item, asked.k, **told) for item in asked.explain]
            except ClickwiseError as error:
                raise Refused(400, str(error)) from None
            return RecommendAnswer(recommender.name, items, reasons)

        answer = await self.line.run(listed, request.until(self.config.deadline_s))
        response = json_response(answer)
        response.headers.append((b"clickwise-recommender", recommender.name.encode()))
        response.rows = len(answer.items)
        return response
