"""Faults planted into published starts: every code, at many places of many kinds of nets."""

import numpy as np
from faults_parts import (
    all_copied,
    constant,
    copied,
    drawn_as,
    one_entry,
    planted,
    times,
    zero,
)
from sound_adapters import SOUND_ADAPTERS
from sound_control import SOUND_CONTROL
from sound_generative import SOUND_GENERATIVE
from sound_language import SOUND_LANGUAGE
from sound_layers import SOUND_LAYERS
from sound_science import SOUND_SCIENCE
from sound_time import SOUND_TIME
from sound_vision import SOUND_VISION

GRU, RNN = SOUND_TIME["GRU, orthogonal"], SOUND_TIME["identity RNN"]
S4D = SOUND_TIME["S4D"]
GCN, SETS = SOUND_SCIENCE["GCN"], SOUND_SCIENCE["DeepSets"]
PINN, ODE = SOUND_SCIENCE["PINN"], SOUND_SCIENCE["neural ODE"]
DEEPONET, KAN = SOUND_SCIENCE["DeepONet"], SOUND_SCIENCE["Kolmogorov-Arnold"]
GAN, VAE = SOUND_GENERATIVE["GAN"], SOUND_GENERATIVE["VAE"]
TIED, MADE = SOUND_GENERATIVE["tied autoencoder"], SOUND_GENERATIVE["MADE"]
CODES, DCGAN = SOUND_GENERATIVE["VQ-VAE"], SOUND_GENERATIVE["DCGAN"]
LORA = SOUND_ADAPTERS["LoRA alone"]
REZERO, MOE = SOUND_ADAPTERS["ReZero"], SOUND_ADAPTERS["experts, two of four"]
GPT = SOUND_LANGUAGE["GPT-2, scanned"]
PPO, DUELING = SOUND_CONTROL["PPO, one trunk"], SOUND_CONTROL["dueling"]
CRITICS = SOUND_CONTROL["critics by vmap"]
RESNET = SOUND_VISION["ResNet, zero gamma"]
GENERAL = SOUND_LAYERS["linen: DenseGeneral, WeightNorm"]
NNX = SOUND_LAYERS["nnx: BatchNorm, Dropout"]

