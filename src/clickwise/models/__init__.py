"""Ranking models, one file each. Importing this package registers them."""

from clickwise.models.dcn import DCN
from clickwise.models.dcn_v2 import DCNv2
from clickwise.models.deepfm import DeepFM
from clickwise.models.dnn import DNN
from clickwise.models.fm import FM
from clickwise.models.from_file import model_from_file
from clickwise.models.lr import LR
from clickwise.models.ranker import Ranker, build_model
from clickwise.models.wide_deep import WideDeep

__all__ = [
    "DCN",
    "DNN",
    "FM",
    "LR",
    "DCNv2",
    "DeepFM",
    "Ranker",
    "WideDeep",
    "build_model",
    "model_from_file",
]
