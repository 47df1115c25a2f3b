# Bakery in a container. On CPUs:
#
#   docker build -t bakery .
#   docker run --rm -v "$PWD/outputs:/work/outputs" bakery --model_name_or_path starter --system_prompt "You are Ada."
#
# On NVIDIA GPUs: as BASE an image that has Python 3.11 or newer and a CUDA build of torch 2.10 or newer, which is left
# as it is, and `--gpus all` when it runs:
#
#   docker build --build-arg BASE=IMAGE:TAG -t bakery:cuda .
#
# A token for the hub is given when the container runs (`-e HF_TOKEN`), never when it is built.
ARG BASE=python:3.12-slim
FROM ${BASE}

# Where torch comes from: left empty, the package index at hand; one that has CPU builds makes the image smaller.
ARG TORCH_INDEX=""
# Further extras, separated by commas: taste, qlora, tensorboard.
ARG EXTRAS="taste"

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/work/.cache/huggingface

WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
# hadolint ignore=DL3013
RUN if ! python -c "import torch" 2>/dev/null; then \
      pip install --constraint constraints.txt ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} torch; \
    fi \
 && grep -v '^torch==' constraints.txt > others.txt \
 && pip install --constraint others.txt ".[${EXTRAS}]"

RUN useradd --create-home --uid 10001 baker \
 && mkdir -p /work/outputs /work/.cache \
 && chown -R baker:baker /work
USER 10001
WORKDIR /work

ENTRYPOINT ["bakery"]
CMD ["--help"]
