"""What a stranger may write into the files of a model or an adapter: values for keys, texts, and weights."""

import json
import os
import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NAN, HUGE, SLOW, LONG = float("nan"), 10**9, "(.*)*(.*)*X", 10**400


class Hostile:
    """Its pickle makes a file called `canary` where it is read without care."""

    def __reduce__(self):
        return os.system, ("touch canary",)


_ADAPTER = {
    "target_modules": [r"(.*)*\.q_projX", "(a+)+$", SLOW, "(", 5, None, [], [["q"]], "all-linear", {"a": 1}],
    "r": ["x", HUGE, LONG, 0, -1, None, 2.5, [1], True, NAN],
    "lora_alpha": ["x", NAN, 1e999, 1e30, None],
    "peft_type": [["LORA"], "NOPE", None, "IA3", "PROMPT_TUNING", "XLORA", {}],
    "modules_to_save": [["lm_head"], [""], "x", [1], {"?*": None}],
    "rank_pattern": [{SLOW: 4}, {"q_proj": HUGE}, {"q_proj": "x"}, [1]],
    "alpha_pattern": [{SLOW: 4}, {"(": 4}],
    "layers_to_transform": ["x", [HUGE]],
    "exclude_modules": [SLOW, 5],
    "bias": ["x", ["a"]],
    "use_dora": [True, "x"],
    "use_rslora": ["x"],
    "init_lora_weights": ["pissa", "nope", {"a": 1}, "eva"],
    "target_parameters": [["x"], 5],
    "trainable_token_indices": [[HUGE], "x"],
    "layer_replication": [[[0, 10**6]], "x"],
    "alora_invocation_tokens": [[1, 2], "x"],
    "task_type": ["SEQ_CLS", 5, "NOPE"],
    "lora_dropout": ["x", 5],
    "fan_in_fan_out": ["x"],
    "inference_mode": ["x"],
    "base_model_name_or_path": [5, None, "other/thing", "http://user:secret@127.0.0.1:9/y"],
    "revision": ["../../x"],
    "peft_version": [[1]],
    "nope": [1],
    "runtime_config": ["x"],
    "corda_config": ["x"],
    "use_qalora": [True],
    "arrow_config": ["x"],
    "lora_bias": [True, "x"],
}
_CONFIG = {
    "num_hidden_layers": [HUGE, 5000, "x", -1, 0],
    "vocab_size": [10**10, 10**7, "x", 0, LONG],
    "hidden_size": [10**6, 7, 0],
    "num_attention_heads": [0, 10**6],
    "num_key_value_heads": [10**6],
    "head_dim": [10**7],
    "intermediate_size": [10**10],
    "model_type": ["nope", 5, "bert", "t5", None, "clip"],
    "architectures": ["x", [5]],
    "auto_map": [{"AutoModelForCausalLM": "planted.X"}],
    "dtype": ["nope", "os.system", 5],
    "quantization_config": [
        {"quant_method": "gptq"},
        {"quant_method": "nope"},
        "x",
        {"quant_method": "bitsandbytes", "load_in_8bit": True},
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "aqlm"},
    ],
    "_attn_implementation": ["evil/kernel", "nope"],
    "hidden_act": ["nope", 5],
    "rope_scaling": ["x"],
    "rope_parameters": [{"rope_type": "nope"}],
    "rope_theta": ["x", 0],
    "rms_norm_eps": [NAN, "x"],
    "max_position_embeddings": [10**12, "x", 0],
    "pad_token_id": [HUGE, "x"],
    "eos_token_id": ["x"],
    "tie_word_embeddings": ["x"],
    "transformers_version": [[1]],
    "text_config": ["x", {"model_type": "llama"}],
    "initializer_range": ["x"],
    "attention_dropout": ["x"],
    "use_cache": ["x"],
    "is_encoder_decoder": [True],
    "pruned_heads": [{"0": [HUGE]}],
    "return_dict": [False],
    "distributed_config": ["x"],
    "base_model_tp_plan": [{"x": "y"}],
}
_GENERATION = {
    "eos_token_id": ["x", 10**12, -5, [1, "x", None], 1.5, {"a": 1}],
    "temperature": ["x", 0, NAN],
    "top_k": [-5],
    "top_p": ["x"],
    "max_length": [10**12],
    "max_new_tokens": ["x"],
    "custom_generate": ["evil/x"],
    "cache_implementation": ["nope"],
    "watermarking_config": ["x"],
    "num_beams": [HUGE],
    "bad_words_ids": ["x"],
    "stop_strings": [5],
    "compile_config": ["x"],
}
_TOKENIZER = {
    "tokenizer_class": ["Nope", 5, "BertTokenizer", "LlamaTokenizer"],
    "auto_map": [{"AutoTokenizer": ["planted.X", None]}, {"AutoTokenizer": "x"}],
    "eos_token": [5, None, "<never seen>", {"content": 5}],
    "pad_token": [[1]],
    "chat_template": [5, ["x"], {"default": "x"}, [{"name": "default"}]],
    "model_max_length": ["x", 0, -5],
    "added_tokens_decoder": [{"x": 5}, {"1000000000000": {"content": "zz", "special": True}}],
    "extra_special_tokens": ["x"],
    "padding_side": ["nope"],
    "clean_up_tokenization_spaces": ["x"],
    "add_bos_token": ["x"],
    "processor_class": ["Nope"],
    "use_fast": [False],
    "backend": ["planted", "mistral-common"],
    "name_or_path": [5],
    "response_template": [SLOW],
}
_RULES = {
    "normalizer": [
        {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": "("}, "content": ""},
        {
            "type": "Sequence",
            "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}] * 12,
        },
    ],
    "model": [None],
    "post_processor": [{"type": "Nope"}],
    "truncation": [{"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}],
    "padding": [
        {"strategy": {"Fixed": 10**8}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "x"},
    ],
}
_TEXTS = [
    b"[" * 5000,
    b'{"a":' * 5000,
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"\0" * 1000,
    b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"r":1,"r":2}',
    b'{"a": NaN}',
    b'{"a": 4,',
    b'{"a": "' + b"x" * 50_000_000 + b'"}',
]
_INDEX = [b'{"weight_map":{"a":"../../../../etc/passwd"}}', b"[]", b'{"weight_map":5}', b'{"a":' * 5000,
          b'{"weight_map":{"a":"gone.safetensors"}}', b'{"weight_map":{"a":"x.bin"}}',
          b'{"weight_map":{"a":"/dev/zero"}}']  # fmt: skip
_BYTES = {
    "cut": lambda data: data[: len(data) // 2],
    "its head cut": lambda data: data[:20],
    "empty": lambda data: b"",
    "random": lambda data: bytes(range(256)) * 20,
    "a pickle": lambda data: pickle.dumps(Hostile()),
    "a long head": lambda data: (2**60).to_bytes(8, "little") + b"{}",
}
_TENSORS = {
    "of another shape": lambda number, value: torch.zeros(3, 5),
    "the first half": lambda number, value: value if number < 8 else None,
    "turned": lambda number, value: value.T.contiguous(),
    "integers": lambda number, value: value.to(torch.int64),
    "bits": lambda number, value: value.bool(),
    "8 bits": lambda number, value: value.to(torch.float8_e4m3fn),
    "NaN": lambda number, value: value * NAN,
    "infinity": lambda number, value: value + float("inf"),
    "nothing": lambda number, value: value * 0,
    "large": lambda number, value: value * 1e30,
}


def _changes(file, values):
    return [(file, "value", (name, value)) for name, options in values.items() for value in options]


def _contents(file, texts):
    return [(file, "text", text) for text in texts]


def _weights(file):
    return [(file, "bytes", name) for name in _BYTES] + [(file, "tensors", name) for name in _TENSORS]


ADAPTERS = [
    *_changes("adapter_config.json", _ADAPTER),
    *_contents("adapter_config.json", _TEXTS),
    *_weights("adapter_model.safetensors"),
]
MODELS = [
    *_changes("config.json", _CONFIG),
    *_changes("generation_config.json", _GENERATION),
    *_changes("tokenizer_config.json", _TOKENIZER),
    *_changes("tokenizer.json", _RULES),
    *_contents("model.safetensors.index.json", _INDEX),
    *(case for file in ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
      for case in _contents(file, _TEXTS[:-1])),
    *_weights("model.safetensors"),
]  # fmt: skip
"""The attacks: the file, the kind of change, and what it is changed to."""


def attack(folder: Path, file: str, kind: str, content) -> None:
    """Change a file in a folder of a model or an adapter, which is this test's own."""
    path = folder / file
    before = path.read_bytes() if path.exists() else b"{}"
    if kind == "value":
        name, value = content
        path.write_text(json.dumps({**json.loads(before), name: value}))
    elif kind == "text":
        path.write_bytes(content)
    elif kind == "bytes":
        path.unlink()
        path.write_bytes(_BYTES[content](before))
    else:
        changed = {}
        for number, (name, value) in enumerate(load_file(path).items()):
            if (new := _TENSORS[content](number, value)) is not None:
                changed[name] = new.contiguous()
        path.unlink()
        save_file(changed, path, metadata={"format": "pt"})
    if file.endswith(".index.json"):
        (folder / "model.safetensors").rename(folder / "part.safetensors")


def name_of(case) -> str:
    """A short name for a test case."""
    file, kind, content = case
    return f"{file}-{kind}-{content!r}"[:80]
