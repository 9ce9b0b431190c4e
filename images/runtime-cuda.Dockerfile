# The runtime on a CUDA 13 GPU: gRPC on 50052, metrics on 9052. CUDA itself comes with the lock's wheels.
# From the repository's root: docker build -f images/runtime-cuda.Dockerfile -t lookaheadkv-runtime-cuda .
# A digest in place of the tag: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# /etc/pip.conf may come as a secret, where packages come from an index of one's own
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/venv \
    && pip install --no-cache-dir setuptools==84.2.1
COPY requirements/cuda.txt requirements/
COPY images/not-at-run-time.txt images/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    grep -vixEf images/not-at-run-time.txt requirements/cuda.txt > run-time.txt \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps -r run-time.txt
COPY pyproject.toml README.md LICENSE ./
COPY protos protos/
COPY scorer scorer/
COPY router router/
COPY services services/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
# Triton and FlashInfer compile at run time, for the GPU that they find: here alone a compiler stays. Distributions keep
# one version of a package at a time, so none can be pinned for long
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gcc libc6-dev tini \
    && rm -rf /var/lib/apt/lists/* \
    && pip uninstall --yes --root-user-action=ignore pip setuptools wheel
COPY --from=build /opt/venv /opt/venv
# what SGLang and Triton compile lies below HOME, so /tmp has to be writable
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    RUNTIME_HOST=0.0.0.0 \
    RUNTIME_REFLECTION=false
USER 65532:65532
EXPOSE 50052 9052
# SGLang has child processes, and somebody must reap them
ENTRYPOINT ["tini", "--", "python", "-m", "services.runtime.main"]
