"""Blocks: ordinary `nn.Module`s, one published idea a file, each with a contract of its shapes.

A block works without any YAML: `RSU(64, depth=5, mid=32, out=128)`. Its channels come first, its options are
keywords. `block` and `wrapper` register a class of one's own.
"""

from crossband.blocks.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from crossband.blocks.aspp import ASPP
from crossband.blocks.block import block, wrapper
from crossband.blocks.bottleneck import Bottleneck
from crossband.blocks.cat_conv import CatConv
from crossband.blocks.conv import Conv, ConvTranspose
from crossband.blocks.criss_cross import CrissCross
from crossband.blocks.dropout import Dropout
from crossband.blocks.gate import GateChannels, GatePixels
from crossband.blocks.gradient_norm import GradientNorm
from crossband.blocks.identity import Identity
from crossband.blocks.join import Add, Concat, Mul
from crossband.blocks.lab import LabToRGB, RGBToLab
from crossband.blocks.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from crossband.blocks.pool import AvgPool, GlobalPool, MaxPool
from crossband.blocks.resize import Resize, ResizeTo, UpCat
from crossband.blocks.rsu import RSU

__all__ = [
    "ASPP",
    "ELU",
    "GELU",
    "RSU",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Bottleneck",
    "CatConv",
    "Concat",
    "Conv",
    "ConvTranspose",
    "CrissCross",
    "Dropout",
    "GateChannels",
    "GatePixels",
    "GlobalPool",
    "GradientNorm",
    "GroupNorm",
    "Identity",
    "InstanceNorm",
    "LabToRGB",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool",
    "Mul",
    "RGBToLab",
    "ReLU",
    "Resize",
    "ResizeTo",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "UpCat",
    "block",
    "wrapper",
]
