"""Pairs, flows and samplers: starts of generative models."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import ROWS, SEQUENCE, plain
from model_pieces import WIDTH, Draws, dense, rms_norm, sinusoids, unit, zeros
from sound_science import mlp, mlp_params

NOISE = np.random.default_rng(90).normal(size=(16, 4)).astype(np.float32)


def _leaky(x):
    return jax.nn.leaky_relu(x, 0.2)


def _gan(params, batch):
    """What the discriminator says of what the generator makes, and of data."""
    made = jnp.tanh(mlp(params["generator"], batch["z"], jax.nn.relu))
    return mlp(params["discriminator"], made, _leaky), mlp(
        params["discriminator"], batch["x"], _leaky
    )


def _gan_params():
    draw = Draws(91)
    return {
        "generator": mlp_params(draw, 4, 32, 32, 8, gain=2.0),
        "discriminator": mlp_params(draw, 8, 32, 32, 1, gain=2.0),
    }


def _gan_loss(outputs):
    fake, real = outputs
    return jnp.mean(jax.nn.softplus(fake)) + jnp.mean(jax.nn.softplus(-real))


def _dcgan(params, z):
    """Transposed convolutions, batch norms whose scales are drawn from N(1, 0.02)."""
    h = (z @ params["in"]).reshape(-1, 2, 2, WIDTH)
    for layer in params["up"]:
        h = jax.lax.conv_transpose(h, layer["w"], (2, 2), "SAME")
        centred = h - h.mean((0, 1, 2))
        h = centred * jax.lax.rsqrt((centred**2).mean((0, 1, 2)) + 1e-5)
        h = jax.nn.relu(h * layer["scale"] + layer["bias"])
    return jnp.tanh(jax.lax.conv_transpose(h, params["out"], (1, 1), "SAME"))


def _dcgan_params():
    """Radford et al. 2015: std 0.02 with hundreds of channels."""
    draw = Draws(92)
    std = 0.02 * (512 / WIDTH) ** 0.5
    layer = lambda i, o: {  # noqa: E731
        "w": draw(4, 4, i, o, std=std),
        "scale": 1 + draw(1, o, std=0.02)[0],
        "bias": zeros(o),
    }
    return {
        "in": draw(4, 4 * WIDTH, std=std),
        "up": [layer(WIDTH, WIDTH), layer(WIDTH, 8)],
        "out": draw(3, 3, 8, 3, std=std),
    }


def _vae(params, batch):
    """An encoder's mean and log variance, one sample of them, a decoder."""
    h = jax.nn.relu(dense(params["in"], batch["x"]))
    mean, log_variance = jnp.split(dense(params["latent"], h), 2, -1)
    z = mean + jnp.exp(log_variance / 2) * batch["z"]
    return mlp(params["decoder"], z, jax.nn.relu), mean, log_variance


def _vae_params():
    draw = Draws(93)
    return {
        "in": draw.dense(8, 32),
        "latent": draw.dense(32, 8),
        "decoder": mlp_params(draw, 4, 32, 8),
    }


def _vae_loss(outputs):
    x, mean, log_variance = outputs
    divergence = jnp.exp(log_variance) + mean**2 - 1 - log_variance
    return jnp.mean((x - ROWS) ** 2) + 0.1 * jnp.mean(divergence)


def _couplings(params, x):
    """Affine couplings that start as the identity, from last layers of zeros (Dinh et al. 2016)."""
    total = 0.0
    for n, net in enumerate(params):
        kept, moved = jnp.split(x[:, ::-1] if n % 2 else x, 2, -1)
        scale, shift = jnp.split(mlp(net, kept), 2, -1)
        scale = jnp.tanh(scale)
        x = jnp.concatenate([kept, moved * jnp.exp(scale) + shift], -1)
        total = total + scale.sum(-1)
    return x, total


def _couplings_params():
    draw = Draws(94)
    nets = [mlp_params(draw, 4, 32, 8) for _ in range(3)]
    return [[*net[:-1], {"w": zeros(32, 8), "b": zeros(8)}] for net in nets]


def _likelihood(outputs):
    z, logarithm = outputs
    return jnp.mean((z**2).sum(-1) / 2 - logarithm)


