"""Stands in for vLLM's server: the same options and answers, by transformers and peft on the CPU.

Run as a script; `pretending_python` makes a program that runs it as `python -m vllm...` would run vLLM.
"""

import argparse
import json
import sys
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def pretending_python(folder: Path) -> Path:
    """A program that says it has vLLM, and writes down the words with which that was started."""
    program = folder / "python"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exit 0; fi\necho "$@" > {folder}/words\nshift 2\n'
        f'exec {sys.executable} {__file__} "$@"\n'
    )
    program.chmod(0o755)
    return program


def main() -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser()
    for option in ("--model", "--served-model-name", "--dtype", "--generation-config", "--max-lora-rank", "--host",
                   "--port", "--chat-template", "--max-loras", "--gpu-memory-utilization"):  # fmt: skip
        parser.add_argument(option)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-modules", nargs="+", default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=args.dtype).eval()
    for module in args.lora_modules:
        name, path = module.split("=", 1)
        if isinstance(model, PeftModel):
            model.load_adapter(path, name.replace(".", "_"))
        else:
            model = PeftModel.from_pretrained(model, path, name.replace(".", "_")).eval()

    def logits(name: str, ids: list[int]) -> torch.Tensor:
        batch = torch.tensor([ids])
        with torch.inference_mode():
            if name == args.served_model_name and isinstance(model, PeftModel):
                with model.disable_adapter():
                    return model(input_ids=batch).logits[0].float()
            if isinstance(model, PeftModel):
                model.set_adapter(name.replace(".", "_"))
            return model(input_ids=batch).logits[0].float()

    def write(name: str, ids: list[int], longest: int, stops: list[int]) -> list[int]:
        said: list[int] = []
        while len(said) < longest and not (said and said[-1] in stops):
            said.append(int(logits(name, [*ids, *said])[-1].argmax()))
        return said

    def rendered(body: dict) -> list[int]:
        text = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, tokenize=False)
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def complete(body: dict) -> dict:
        ids = body["prompt"]
        choice: dict = {"token_ids": write(body["model"], ids, body["max_tokens"], body["stop_token_ids"])}
        if "prompt_logprobs" in body:
            known = torch.log_softmax(logits(body["model"], ids), -1)
            pairs = [(known[at], token) for at, token in enumerate(ids[1:])]
            choice["prompt_logprobs"] = [None, *({str(t): {"logprob": float(row[t])}} for row, t in pairs)]
        return {"choices": [choice]}

    def chat(body: dict) -> dict:
        ids = rendered(body)
        stops = [] if body.get("ignore_eos") else [tokenizer.eos_token_id]
        said = write(body["model"], ids, body.get("max_tokens", 8), stops)
        text = tokenizer.decode(said, skip_special_tokens=True)
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(said)}
        return {"choices": [{"message": {"content": text}}], "usage": usage}

    answers = {
        "/v1/completions": complete,
        "/v1/chat/completions": chat,
        "/tokenize": lambda body: {"tokens": rendered(body)},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({})

        def do_POST(self) -> None:
            self._say(answers[self.path](json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _say(self, said: dict) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

    HTTPServer((args.host, int(args.port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
