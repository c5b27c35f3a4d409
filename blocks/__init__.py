"""Blocks: ordinary `nn.Module`s, one published idea a file, each with a contract of its shapes.

A block works without any YAML: `RSU(64, depth=5, mid=32, out=128)`. Its channels come first, its options are
keywords. `block` and `wrapper` register a class of your own.
"""

from crossband.blocks.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from crossband.blocks.adain import AdaIN
from crossband.blocks.aspp import ASPP
from crossband.blocks.attention import Attention, CrossAttention, SelfAttention
from crossband.blocks.attention_gate import AttentionGate
from crossband.blocks.blur import BlurDown, BlurUp
from crossband.blocks.bottleneck import Bottleneck
from crossband.blocks.cat_conv import CatConv
from crossband.blocks.cbam import CBAM, ChannelAttention, SpatialAttention
from crossband.blocks.class_embedding import ClassEmbedding
from crossband.blocks.contracts.block import block, wrapper
from crossband.blocks.conv import Conv, ConvTranspose
from crossband.blocks.convnext import ConvNeXtBlock
from crossband.blocks.criss_cross import CrissCross
from crossband.blocks.dilated import DilatedBranches
from crossband.blocks.dit import DiTBlock
from crossband.blocks.dropout import Dropout
from crossband.blocks.film import FiLM
from crossband.blocks.gate import GateChannels, GatePixels
from crossband.blocks.gated_feed_forward import GatedFeedForward
from crossband.blocks.gradient_norm import GradientNorm
from crossband.blocks.identity import Identity
from crossband.blocks.join import Add, Concat, Mean, Mul
from crossband.blocks.lab import LabToRGB, RGBToLab
from crossband.blocks.linear import Broadcast, Flatten, Linear
from crossband.blocks.naf import NAFBlock, SimpleGate
from crossband.blocks.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from crossband.blocks.patch_sample import PatchSample
from crossband.blocks.pixel_fusion import PixelFusion
from crossband.blocks.pixel_shuffle import PixelShuffle, PixelUnshuffle
from crossband.blocks.pool import AvgPool, GlobalPool, MaxPool
from crossband.blocks.pyramid import Pyramid
from crossband.blocks.residual import Residual
from crossband.blocks.resize import Resize, ResizeTo, UpCat
from crossband.blocks.rsu import RSU
from crossband.blocks.separable_conv import SeparableConv
from crossband.blocks.signed import Signed
from crossband.blocks.sine import Sine
from crossband.blocks.softmax import Softmax
from crossband.blocks.spectral_norm import SpectralNorm
from crossband.blocks.split import Split
from crossband.blocks.squeeze_excite import SqueezeExcite
from crossband.blocks.time_embedding import TimeEmbedding
from crossband.blocks.transposed_attention import TransposedAttention
from crossband.blocks.wavelet import WaveletDown, WaveletUp
from crossband.blocks.window_attention import SwinBlock, WindowAttention, WindowedAttention

__all__ = [
    "ASPP",
    "CBAM",
    "ELU",
    "GELU",
    "RSU",
    "AdaIN",
    "Add",
    "Attention",
    "AttentionGate",
    "AvgPool",
    "BatchNorm",
    "BlurDown",
    "BlurUp",
    "Bottleneck",
    "Broadcast",
    "CatConv",
    "ChannelAttention",
    "ClassEmbedding",
    "Concat",
    "Conv",
    "ConvNeXtBlock",
    "ConvTranspose",
    "CrissCross",
    "CrossAttention",
    "DiTBlock",
    "DilatedBranches",
    "Dropout",
    "FiLM",
    "Flatten",
    "GateChannels",
    "GatePixels",
    "GatedFeedForward",
    "GlobalPool",
    "GradientNorm",
    "GroupNorm",
    "Identity",
    "InstanceNorm",
    "LabToRGB",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool",
    "Mean",
    "Mul",
    "NAFBlock",
    "PatchSample",
    "PixelFusion",
    "PixelShuffle",
    "PixelUnshuffle",
    "Pyramid",
    "RGBToLab",
    "ReLU",
    "Residual",
    "Resize",
    "ResizeTo",
    "SelfAttention",
    "SeparableConv",
    "SiLU",
    "Sigmoid",
    "Signed",
    "SimpleGate",
    "Sine",
    "Softmax",
    "SpatialAttention",
    "SpectralNorm",
    "Split",
    "SqueezeExcite",
    "SwinBlock",
    "Tanh",
    "TimeEmbedding",
    "TransposedAttention",
    "UpCat",
    "WaveletDown",
    "WaveletUp",
    "WindowAttention",
    "WindowedAttention",
    "block",
    "wrapper",
]
