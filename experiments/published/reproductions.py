"""The twelve results: what is published, where, and the settings in which it is measured."""

from experiments.published.claims import Claim, Reproduction
from experiments.published.recipes import deep, dynamics, scaling, starts

__all__ = ["REPRODUCTIONS"]


def _slopes(case: str, slopes: tuple[float, float, float], tolerance: float) -> tuple[Claim, ...]:
    return tuple(
        Claim(f"{case}, layer_{layer}", slope, tolerance)
        for layer, slope in enumerate(slopes, start=1)
    )


REPRODUCTIONS = {
    "glorot_jacobians": Reproduction(
        starts.glorot_jacobians,
        "Glorot and Bengio 2010 (AISTATS), section 4.2: about 0.8 against 0.5 of tanh layers; "
        "of linear ones the quarter circle law, 8 / (3 pi) and that over sqrt 3",
        (
            Claim("linear, Glorot", 0.8488, 0.01),
            Claim("linear, old", 0.4901, 0.01),
            Claim("tanh, Glorot", 0.8, 0.05),
            Claim("tanh, old", 0.5, 0.05),
        ),
        {"width": 600, "names": ("linear", "tanh")},
        4,
        {"width": 8, "names": ("tanh",)},
    ),
    "he_arithmetic": Reproduction(
        deep.he_arithmetic,
        "He et al. 2015, arXiv:1502.01852, section 2.2: Xavier's start keeps 1 / sqrt 2 of the "
        "standard deviation in a relu layer, theirs all of it; figure 3: 30 layers stall, or train",
        (
            Claim("Xavier: std kept by a layer", 0.7071, 0.01),
            Claim("He: std kept by a layer", 1.0, 0.01),
            Claim("Xavier: accuracy", 0.2, sense="below"),
            Claim("He: accuracy", 0.8, sense="above"),
        ),
        {"width": 512, "depth": 30, "steps": 800},
        8,
        {"width": 8, "depth": 2, "steps": 1},
    ),
    "isometry": Reproduction(
        starts.isometry,
        "Pennington, Schoenholz and Ganguli 2017, arXiv:1711.04735: variance / mean^2 of squared "
        "singular values is L of orthogonal relu layers, 2 L of Gaussian ones; orthogonal tanh "
        "layers at sigma_w2 = 1 are near isometry, Gaussian ones have L",
        (
            Claim("relu, orthogonal", 1.0, 0.1),
            Claim("relu, Gaussian", 2.0, 0.2),
            Claim("tanh, orthogonal", 0.1, sense="below"),
            Claim("tanh, Gaussian", 1.0, 0.1),
        ),
        {
            "width": 300,
            "depth": 8,
            "names": ("relu, orthogonal", "relu, Gaussian", "tanh, orthogonal", "tanh, Gaussian"),
        },
        8,
        {"width": 8, "depth": 2, "names": ("relu, orthogonal",)},
    ),
    "depth_maps": Reproduction(
        deep.depth_maps,
        "Schoenholz et al. 2017, arXiv:1611.01232, figure 5: tanh networks train to a depth that "
        "follows theory's xi_c and stays below 6 xi_c",
        (
            Claim("largest depth / xi_c", 6.0, sense="below"),
            Claim("power of xi_c", 0.5, sense="above"),
        ),
        {
            "width": 64,
            "sigma_w2": (0.8, 1.1, 1.4, 3.0, 4.0),
            "depths": (4, 8, 12, 16, 24, 32, 48, 64),
            "steps": 300,
        },
        4,
        {"width": 4, "sigma_w2": (0.8, 4.0), "depths": (2,), "steps": 1},
    ),
    "condensation": Reproduction(
        dynamics.condensation,
        "Luo et al. 2021, arXiv:2007.07497, and Zhou et al. 2022, arXiv:2105.11686: from small "
        "starts the units of a layer turn one way, and stay at the loss of one unit (0.0267); from "
        "ordinary starts 100 of them keep 28 to 34 directions, units within 2.6 degrees as one",
        (
            Claim("m^-2: orientations", 1.0, 0.1),
            Claim("m^-2: loss", 0.0267, 0.0001),
            Claim("m^-1/2: orientations", 31.0, 3.0),
        ),
        {"width": 100, "steps": 1000},
        16,
        {"width": 8, "steps": 10},
    ),
    "lazy_training": Reproduction(
        dynamics.lazy_training,
        "Chizat, Oyallon and Bach 2019, arXiv:1812.07956, theorem 2.2: movement ~ 1 / alpha, the "
        "output's scale, at a rate over alpha^2",
        (Claim("exponent of alpha", -1.0, 0.02),),
        {"width": 32, "steps": 200},
        16,
        {"width": 4, "steps": 10},
    ),
    "conservation": Reproduction(
        dynamics.conservation,
        "Du, Hu and Lee 2018, arXiv:1806.00900; Kunin et al. 2021, arXiv:2012.04728: |w|^2 + b^2 - "
        "|v|^2 of a relu unit drifts as the rate in one physical time",
        (Claim("drift at twice the rate", 2.0, 0.05),),
        {"width": 16, "steps": 800},
        16,
        {"width": 4, "steps": 10},
    ),
    "fractal": Reproduction(
        scaling.fractal,
        "Sohl-Dickstein 2024, arXiv:2402.06184, with the settings of its notebook: share of pairs "
        "of learning rates in 10^[-3, 6] at which training converges",
        (
            Claim("tanh", 0.4917, 0.03),
            Claim("relu", 0.2925, 0.03),
            Claim("identity", 0.2532, 0.03),
        ),
        {"pixels": 64, "names": ("tanh", "relu", "identity")},
        8,
        {"pixels": 3, "names": ("identity",)},
    ),
    "lsuv": Reproduction(
        deep.lsuv,
        "Mishkin and Matas 2016, arXiv:1511.06422: deep networks that do not train from N(0, "
        ".01^2) do from unit variance layer by layer (here of that start's own directions)",
        (
            Claim("relu, N(0, .01^2)", 0.2, sense="below"),
            Claim("relu, LSUV", 0.95, sense="above"),
            Claim("tanh, N(0, .01^2)", 0.2, sense="below"),
            Claim("tanh, LSUV", 0.95, sense="above"),
        ),
        {"width": 64, "depth": 20, "steps": 2000, "names": ("relu", "tanh")},
        4,
        {"width": 8, "depth": 2, "steps": 1, "names": ("tanh",)},
    ),
    "dying_relu": Reproduction(
        starts.dying_relu,
        "Lu et al. 2019, arXiv:1903.06733: P(a layer is dead) = 1 - (1 - 2^-N)^L on one input",
        (
            Claim("N = 2, L = 10", 0.9437, 0.01),
            Claim("N = 3, L = 10", 0.7369, 0.01),
            Claim("N = 4, L = 10", 0.4755, 0.01),
            Claim("N = 5, L = 50", 0.7956, 0.01),
        ),
        {"shapes": ((2, 10), (3, 10), (4, 10), (5, 50))},
        40_000,
        {"shapes": ((2, 10),)},
    ),
    "escape_times": Reproduction(
        dynamics.escape_times,
        "Rawal and DeWeese 2026, arXiv:2605.01288: the time to leave a permutation-symmetric start "
        "~ epsilon^-(r - 2) of r layers of size epsilon, logarithmic of two",
        (
            Claim("r = 2", 0.0, 0.12),
            Claim("r = 3", -1.0, 0.12),
            Claim("r = 4", -2.0, 0.12),
        ),
        {
            "epsilons": {
                "2": (4e-6, 2e-6, 1e-6),
                "3": (4e-3, 2e-3, 1e-3),
                "4": (0.08, 0.04, 0.02),
            },
            "steps": 50_000,
        },
        8,
        {"epsilons": {"2": (0.02, 0.01)}, "steps": 1000},
    ),
    "mup": Reproduction(
        scaling.mup,
        "Yang et al. 2022, arXiv:2203.03466, appendix D.1: powers of the width in the "
        "first step's change of two hidden relu layers and the output, for small steps",
        (
            *_slopes("standard sgd", (-0.5, 0.5, 1.0), 0.15),
            *_slopes("standard adam", (0.0, 1.0, 1.5), 0.15),
            *_slopes("mup adam", (0.0, 0.0, 0.0), 0.06),
        ),
        {
            "widths": (128, 512, 2048),
            "cases": (("standard", "sgd"), ("standard", "adam"), ("mup", "adam")),
        },
        8,
        {"widths": (4, 8), "cases": (("mup", "adam"),)},
    ),
}
"""By name, in the order of the guide."""
