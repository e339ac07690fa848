"""Routes, keys, refusals, logs and metrics of the app, called as a server calls it."""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
from collections.abc import Callable

import pytest

from asgi_client import ask, call
from clickwise.serving.app.app import App
from clickwise.serving.store import Store
from serving_stand_ins import version_folder

REQUEST = {"user": {"user": "u"}, "candidates": [{"price": 0.0}, {"price": -3.0}]}


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_score(app: App) -> None:
    answer = ask(app, "POST", "/v1/score", REQUEST)
    assert answer.status == 200
    assert answer.headers["clickwise-version"] == "1" and answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json == {"version": 1, "probabilities": [sigmoid(1.0), sigmoid(-2.0)], "ignored": ["extra"]}


def test_the_client_names_the_request_or_gets_a_name(app: App) -> None:
    def named(name: str) -> str:
        return ask(app, "GET", "/healthz", headers={"x-request-id": name}).headers["x-request-id"]

    assert named("mine-7") == "mine-7"
    assert re.fullmatch("[0-9a-f]{16}", named("")) and re.fullmatch("[0-9a-f]{16}", named("x" * 129))
    assert named("") != named("")


def test_a_share_goes_to_the_second_version(make_app: Callable[..., App], store: Store) -> None:
    store.try_out(2, 0.5)
    app, wanted = make_app(), {}
    for n in range(40):
        answer = ask(app, "POST", "/v1/score", REQUEST, headers={"x-request-id": f"user-{n}"})
        assert answer.json["version"] == int(answer.headers["clickwise-version"])
        assert answer.json["probabilities"][0] == sigmoid(answer.json["version"])
        wanted[n] = answer.json["version"]
    assert set(wanted.values()) == {1, 2}
    again = ask(app, "POST", "/v1/score", REQUEST, headers={"x-request-id": "user-7"})
    assert again.json["version"] == wanted[7]


def test_the_shadow_scores_and_does_not_answer(make_app: Callable[..., App], store: Store, log: io.StringIO) -> None:
    store.shadow(2)
    app = make_app()

    async def scored() -> None:
        answer = await call(app, "POST", "/v1/score", json.dumps(REQUEST).encode())
        assert answer.json["version"] == 1
        await asyncio.sleep(0.01)

    asyncio.run(scored())
    text = ask(app, "GET", "/metrics").body.decode()
    assert 'clickwise_shadow_total{outcome="scored"} 1.0' in text
    assert "clickwise_shadow_difference_sum 1.0" in text, "of logits 1 and 2"


def test_models(make_app: Callable[..., App], store: Store, tmp_path: object) -> None:
    store.shadow(2)
    told = ask(make_app(), "GET", "/v1/models").json
    assert told["traffic"] == {"live": 1, "second": None, "share": 0.0, "shadow": 2, "before": []}
    first = told["versions"][0]
    assert (first["number"], first["served"], first["refused"]) == (1, True, None)
    assert first["columns"] == {"user": "text", "item": "text", "price": "number", "tags": "list"}
    assert first["card"] == {"model": {"name": "stand-in"}} and len(first["name"]) == 12


def test_another_version_by_hand(make_app: Callable[..., App], store: Store) -> None:
    app, key = make_app(api_key="k"), {"authorization": "Bearer k"}
    answer = ask(app, "POST", "/v1/models/live", {"version": 2}, headers=key)
    assert answer.status == 200 and answer.json["live"] == 2 and answer.json["before"] == [1]
    assert ask(app, "POST", "/v1/score", REQUEST, headers=key).json["version"] == 2
    store.try_out(1, 0.5)
    app.live.refresh()
    trial_ends = ask(app, "POST", "/v1/models/rollback", headers=key).json
    assert trial_ends == {"live": 2, "second": None, "share": 0.0, "shadow": None, "before": [1]}
    assert ask(app, "GET", "/v1/models", headers=key).json["traffic"] == trial_ends
    assert ask(app, "POST", "/v1/models/rollback", headers=key).json["live"] == 1
    assert ask(app, "POST", "/v1/score", REQUEST, headers=key).json["version"] == 1
    refused = ask(app, "POST", "/v1/models/rollback", headers=key)
    assert refused.status == 409 and "is the first that was live" in refused.json["error"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"version": 7}, 409, "has no version 7; there are: 1, 2, 3"),
        ({"version": 3}, 409, "version 3 was refused: golden request 1 differs"),
        ({"version": "../v1"}, 400, "Expected `int`"),
        ({"version": -1}, 409, "has no version -1"),
        ({"version": 1, "more": 2}, 400, "unknown field `more`"),
        (b"[" * 5000, 400, 'the body is {"version": a number}'),
        (b"x" * 20_000, 413, "more than 10,000 bytes"),
    ],
)
def test_a_bad_version_is_refused_and_the_old_one_stays(
    make_app: Callable[..., App], store: Store, body: object, status: int, error: str
) -> None:
    store.add(version_folder(store.folder.parent / "bad", refuses="golden request 1 differs"))
    app, key = make_app(api_key="k"), {"authorization": "Bearer k"}
    answer = ask(app, "POST", "/v1/models/live", body, headers=key)
    assert answer.status == status and error in answer.json["error"]
    assert ask(app, "POST", "/v1/score", REQUEST, headers=key).json["version"] == 1
    assert ask(app, "GET", "/readyz").status == 200


