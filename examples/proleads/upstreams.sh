#!/bin/sh
# Writes Nginx's upstream list. $servers holds one "server ADDRESS:9292;" for each Ruby container.
# A list that Nginx does not take is thrown away and the old one stays.
set -eu
conf=/etc/nginx/conf.d/default.conf
cp "$conf" "$conf.old"
cat > "$conf" <<EOF
upstream ruby {
    $servers
    keepalive 16;
}
server {
    listen 80 default_server;
    location / {
        proxy_pass http://ruby;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host \$host;
        proxy_next_upstream error timeout http_502 http_503 non_idempotent;
    }
    location = /healthz {
        if (-f /run/draining) { return 503; }
        proxy_pass http://ruby;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_next_upstream error timeout http_502 http_503;
    }
}
EOF
if ! nginx -t; then
    mv "$conf.old" "$conf"
    exit 1
fi
# A container that has just been started may not have Nginx's pid yet.
tries=0
until [ -s /run/nginx.pid ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ]
    sleep 0.2
done
nginx -s reload
