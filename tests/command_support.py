"""What the tests of the command share: a settings file, and what stands in for a result."""

CONFIG = """\
prefix_messages: [{role: system, content: Speak like a pirate.}]
training_prompts: [What is AI?]
model_name_or_path: starter
output_dir: out
use_cpu: true
"""


class Result(str):
    """Stands in for the result of a bake or an evaluation."""

    proof = None
    main = (1.0, None)
