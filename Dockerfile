# slotkeeper as an image: the program, the C library, root certificates, and nothing else: no shell, no package manager.
#   docker build -t slotkeeper .
# No secret goes in: configuration and key files are mounted (deploy/compose, deploy/kubernetes).

FROM rust:1.90.0-slim-bookworm AS build
# SQLite and the TLS library are compiled from C.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin slotkeeper && mkdir /state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/slotkeeper /usr/bin/slotkeeper
# A volume that is new gets this owner.
COPY --from=build --chown=10061:10061 /state /var/lib/slotkeeper
# A number, so that Kubernetes can see that it is not root.
USER 10061:10061
VOLUME ["/var/lib/slotkeeper"]
EXPOSE 10061 10062
# Asks as an operator does; answered from memory. That it cannot see its chain is no reason to restart it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/bin/slotkeeper", "status", "--web.address", "127.0.0.1:10061"]
ENTRYPOINT ["/usr/bin/slotkeeper"]
CMD ["run", "--config.file", "/etc/slotkeeper/slotkeeper.yml"]
