"""One process of a data-parallel bake; `test_two_processes.py` starts it under torchrun, and alone, and compares.

torchrun --standalone --nproc_per_node 2 tests/end_to_end/two_processes.py FOLDER ROWS BATCH ACCUMULATION
"""

import json
import os
import sys
from pathlib import Path

import torch

from bakery.engine.distill.batches import prompt_baking_collator
from bakery.rows.datasets import create_dataset
from tests.engine_support import ANSWERS, QUESTIONS, adapter_weights, logged, make_trainer, tiny_model


def main() -> None:
    folder, rows, batch, accumulation = Path(sys.argv[1]), *map(int, sys.argv[2:])
    computed = []

    def collate(batch):
        computed.append(len(batch))
        return prompt_baking_collator(batch)

    trainer = make_trainer(
        folder,
        model=tiny_model(trained=True),
        rows=create_dataset(QUESTIONS[:rows]),
        eval_dataset=create_dataset(QUESTIONS[4:], ANSWERS[4:]),
        data_collator=collate,
        eval_strategy="epoch",
        train_sampling_strategy="random",
        num_train_epochs=2,
        num_trajectories=2,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        max_grad_norm=0.5,
        ddp_backend="gloo" if "WORLD_SIZE" in os.environ else None,
    )
    trainer.train()
    found = {
        "processes": trainer.accelerator.num_processes,
        "loss": logged(trainer),
        "eval": logged(trainer, "eval_loss"),
        "agreement": logged(trainer, "agreement"),
        "sampled": [[one.pair.student_ids for one in answers] for _, answers in trainer.trajectories],
        "weights": {name: weight.flatten()[:4].tolist() for name, weight in adapter_weights(trainer.model).items()},
        "computed": computed,
    }
    (folder / f"found-{trainer.args.process_index}.json").write_text(json.dumps(found))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        os._exit(0)  # gloo may wait for ever in its destructor for a process that has gone first


if __name__ == "__main__":
    main()
