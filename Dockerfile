# `wakedeck` without a screen of its own: nobody's user, and a file system that is only read.
#
#   docker build -t wakedeck .
#   docker run --read-only --tmpfs /tmp --volume wakedeck:/state \
#     --volume "$PWD/config.toml:/config/wakedeck/config.toml:ro" wakedeck status
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/wakedeck \
 && PIP_CONSTRAINT=constraints.txt /opt/wakedeck/bin/pip install --no-cache-dir ".[kubernetes,metrics,notify]"

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /state wakedeck \
 && install --directory --owner wakedeck --mode 0700 /state
COPY --from=build /opt/wakedeck /opt/wakedeck
ENV PATH=/opt/wakedeck/bin:$PATH \
    HOME=/state \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CONFIG_HOME=/config \
    XDG_STATE_HOME=/state
USER wakedeck
VOLUME /state
ENTRYPOINT ["wakedeck"]
CMD ["status"]
