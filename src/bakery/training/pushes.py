"""What a trainer pushes to the hub: what `bakery push` sends too, so that no prompt leaves the machine by the way."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from transformers import Trainer
from transformers.trainer_utils import HubStrategy
from transformers.utils import PushInProgress

from bakery.errors import ResourceError
from bakery.sharing.hub import HUB_ERRORS
from bakery.sharing.selection import Shared, base_of_adapter, select
from bakery.sharing.upload import operations
from bakery.text import first_line

_SETTINGS_PICKLE = "training_args.bin"


class SelectivePushes(Trainer):  # type: ignore[misc]
    """transformers' trainer, whose pushes hold nothing that `bakery push` leaves out."""

    push_in_progress: PushInProgress | None

    def init_hf_repo(self, *arguments: Any, **named: Any) -> None:
        """As in transformers.

        Raises:
            ResourceError: the repository cannot be made.
        """
        try:
            super().init_hf_repo(*arguments, **named)
        except HUB_ERRORS as error:
            name = self.args.hub_model_id or Path(self.args.output_dir).absolute().name
            raise ResourceError(f"push_to_hub: cannot create or reach {name}: {first_line(error)}") from error

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **card: Any,
    ) -> Any:
        """As in transformers: save the model, write its card, and push what of the folder may be shared."""
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        self.create_model_card(**card)
        if self.push_in_progress is not None:
            self.push_in_progress.wait_until_done()
        folder = Path(self.args.output_dir)
        return self.push_files(self.shared(folder), commit_message, token=token, revision=revision, blocking=blocking)

    def shared(self, folder: Path) -> tuple[Shared, ...]:
        """What of a folder with an adapter is pushed."""
        return select(folder, str(self.hub_model_id), base_of_adapter(folder)).sent

    def push_files(
        self,
        files: Sequence[Shared],
        commit_message: str | None,
        *,
        token: str | None = None,
        revision: str | None = None,
        blocking: bool = True,
    ) -> Any:
        """Push files in one commit into the repository of this trainer; a future of it where nobody waits."""
        commit: Callable[..., Any] = HfApi().create_commit
        return commit(
            repo_id=str(self.hub_model_id),
            operations=operations(files),
            commit_message=commit_message or "Bake",
            token=token or self.args.hub_token,
            revision=revision or self.args.hub_revision,
            run_as_future=not blocking,
        )

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push the adapter of a checkpoint, and all of the checkpoint where `hub_strategy` asks for it.

        A checkpoint holds no prompt. Its files are read at once, since a later checkpoint may replace it.
        """
        strategy = self.args.hub_strategy
        if not self.is_world_process_zero() or strategy == HubStrategy.END:
            return
        if self.push_in_progress is not None and not self.push_in_progress.is_done():
            if not self.args.hub_always_push:
                return
            self.push_in_progress.wait_until_done()
        folder, step = Path(checkpoint_folder), f"Training in progress, step {self.state.global_step}"
        shared = _read(self.shared(folder))
        jobs = [self.push_files(shared, step, blocking=False)]
        if strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            target = "last-checkpoint" if strategy == HubStrategy.CHECKPOINT else folder.name
            files = {name: Shared(name, folder / name) for name in _names(folder)} | {f.name: f for f in shared}
            inside = [replace(file, name=f"{target}/{name}") for name, file in files.items()]
            jobs.append(self.push_files(_read(inside), f"{step}, checkpoint", blocking=False))
        self.push_in_progress = PushInProgress(jobs)


def _read(files: Sequence[Shared]) -> list[Shared]:
    return [replace(f, content=f.content.read_bytes() if isinstance(f.content, Path) else f.content) for f in files]


def _names(folder: Path) -> list[str]:
    """The files of a checkpoint but the pickled settings, which name paths of this machine."""
    paths = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in paths if os.path.basename(name) != _SETTINGS_PICKLE]
