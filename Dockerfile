# syntax=docker/dockerfile:1
# The exchange as an image: locked dependencies, kernels compiled at build time, no root, all data under /data.
#
#   docker build -t exchange .
#   docker run --init -p 8080:8080 -p 8094:8094 -v exchange-data:/data exchange
#   docker run --init -p 8080:8080 -p 8094:8094 exchange serve --demo
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Dependencies first: this layer changes only with the lock files.
COPY requirements requirements
RUN python -m venv /opt/exchange \
 && /opt/exchange/bin/pip install --no-compile --only-binary :all: --require-hashes -r requirements/run.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --only-binary :all: --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY exchange exchange
COPY journal journal
COPY snapshots snapshots
COPY bench bench
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /src/dist . \
 && /opt/exchange/bin/pip install --no-compile --no-deps /src/dist/*.whl

# The kernel cache knows a source file by its size and time, and image layers keep whole seconds only: give every source a
# whole second before anything is compiled from it. A generic CPU name makes the kernels run on every machine of this
# architecture. EXCHANGE_NUMBA_CACHE must be writable even to be read, so it belongs to the user that runs the server.
ENV NUMBA_CPU_NAME=generic EXCHANGE_NUMBA_CACHE=/opt/exchange/kernels
RUN find /opt/exchange -name '*.py' -exec touch --no-dereference --date=@1767225600 {} + \
 && /opt/exchange/bin/python -m compileall -q -j 0 /opt/exchange/lib \
 && /opt/exchange/bin/python -m exchange warm-kernels \
 && chown -R 10001:10001 /opt/exchange/kernels

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="exchange" \
      org.opencontainers.image.description="A spot exchange in one process" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 exchange \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin exchange \
 && install -d -o 10001 -g 10001 -m 0750 /data
COPY --from=build /opt/exchange /opt/exchange
ENV PATH=/opt/exchange/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic \
    EXCHANGE_NUMBA_CACHE=/opt/exchange/kernels \
    EXCHANGE_DATA_DIR=/data \
    EXCHANGE_HOST=0.0.0.0 \
    HTTP_PORT=8080 \
    WS_PORT=8094
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080 8094
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"HTTP_PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["exchange"]
CMD ["serve"]