def _glow(params, x):
    """A scale and shift of each feature, a rotation, a coupling (Kingma and Dhariwal 2018)."""
    for layer in params:
        x = (x + layer["shift"]) * jnp.exp(layer["log_scale"])
        x = x @ layer["rotation"]
        kept, moved = jnp.split(x, 2, -1)
        scale, shift = jnp.split(mlp(layer["net"], kept, jax.nn.relu), 2, -1)
        moved = (moved + shift) * jax.nn.sigmoid(scale + 2.0)
        x = jnp.concatenate([kept, moved], -1)
    return x


def _glow_params():
    draw = Draws(95)
    nets = [mlp_params(draw, 4, 32, 8) for _ in range(2)]
    return [
        {
            "shift": zeros(8),
            "log_scale": zeros(8),
            "rotation": draw.orthogonal(8, 8),
            "net": [*net[:-1], {"w": zeros(32, 8), "b": zeros(8)}],
        }
        for net in nets
    ]


def _made(params, x):
    """Masks that let an output see earlier inputs alone (Germain et al. 2015)."""
    degrees = [jnp.arange(8), jnp.arange(32) % 7, jnp.arange(8)]
    first = (degrees[1][None] >= degrees[0][:, None]).astype(x.dtype)
    last = (degrees[2][None] > degrees[1][:, None]).astype(x.dtype)
    h = jnp.tanh(x @ (params["w1"] * first) + params["b1"])
    return h @ (params["w2"] * last) + params["b2"]


def _made_params():
    draw = Draws(96)
    return {"w1": draw(8, 32), "b1": zeros(32), "w2": draw(32, 8), "b2": zeros(8)}


def _denoiser(params, batch):
    """A residual net of x and t, conditioned by a shift and a scale, whose last layer is zero."""
    t = jax.nn.silu(dense(params["time"], sinusoids(batch["t"])))
    h = dense(params["in"], batch["x"])
    for layer in params["blocks"]:
        shift, scale = jnp.split(dense(layer["t"], t), 2, -1)
        inside = rms_norm(h) * (1 + scale) + shift
        h = h + dense(layer["down"], jax.nn.silu(dense(layer["up"], inside)))
    return dense(params["out"], rms_norm(h))


def _denoiser_params():
    draw = Draws(97)
    return {
        "time": draw.dense(WIDTH, WIDTH),
        "in": draw.dense(8, WIDTH),
        "blocks": [
            {
                "t": draw.dense(WIDTH, 2 * WIDTH),
                "up": draw.dense(WIDTH, 32),
                "down": draw.dense(32, WIDTH),
            }
            for _ in range(2)
        ],
        "out": {"w": zeros(WIDTH, 8), "b": zeros(8)},
    }


def _quantized(params, x):
    """The nearest entry of a codebook, straight through (van den Oord et al. 2017)."""
    z = mlp(params["encoder"], x, jax.nn.relu)
    distance = ((z[:, None] - params["codes"]) ** 2).sum(-1)
    code = params["codes"][distance.argmin(-1)]
    h = z + jax.lax.stop_gradient(code - z)
    commitment = ((z - jax.lax.stop_gradient(code)) ** 2).mean()
    codebook = ((jax.lax.stop_gradient(z) - code) ** 2).mean()
    return mlp(params["decoder"], h, jax.nn.relu), commitment[None], codebook[None]


def _quantized_params():
    draw = Draws(98)
    return {
        "encoder": mlp_params(draw, 8, 32, 4),
        "codes": draw.uniform(8, 4, bound=1.0),
        "decoder": mlp_params(draw, 4, 32, 8),
    }


def _quantized_loss(outputs):
    x, commitment, codebook = outputs
    return jnp.mean((x - ROWS) ** 2) + 0.25 * commitment.sum() + codebook.sum()


def _tied(params, x):
    """An autoencoder whose decoder is the encoder transposed."""
    h = jnp.tanh(x @ params["a"] + params["ab"])
    h = jnp.tanh(h @ params["b"] + params["bb"])
    return jnp.tanh(h @ params["b"].T + params["cb"]) @ params["a"].T + params["db"]


