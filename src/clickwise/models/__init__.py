"""Ranking models, one file each. Importing this package registers them."""

from clickwise.models.autoint import AutoInt
from clickwise.models.dcn import DCN
from clickwise.models.dcn_v2 import DCNv2
from clickwise.models.deepfm import DeepFM
from clickwise.models.din import DIN
from clickwise.models.dlrm import DLRM
from clickwise.models.dnn import DNN
from clickwise.models.ffm import FFM
from clickwise.models.fibinet import FiBiNET
from clickwise.models.final_mlp import FinalMLP
from clickwise.models.fm import FM
from clickwise.models.fnn import FNN
from clickwise.models.from_file import model_from_file
from clickwise.models.lr import LR
from clickwise.models.masknet import MaskNet
from clickwise.models.nfm import NFM
from clickwise.models.pnn import PNN
from clickwise.models.ranker import Pretraining, Ranker, build_model
from clickwise.models.two_tower import TwoTower
from clickwise.models.wide_deep import WideDeep
from clickwise.models.xdeepfm import XDeepFM

__all__ = [
    "DCN",
    "DIN",
    "DLRM",
    "DNN",
    "FFM",
    "FM",
    "FNN",
    "LR",
    "NFM",
    "PNN",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "FiBiNET",
    "FinalMLP",
    "MaskNet",
    "Pretraining",
    "Ranker",
    "TwoTower",
    "WideDeep",
    "XDeepFM",
    "build_model",
    "model_from_file",
]
