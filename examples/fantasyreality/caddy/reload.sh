#!/bin/sh
# Lets Caddy take a new configuration without cutting a connection that a client keeps alive: see ../reload.sh. Caddy does
# not tell how many connections are idle, so all are waited for: nobody's is idle for longer than servers.timeouts.idle.
set -eu
idle=5 # seconds, as in the Caddyfile

caddy validate --config /etc/caddy/Caddyfile # what Caddy does not take ends here, and Caddy goes on as it is

trap 'rm -f /run/goodbye' EXIT
touch /run/goodbye
sleep "$idle.2"
caddy reload --config /etc/caddy/Caddyfile --address unix//run/caddy.sock
