#!/bin/sh
# Functional test of the idle group: a lead is written and read back. A failure keeps live what is live.
set -eu
name="smoke-$$"
curl --fail --silent --show-error --max-time 10 "$CLOUDSHIP_TEST_URL/" >/dev/null
curl --fail --silent --show-error --max-time 10 --data "{\"name\":\"$name\"}" "$CLOUDSHIP_TEST_URL/leads" >/dev/null
curl --fail --silent --show-error --max-time 10 "$CLOUDSHIP_TEST_URL/leads" | grep -q "$name"
# A release that is called so fails its smoke test.
! curl --silent --max-time 10 --head "$CLOUDSHIP_TEST_URL/" | grep -qi '^x-version: smokes'
