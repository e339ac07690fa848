"""From Criteo's text to a trained DeepFM the way the README of DeepCTR-Torch goes; prints the seconds of each stage."""

from __future__ import annotations

import sys

import pandas as pd
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import DeepFM
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import LabelEncoder, MinMaxScaler

from criteo_text import NUMBERS, TOKENS, Stages


def main(path: str, threads: int, batch_size: int, folder: str) -> None:
    torch.set_num_threads(threads)
    stages = Stages()
    data = pd.read_csv(path, sep="\t", names=["label", *NUMBERS, *TOKENS], header=None)
    stages.lap("read")
    data[TOKENS] = data[TOKENS].fillna("-1")
    data[NUMBERS] = data[NUMBERS].fillna(0)
    for token in TOKENS:
        data[token] = LabelEncoder().fit_transform(data[token])
    data[NUMBERS] = MinMaxScaler(feature_range=(0, 1)).fit_transform(data[NUMBERS])
    stages.lap("encode")
    columns = [SparseFeat(name, vocabulary_size=data[name].max() + 1, embedding_dim=16) for name in TOKENS]
    columns += [DenseFeat(name, 1) for name in NUMBERS]
    cut = len(data) * 9 // 10
    train, test = data[:cut], data[cut:]
    model = DeepFM(columns, columns, task="binary", dnn_hidden_units=(400, 400, 400))
    model.compile("adam", "binary_crossentropy", metrics=[])
    label = train["label"].to_numpy()
    model.fit({c: train[c].to_numpy() for c in NUMBERS + TOKENS}, label, batch_size=batch_size, epochs=1, verbose=0)
    stages.lap("train")
    probability = model.predict({c: test[c].to_numpy() for c in NUMBERS + TOKENS}, batch_size)
    quality = {"log_loss": log_loss(test["label"], probability), "auc": roc_auc_score(test["label"], probability)}
    stages.lap("evaluate")
    torch.save(model.state_dict(), f"{folder}/weights.h5")
    stages.lap("save")
    stages.print(quality)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
