"""A DeepFM behind FastAPI, as such models are usually served: pydantic, a dict a field from token to id, torch eager.

    python fastapi_server.py FOLDER PORT

FOLDER holds `weights.npz`, named as in `DeepFM` below, and `vocabularies.json`: [[column, first id, tokens], ..].
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import torch
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel
from torch import Tensor, nn


class DeepFM(nn.Module):
    def __init__(self, num_ids: int, dim: int, widths: list[int]) -> None:
        super().__init__()
        self.first = nn.Embedding(num_ids, 1)
        self.vectors = nn.Embedding(num_ids, dim)
        hidden = (layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU()))
        self.mlp = nn.Sequential(*hidden, nn.Linear(widths[-1], 1))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, ids: Tensor) -> Tensor:
        v = self.vectors(ids)
        pairs = 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(1)
        return self.bias + self.first(ids).sum((1, 2)) + pairs + self.mlp(v.flatten(1)).squeeze(1)


class ScoreRequest(BaseModel):
    user: dict[str, str]
    candidates: list[dict[str, str]]


def read_model(folder: Path) -> DeepFM:
    weights = dict(np.load(folder / "weights.npz"))
    layers = [
        weights[f"mlp.{2 * i}.weight"].shape for i in range(sum(name.startswith("mlp.") for name in weights) // 2)
    ]
    model = DeepFM(*weights["vectors.weight"].shape, [layers[0][1], *(out for out, _ in layers[:-1])])
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model.eval()


def make_app(folder: Path) -> FastAPI:
    model = read_model(folder)
    fields = [
        (name, {token: first + i for i, token in enumerate(tokens)}, first - 1)
        for name, first, tokens in json.loads((folder / "vocabularies.json").read_text())
    ]
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> str:
        return "ready"

    @app.post("/v1/score")
    async def score(request: ScoreRequest) -> Response:
        rows = [{**request.user, **candidate} for candidate in request.candidates]
        ids = torch.tensor([[known.get(row[name], other) for name, known, other in fields] for row in rows])
        with torch.inference_mode():
            probabilities = model(ids).sigmoid().numpy()
        body = orjson.dumps({"probabilities": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvicorn.run(make_app(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="warning", access_log=False)
