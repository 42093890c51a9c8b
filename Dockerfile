# syntax=docker/dockerfile:1
# A static binary, run as nobody: docker build -t weir . && docker run weir --help
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /weir ./cmd/weir \
 && mkdir -m 700 /state /archive && mkdir -m 1777 /scratch

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /weir /weir
COPY --from=build --chown=65532:65532 /state /var/lib/weir
COPY --from=build --chown=65532:65532 /archive /var/lib/weir-archive
COPY --from=build /scratch /tmp
USER 65532:65532
VOLUME /var/lib/weir
# The configuration is mounted: -v /etc/weir:/etc/weir:ro. The key file in it must
# belong to uid 65532 (chown 65532:65532, chmod 600), and so must the directories
# of lists that it is to write. The API listens on
# loopback inside; the commands (weir status, why …) are run in the container.
# An archive needs a volume of its own, which belongs to uid 65532, too
# (-v weir-archive:/var/lib/weir-archive): without one it is lost with the container.
ENTRYPOINT ["/weir"]
CMD ["run", "-c", "/etc/weir/weir.yaml"]
