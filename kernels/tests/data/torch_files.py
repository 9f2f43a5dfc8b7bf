"""Writes the PyTorch files beside this script (made with PyTorch 2.15): one small encoder as OpenAI saves it, as Hugging
Face does (with a transposed view and a bf16 tensor), and as a whole pickled module, which is no state dict.

Element i of a tensor whose name (OpenAI's, without "encoder.") has n letters is ((7 i + n) mod 13 - 6) / 16.
"""

from collections import OrderedDict
from math import prod

import torch

WIDTH, HEADS, FFN, MELS, POSITIONS = 8, 2, 16, 4, 4
BLOCK = "blocks.0."
HUGGING_FACE = {
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "mlp_ln": "final_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
}


def shapes():
    yield from [("conv1.weight", (WIDTH, MELS, 3)), ("conv1.bias", (WIDTH,))]
    yield from [("conv2.weight", (WIDTH, WIDTH, 3)), ("conv2.bias", (WIDTH,))]
    yield "positional_embedding", (POSITIONS, WIDTH)
    for part in ["query", "key", "value", "out"]:
        yield f"{BLOCK}attn.{part}.weight", (WIDTH, WIDTH)
        if part != "key":
            yield f"{BLOCK}attn.{part}.bias", (WIDTH,)
    for part in ["attn_ln", "mlp_ln"]:
        yield from [(f"{BLOCK}{part}.weight", (WIDTH,)), (f"{BLOCK}{part}.bias", (WIDTH,))]
    yield from [(f"{BLOCK}mlp.0.weight", (FFN, WIDTH)), (f"{BLOCK}mlp.0.bias", (FFN,))]
    yield from [(f"{BLOCK}mlp.2.weight", (WIDTH, FFN)), (f"{BLOCK}mlp.2.bias", (WIDTH,))]
    yield from [("ln_post.weight", (WIDTH,)), ("ln_post.bias", (WIDTH,))]


def tensor(name, shape):
    values = [((i * 7 + len(name)) % 13 - 6) / 16 for i in range(prod(shape))]
    return torch.tensor(values, dtype=torch.float16).reshape(shape)


def openai():
    state = OrderedDict((f"encoder.{name}", tensor(name, shape)) for name, shape in shapes())
    state["decoder.ln.weight"] = torch.ones(3)
    sizes = {"n_mels": MELS, "n_audio_ctx": POSITIONS, "n_audio_state": WIDTH, "n_audio_head": HEADS, "n_audio_layer": 1}
    return {"dims": sizes, "model_state_dict": state}


def put(module, path, value):
    first, *rest = path
    if not rest:
        module.register_parameter(first, torch.nn.Parameter(value))
        return
    if first not in module._modules:
        module.add_module(first, torch.nn.Module())
    put(module._modules[first], rest, value)


def hugging_face():
    root = torch.nn.Module()
    for name, shape in shapes():
        value = tensor(name, shape).float()
        if name == "conv1.bias":
            value = value.bfloat16()
        if name == f"{BLOCK}mlp.0.weight":
            value = value.t().contiguous().t()
        for theirs, ours in HUGGING_FACE.items():
            name = name.replace(f".{theirs}.", f".{ours}.")
        name = name.replace("positional_embedding", "embed_positions.weight").replace("ln_post", "layer_norm")
        put(root, ("model.encoder." + name.replace("blocks", "layers")).split("."), value)
    return root


torch.save(openai(), "openai.pt")
torch.save(hugging_face().state_dict(), "huggingface.bin")
torch.save(hugging_face(), "whole_module.pt")
