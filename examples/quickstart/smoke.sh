#!/bin/sh
# Runs against the idle group before it is attached; a failure keeps the live group live.
set -eu
curl --fail --silent --show-error --max-time 5 "$CLOUDSHIP_TEST_URL/" >/dev/null
curl --fail --silent --show-error --max-time 5 "$CLOUDSHIP_TEST_URL/healthz" >/dev/null