def test_keys(make_app: Callable[..., App], app: App) -> None:
    for path in ("/v1/models/live", "/v1/models/rollback"):
        answer = ask(app, "POST", path, {"version": 2})
        assert answer.status == 403 and "CLICKWISE_API_KEY" in answer.json["error"], "not without any key"
    keyed = make_app(api_key="k")
    for given in ({}, {"authorization": "Bearer kk"}, {"authorization": "k"}, {"authorization": "Basic k"}):
        for method, path in (("POST", "/v1/score"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/v2")):
            assert ask(keyed, method, path, REQUEST, headers=given).status == 401
    assert ask(keyed, "POST", "/v1/score", REQUEST, headers={"authorization": "Bearer k"}).status == 200
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"):
        assert ask(keyed, "GET", path).status == 200


def test_not_ready_while_nothing_is_live(make_app: Callable[..., App], store: Store) -> None:
    (store.folder / "live.json").unlink()
    app = make_app()
    assert ask(app, "GET", "/healthz").status == 200
    for method, path in (("GET", "/readyz"), ("POST", "/v1/score"), ("GET", "/v2/models/clickwise/ready")):
        answer = ask(app, method, path, REQUEST)
        assert answer.status == 503 and "clickwise publish" in answer.json["error"]
        assert answer.headers["retry-after"] == "1"
    assert ask(app, "GET", "/v1/models").json["traffic"]["live"] is None
    assert ask(app, "GET", "/openapi.json").status == 200


def test_not_ready_when_about_to_stop(make_app: Callable[..., App]) -> None:
    app = make_app(stopping=lambda: True)
    assert ask(app, "GET", "/readyz").status == 503 and ask(app, "GET", "/healthz").status == 200
    assert ask(app, "POST", "/v1/score", REQUEST).status == 200, "who still asks is answered"


def test_unknown_paths_and_methods(app: App) -> None:
    for path in ("/v1", "/v1/score/", "/../etc/passwd", "/v2/models/other", "/v2/models/clickwise/versions/x"):
        assert ask(app, "GET", path).status == 404
    answer = ask(app, "GET", "/v1/score")
    assert answer.status == 405 and answer.headers["allow"] == "POST"
    head = ask(app, "HEAD", "/healthz")
    assert head.status == 200 and head.body == b"" and head.headers["content-length"] == "13"


def test_a_mistake_of_ours_is_a_500_and_no_more(make_app: Callable[..., App], log: io.StringIO) -> None:
    def fails() -> None:
        raise ZeroDivisionError("secret")

    answer = ask(make_app(works=fails), "POST", "/v1/score", REQUEST)
    assert answer.status == 500 and "secret" not in answer.json["error"]
    event = json.loads(log.getvalue().splitlines()[0])
    assert event["event"] == "error" and event["error"] == "ZeroDivisionError: secret"
    assert event["id"] == answer.headers["x-request-id"]


def test_logs(make_app: Callable[..., App], log: io.StringIO) -> None:
    app = make_app(log_share=0.0)
    ask(app, "POST", "/v1/score", REQUEST)
    assert log.getvalue() == ""
    ask(app, "GET", "/no\n{}", headers={"x-request-id": "r1"})
    (line,) = log.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time") > 1e9 and told.pop("ms") >= 0
    assert told == {"event": "request", "id": "r1", "method": "GET", "path": "/no\n{}", "status": 404}
    ask(make_app(), "POST", "/v1/score", REQUEST)
    told = json.loads(log.getvalue().splitlines()[-1])
    assert (told["version"], told["candidates"], told["status"]) == (1, 2, 200)


def test_metrics(app: App) -> None:
    for _ in range(3):
        ask(app, "POST", "/v1/score", REQUEST)
    ask(app, "GET", "/nowhere")
    answer = ask(app, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert 'clickwise_requests_total{route="/v1/score",status="200"} 3.0' in text
    assert 'clickwise_requests_total{route="none",status="404"} 1.0' in text, "paths of clients make no series"
    assert 'clickwise_answers_total{version="1"} 3.0' in text
    assert "clickwise_candidates_sum 6.0" in text


def test_lifespan_follows_the_store(make_app: Callable[..., App], store: Store, log: io.StringIO) -> None:
    app, to_app, from_app = make_app(poll_s=0.01), asyncio.Queue(), asyncio.Queue()

    async def lived() -> None:
        running = asyncio.create_task(app({"type": "lifespan"}, to_app.get, from_app.put))
        await to_app.put({"type": "lifespan.startup"})
        assert (await from_app.get())["type"] == "lifespan.startup.complete"
        store.lead(store.add(version_folder(store.folder.parent / "bad", refuses="NaN")))
        store.lead(2)
        for _ in range(200):
            if (await call(app, "GET", "/readyz")).json["version"] == 2:
                break
            await asyncio.sleep(0.01)
        await to_app.put({"type": "lifespan.shutdown"})
        assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
        await running

    asyncio.run(lived())
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    live = [event["version"] for event in events if event["event"] == "live"]
    assert live == [1, 2]
