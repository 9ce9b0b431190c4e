# The scorer sidecar, without torch: gRPC on 50051, metrics on 9051.
# From the repository's root: docker build -f images/scorer.Dockerfile -t lookaheadkv-scorer .
# A digest in place of the tag: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# /etc/pip.conf may come as a secret, where packages come from an index of one's own
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/venv \
    && pip install --no-cache-dir setuptools==84.2.1
COPY requirements/service.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip --python /opt/venv/bin/python install --no-cache-dir --no-deps -r requirements/service.txt
COPY pyproject.toml README.md LICENSE ./
COPY protos protos/
COPY scorer scorer/
COPY router router/
COPY services services/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
# what installs is not needed to run
RUN pip uninstall --yes --root-user-action=ignore pip setuptools wheel
COPY --from=build /opt/venv /opt/venv
COPY scorer/scoring.yaml /etc/lookaheadkv/scoring.yaml
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    SCORER_CONFIG_PATH=/etc/lookaheadkv/scoring.yaml \
    SCORER_HOST=0.0.0.0 \
    SCORER_REFLECTION=false
USER 65532:65532
EXPOSE 50051 9051
ENTRYPOINT ["python", "-m", "scorer.main"]
