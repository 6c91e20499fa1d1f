#!/bin/sh
# A short load on the idle group: two hundred requests, none may fail.
set -eu
seq 200 | xargs -P 4 -n 25 sh -c 'for i; do curl --fail --silent --show-error --max-time 10 --output /dev/null "$CLOUDSHIP_TEST_URL/"; done' load
