"""A bake that is started from the page and followed there: one at a time, in the thread of the model.

The model that answers is let go of while the bake loads its own, so that memory holds one of them; afterwards what was
baked is opened in its stead, or, where there is no result, the base again.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakery.baking import bake
from bakery.chat.views import PromptPair
from bakery.errors import BakeryError, ConfigError
from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import load_bake_data
from bakery.rows.conversations import Conversation, Message
from bakery.settings.build import BakeSettings, build, check_settings
from bakery.settings.checks import PREFIX_KEYS, TEMPLATE_KEYS
from bakery.settings.reading import Settings, read_settings_file
from bakery.settings.relative_paths import SETTINGS_FILE
from bakery.taste.bake_command import BakeCommand
from bakery.taste.bake_record import LONGEST_ANSWER, BakeState, Record, RecordedProgress, RecordedTraining, Stopped
from bakery.taste.conversation import REFERENCE, Asked, Begun, Ended
from bakery.taste.opening import Current, Opened, open_prompt, open_runs
from bakery.taste.worker import GONE, Worker
from bakery.text import excerpt
from bakery.training.trainer import ContextBakingTrainer


@dataclass
class PageBake:
    """The bake of a page.

    Args:
        command: what `bakery taste` was given.
        current: what is asked, to be replaced by what was baked.
        worker: the thread of the model.
        verbosity: of the terminal.
        record: of the newest bake.
    """

    command: BakeCommand
    current: Current
    worker: Worker
    verbosity: Verbosity = Verbosity.NORMAL
    record: Record = field(default_factory=lambda: Record(BakeState()))
    _baked: tuple[BakeCommand, Path] | None = None  # the newest finished bake

    @property
    def running(self) -> bool:
        """Whether a bake goes on."""
        return self.record.state.phase == "running"

    def command_for(self, prompt: Sequence[Message] | None) -> tuple[BakeCommand, Path]:
        """The command that bakes this prompt (none: the one that was given), and the folder it bakes to.

        Raises:
            ConfigError: the prompt is empty, or a setting cannot be used.
        """
        if prompt is not None:
            prompt = [message for message in prompt if str(message["content"]).strip()]
            if not prompt:
                raise ConfigError("the prompt is empty, so there is nothing to bake; write one")
        folder = self.command.folder()
        return self.command.with_prompt(prompt, folder), folder

    def start(self, prompt: Sequence[Message] | None, question: str) -> None:
        """Begin a bake, and end all answers that are being written.

        Args:
            prompt: as it stands on the page, if it was changed there.
            question: to be asked again and again as the model learns.

        Raises:
            ConfigError: a bake is going on, the prompt is empty, or a setting cannot be used.
        """
        if self.running:
            raise ConfigError("a bake is going on; stop it, or wait for its end")
        if not self.worker.alive:
            raise ConfigError(GONE.reason)
        command, folder = self.command_for(prompt)
        self.record = Record(BakeState(self.record.state.number + 1, "running", str(folder), question))
        self.worker.submit_alone(lambda: self._run(self.record, command, folder, prompt))

    def stop(self) -> None:
        """Stop the bake, if one goes on."""
        self.record.stop()

    def _run(self, record: Record, command: BakeCommand, folder: Path, prompt: Sequence[Message] | None) -> None:
        """Bake, and open what is there afterwards."""
        phase, error = "failed", "a mistake in Bakery itself; the terminal shows it"
        try:
            self._bake(record, command, prompt)
            self._baked = command, folder
            phase, error = "done", ""
        except Stopped:
            phase, error = "stopped", ""
        except (BakeryError, RuntimeError, MemoryError, OSError) as failure:
            error = excerpt(str(failure) or type(failure).__name__, 400)
        finally:
            try:
                if self.current.opened.tasting is None:
                    self.current.opened = self._open()
            except (BakeryError, RuntimeError, MemoryError, OSError) as failure:
                phase, error = "failed", excerpt(f"{error} The model cannot be opened again: {failure}", 400)
            finally:
                record.change(phase=phase, error=error)

    def _bake(self, record: Record, command: BakeCommand, prompt: Sequence[Message] | None) -> None:
        settings = _settings(command.given())
        asked = self._ask_prompted(record, prompt)
        self.current.opened = self.current.opened.closed()
        gc.collect()  # a model's modules refer to one another

        def follow(trainer: ContextBakingTrainer) -> None:
            trainer.add_callback(RecordedTraining(record, trainer, asked))

        data = load_bake_data(settings.context, settings.data)
        # In the page's own folder a bake that was stopped gives way to one of another prompt; the same one goes on.
        settings.bakery.overwrite |= not self.command.names_folder
        bake(settings, RecordedProgress(record, self.verbosity), data, on_trainer=follow)

    def _ask_prompted(self, record: Record, prompt: Sequence[Message] | None) -> PromptPair:
        """Record what the prompted model answers; the question as the baked model is to be asked it."""
        tasting = self.current.opened.tasting
        if tasting is None:
            raise ConfigError(GONE.reason)
        messages = ({"role": "user", "content": record.state.question},)
        seen: tuple[Message, ...] = ()
        asked = Asked({REFERENCE: messages}, prompt, max_new_tokens=LONGEST_ANSWER, compared=False)
        for event in tasting.answers(asked):
            record.check()
            if isinstance(event, Begun):
                seen = event.prompt
            elif isinstance(event, Ended):
                record.change(prompted=event.text)
        return tasting.builder.prompts(Conversation(messages, seen, ""), anchor=not seen)

    def _open(self) -> Opened:
        """The newest finished run, its prompt even where that was left out of the folder; without one, the base."""
        gc.collect()
        if self._baked is None:
            return open_prompt(_settings(self.command.given()), Progress(Verbosity.QUIET))
        command, folder = self._baked
        given = command.given().entries
        prompt = Settings({name: given[name] for name in (*PREFIX_KEYS, *TEMPLATE_KEYS) if name in given})
        settings = _settings(read_settings_file(folder / SETTINGS_FILE).overridden_by(prompt))
        return open_runs(settings, [folder], Progress(Verbosity.QUIET))


def _settings(given: Settings) -> BakeSettings:
    return build(check_settings(given))
