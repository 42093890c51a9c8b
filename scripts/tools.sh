#!/usr/bin/env bash
# Installs what the tests run against: real proxies, log-in guessers, Java for
# a real Kafka. On Debian and its like, as root or through sudo; elsewhere it
# says what is missing.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

# program=package
needs="nginx=nginx haproxy=haproxy hydra=hydra wget=wget java=openjdk-17-jre-headless mvn=maven mkfs.ext4=e2fsprogs mount=mount"
packages=""
for need in $needs; do
	command -v "${need%%=*}" > /dev/null || packages="$packages ${need##*=}"
done
if [ -z "$packages" ]; then exit 0; fi
install="apt-get install -y --no-install-recommends$packages"
as=""
[ "$(id -u)" = 0 ] || as="sudo -n"
if ! command -v apt-get > /dev/null || ! $as true 2> /dev/null; then
	echo "missing for the tests:$packages; install them with: sudo $install" >&2
	exit 1
fi
echo "installing for the tests:$packages"
# With run level 1 the packages do not start their services.
$as env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get update -q > /dev/null
$as env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install > /dev/null
