# The router, without torch: gRPC on 50050, metrics on 9050, OpenAI's HTTP where ROUTER_HTTP_PORT says.
# From the repository's root: docker build -f images/router.Dockerfile -t lookaheadkv-router .
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
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    ROUTER_HOST=0.0.0.0 \
    ROUTER_REFLECTION=false
USER 65532:65532
EXPOSE 50050 9050
ENTRYPOINT ["python", "-m", "router.main"]