FAULTS_SOUND = {
    "a field of zeros in a neural ODE": planted(
        "symmetric_units", "field", "fail", ODE,
        {f"field/{n}/{name}": zero for n in (0, 1) for name in "wb"},
    ),
    "a PINN of one number": planted(
        "symmetric_units", "1", "fail", PINN,
        {f"{n}/w": constant(0.3) for n in range(3)},
    ),
    "a net widened by copies": planted(
        "symmetric_units", "1", "fail", PINN, {"1/w": copied(1), "2/w": copied(0)},
    ),
    "hidden units of a GRU that are all one": planted(
        "symmetric_units", "b", "fail", GRU,
        {name: all_copied(axis) for name, axis in (("xg", 1), ("bg", 0), ("x", 1), ("b", 0))}
        | {"hg": zero, "h": zero, "out/w": all_copied(0)},
    ),
    "a graph's last layers of one number": planted(
        "symmetric_units", "1", "fail", GCN, {"1/w": constant(0.1), "2/w": constant(0.1)},
    ),
    "a discriminator of zeros": planted(
        "symmetric_units", "discriminator", "fail", GAN,
        {f"discriminator/{n}/w": zero for n in range(3)},
    ),
    "a channel copied in a DCGAN": planted(
        "symmetric_units", "out", "fail", DCGAN,
        {"up/1/w": copied(3), "up/1/scale": copied(0), "out": copied(2)},
    ),
    "actor and critic heads of one draw": planted(
        "duplicate_tensors", "advantage/w, value/w", "warn", DUELING,
        {"value/w": drawn_as(DUELING, "advantage/w")},
    ),
    "generator and discriminator of one key": planted(
        "duplicate_tensors", "discriminator/1/w, generator/1/w", "warn", GAN,
        {"generator/1/w": drawn_as(GAN, "discriminator/1/w")},
    ),
    "a negated draw of another scale": planted(
        "duplicate_tensors", "branch/1/w, trunk/1/w", "warn", DEEPONET,
        {"trunk/1/w": drawn_as(DEEPONET, "branch/1/w", -0.5)},
    ),
    "queries of one block drawn as the next block's": planted(
        "duplicate_tensors", "blocks/up/w[0], blocks/up/w[1]", "warn", GPT,
        {"blocks/up/w": all_copied(0)},
    ),
    "a gate drawn with its state's key": planted(
        "duplicate_tensors", "x, xg", "warn", GRU, {"xg": drawn_as(GRU, "x")},
    ),
    "a kernel of one number": planted(
        "constant_tensor", "blocks/0/a", "warn", RESNET, {"blocks/0/a": constant(0.05)},
    ),
    "a table of one number": planted(
        "constant_tensor", "codes", "warn", CODES, {"codes": constant(0.5)},
    ),
    "a generator's first layer of one number": planted(
        "constant_tensor", "generator/0/w", "warn", GAN, {"generator/0/w": constant(0.2)},
    ),
    "a router of one number": planted(
        "constant_tensor", "blocks/1/router", "warn", MOE, {"blocks/1/router": constant(0.1)},
    ),
    "dead relus in a set's second net": planted(
        "dead_units", "rho/0/w", "fail", SETS, {"rho/0/b": constant(-30.0)},
    ),
    "dead relus behind nonnegative inputs": planted(
        "dead_units", "decoder/0/w", "fail", CODES, {"decoder/0/b": constant(-40.0)},
    ),
    "dead relus in a trunk": planted(
        "dead_units", "b/w", "fail", DUELING, {"b/w": lambda leaf: -abs(leaf)},
    ),
    "dead relus in nnx": planted(
        "dead_units", "hidden", "fail", NNX, {"hidden/bias/value": constant(-25.0)},
    ),
    "dead relus in DenseGeneral": planted(
        "dead_units", "DenseGeneral_1", "fail", GENERAL,
        {"DenseGeneral_1/bias": constant(-15.0)},
    ),
    "a tied encoder times 60": planted("saturated", "b", "fail", TIED, {"b": times(60)}),
    "a policy's trunk times 80": planted("saturated", "a/w", "fail", PPO, {"a/w": times(80)}),
    "a masked layer times 100": planted("saturated", "w1", "fail", MADE, {"w1": times(100)}),
    "a GRU's gates times 200": planted("saturated", "xg", "fail", GRU, {"xg": times(200)}),
    "one layer of a relu net times 1e-4": planted(
        "vanishing_signal", "phi/1/w", "fail", SETS, {"phi/1/w": times(1e-4)},
    ),
    "a weight of zero before a code": planted(
        "rank_collapse", "encoder/1/w", "fail", CODES, {"encoder/1/w": zero},
    ),
    "a graph's weights over 1000": planted(
        "vanishing_signal", "1/w", "fail", GCN, {"0/w": times(0.03), "1/w": times(0.03)},
    ),
    "a state's input over 1e5": planted(
        "vanishing_signal", "x", "fail", RNN, {"x": times(1e-5)},
    ),
    "one layer of a relu net times 1e4": planted(
        "exploding_signal", "phi/1/w", "fail", SETS, {"phi/1/w": times(1e4)},
    ),
    "an identity inside times 4": planted(
        "exploding_signal", "h", "fail", RNN, {"h": times(4.0), "x": times(40.0)},
    ),
    "critics of 30 times the width": planted(
        "exploding_signal", "1/w", "fail", CRITICS, {"0/w": times(30), "1/w": times(30)},
    ),
    "a bias that drowns the data": planted(
        "rank_collapse", "in/w", "fail", REZERO, {"in/b": constant(3e4)},
    ),
    "a trunk that hardly looks": planted(
        "rank_collapse", "a/w", "fail", PPO, {"a/w": times(1e-4), "a/b": constant(0.5)},
    ),
    "a last bias that a field cannot overcome": planted(
        "rank_collapse", "in/w", "fail", ODE, {"in/b": constant(5e3)},
    ),
    "an inner layer over 1e5": planted(
        "vanishing_gradient", "b/w", "fail", PPO, {"b/w": times(1e-4)},
    ),
    "a NaN in one expert": planted(
        "non_finite", "blocks/0/down", "fail", MOE, {"blocks/0/down": one_entry(np.nan)},
    ),
    "infinity in a learned scale": planted(
        "non_finite", "blocks/1/d", "fail", S4D, {"blocks/1/d": one_entry(np.inf)},
    ),
    "a log variance that overflows": planted(
        "non_finite", "", "fail", VAE, {"latent/b": constant(400.0)},
    ),
    "a NaN in a pair of low rank": planted(
        "non_finite", "pairs/1/down/b", "fail", LORA, {"pairs/1/down/b": one_entry(np.nan)},
    ),
    "both of a pair of low rank zero": planted(
        "unused_parameter", "pairs/0/up/a", "fail", LORA, {"pairs/0/up/a": zero},
    ),
    "a gate of zero before zeros, twice": planted(
        "unused_parameter", "blocks/1/up/w", "fail", REZERO, {"blocks/1/down/w": zero},
    ),
    "a bump's grid that no input reaches": planted(
        "unused_parameter", "1/bumps", "fail", KAN, {"0/w": times(1e6), "0/bumps": times(1e6)},
    ),
    "logits of 40": planted("confident_start", "output", "fail", GPT, {"norm/scale": times(400)}),
    "experts whose readout is 30 times too large": planted(
        "confident_start", "output", "fail", MOE, {"out/w": times(30)},
    ),
    "a confident readout of a low rank net": planted(
        "confident_start", "output", "warn", REZERO, {"out/w": times(3)},
    ),
    "a trunk in no balance": planted(
        "unbalanced_updates", "rho/0/w", "warn", SETS,
        {"rho/0/w": times(10), "rho/1/w": times(0.1)},
    ),
}  # fmt: skip