def _tied_params():
    draw = Draws(99)
    return {
        "a": draw(8, 32), "ab": zeros(32), "b": draw(32, 32), "bb": zeros(32),
        "cb": zeros(32), "db": zeros(8),
    }  # fmt: skip


def _critic(params, x):
    """Spectral norms by a few steps of the power method, and the gradient's norm at the inputs."""

    def score(x):
        h = x
        for w in params:
            u = jnp.ones(w.shape[1])
            for _ in range(3):
                v = unit(w @ u)
                u = unit(v @ w)
            w = w / jax.lax.stop_gradient(v @ w @ u)
            h = _leaky(h @ w) if w.shape[1] > 1 else h @ w
        return h[0]

    values, slopes = jax.vmap(jax.value_and_grad(score))(x)
    return values, jnp.sqrt((slopes**2).sum(-1) + 1e-12)


def _critic_params():
    draw = Draws(88)
    return [draw(8, 32), draw(32, 32), draw(32, 1)]


def _hyper(params, batch):
    """A net whose weights another net makes, of variance 1 / fan_in (Chang et al. 2020)."""
    h = jax.nn.relu(dense(params["in"], batch["z"]))
    w1 = dense(params["w1"], h).reshape(-1, 8, WIDTH)
    w2 = dense(params["w2"], h).reshape(-1, WIDTH, 3)
    hidden = jnp.tanh(jnp.einsum("bi,bio->bo", batch["x"], w1))
    return jnp.einsum("bi,bio->bo", hidden, w2)


def _hyper_params():
    draw = Draws(89)
    return {
        "in": draw.dense(4, 32, 0.5 * 2**0.5),
        "w1": draw.dense(32, 8 * WIDTH, (32 * 8) ** -0.5),
        "w2": draw.dense(32, 3 * WIDTH, (32 * WIDTH) ** -0.5),
    }


def _wavenet(params, x):
    """Gated, dilated, causal convolutions with residual and skip sums."""
    h, total = x @ params["in"], 0.0
    for n, layer in enumerate(params["blocks"]):
        past = jnp.pad(h, ((0, 0), (2**n, 0), (0, 0)))[:, : h.shape[1]]
        filters, gates = jnp.split(past @ layer["past"] + h @ layer["now"], 2, -1)
        z = jnp.tanh(filters) * jax.nn.sigmoid(gates)
        h, total = h + z @ layer["out"], total + z @ layer["skip"]
    return dense(params["end"], jax.nn.relu(total)[:, -1])


def _wavenet_params():
    draw = Draws(62)
    return {
        "in": draw(WIDTH, WIDTH),
        "blocks": [
            {
                "past": draw(WIDTH, 2 * WIDTH, std=(2 * WIDTH) ** -0.5),
                "now": draw(WIDTH, 2 * WIDTH, std=(2 * WIDTH) ** -0.5),
                "out": draw(WIDTH, WIDTH),
                "skip": draw(WIDTH, WIDTH),
            }
            for _ in range(3)
        ],
        "end": draw.dense(WIDTH, 3),
    }


_BATCH = {"x": ROWS, "z": NOISE, "t": np.linspace(0, 9, 16).astype(np.float32)}

SOUND_GENERATIVE = {
    "GAN": (plain(_gan, _gan_params, _BATCH), _gan_loss, ()),
    "DCGAN": (plain(_dcgan, _dcgan_params, NOISE), None, ()),
    "VAE": (plain(_vae, _vae_params, _BATCH), _vae_loss, ()),
    "RealNVP": (plain(_couplings, _couplings_params), _likelihood, ()),
    "Glow": (plain(_glow, _glow_params), None, ()),
    "MADE": (plain(_made, _made_params), None, ()),
    "denoiser": (plain(_denoiser, _denoiser_params, _BATCH), None, ()),
    "VQ-VAE": (plain(_quantized, _quantized_params), _quantized_loss, ()),
    "tied autoencoder": (plain(_tied, _tied_params), None, ()),
    "spectral norm": (plain(_critic, _critic_params), None, ()),
    "hypernetwork": (plain(_hyper, _hyper_params, _BATCH), None, ()),
    # Nothing reads what the last block adds to the stream, as published.
    "WaveNet": (plain(_wavenet, _wavenet_params, SEQUENCE), None, ("unused_parameter",)),
}
