"""From Criteo's text to a trained DeepFM with FuxiCTR's `build_dataset` and `fit`; prints the seconds of each stage."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import ray
import torch
from fuxictr.datasets.criteo import CustomizedFeatureProcessor
from fuxictr.features import FeatureMap
from fuxictr.preprocess import build_dataset
from fuxictr.pytorch.dataloaders import RankDataLoader
from sklearn.metrics import log_loss, roc_auc_score

from criteo_text import NUMBERS, TOKENS, Stages
from fuxictr_peer import ZooModel
from protocol import Task


def main(path: str, threads: int, batch_size: int, folder: str) -> None:
    torch.set_num_threads(threads)
    stages = Stages()
    train_csv, test_csv = split(Path(path), Path(folder))
    stages.lap("read")  # the library wants separate files with commas and a header
    numbers = {"name": NUMBERS, "active": True, "dtype": "float", "type": "categorical", "fill_na": 0}
    numbers["preprocess"] = "convert_to_bucket"
    tokens = {"name": TOKENS, "active": True, "dtype": "str", "type": "categorical", "fill_na": ""}
    about = {"feature_cols": [numbers, tokens], "label_col": {"name": "label", "dtype": "float"}}
    encoder = CustomizedFeatureProcessor(**about, dataset_id="criteo", data_root=folder)
    files = {"train_data": str(train_csv), "valid_data": str(test_csv), "test_data": None, "data_format": "csv"}
    train, valid, _ = build_dataset(encoder, min_categr_count=2, **files)
    stages.lap("encode")
    features = FeatureMap("criteo", f"{folder}/criteo")
    features.load(f"{folder}/criteo/feature_map.json", {"embedding_dim": 16, "feature_config": None})
    sizes = {"embedding_dim": 16, "hidden_dims": [400, 400, 400], "num_cross_layers": 0, "batch_size": batch_size}
    choice = {"data": "", "model": "deepfm", "rule": "", "precision": "fp32", "scratch": folder, "seed": 1}
    model = ZooModel(features, Task(**choice, **sizes, threads=threads))
    loading = {"batch_size": batch_size, "shuffle": True, "num_workers": 3, "data_format": "parquet"}
    batches, held_out = RankDataLoader(features, stage="train", train_data=train, valid_data=valid, **loading)
    model.fit(batches, validation_data=held_out, epochs=1)
    stages.lap("train")  # with its own evaluation at the end of the epoch, and the file of the best weights
    probability = model.predict(held_out)
    label = np.concatenate([batch["label"].numpy() for batch in held_out])
    quality = {"log_loss": log_loss(label, probability), "auc": roc_auc_score(label, probability)}
    stages.lap("evaluate")
    ray.shutdown()
    stages.print(quality)


def split(path: Path, folder: Path) -> tuple[Path, Path]:
    """The first nine tenths and the rest as CSV with a header."""
    with path.open() as lines:
        rows = sum(1 for _ in lines)
    parts = folder / "train.csv", folder / "test.csv"
    with path.open() as lines:
        for part, count in zip(parts, (rows * 9 // 10, None), strict=True):
            with part.open("w") as file:
                file.write(",".join(["label", *NUMBERS, *TOKENS]) + "\n")
                file.writelines(line.replace("\t", ",") for line in islice(lines, count))
    return parts


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
