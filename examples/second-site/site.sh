#!/bin/sh
# Adds a site to the shared proxy, changes it, or takes it away: $APPS are the containers that it is to send to now, none at
# the end. It touches its own file alone. What nginx does not take is not taken: the file is as it was, and the release ends.
set -eu
sites=${SITES:-/etc/nginx/sites}
file=$sites/$SITE.conf
new=$file.new
old=$file.old
loaded=$file.loaded # what nginx was last told
rm -f "$new"

write() {
    variable=$(echo "app_$SITE" | tr -c 'a-z0-9_\n' _)
    echo "split_clients \$request_id \$$variable {"
    share=$((100 / $#))
    while [ $# -gt 1 ]; do
        echo "    $share% \"$1\";"
        shift
    done
    cat <<EOF
    * "$1";
}
server {
    listen 80;
    server_name $HOST;
    location / {
        proxy_pass http://\$$variable:$PORT;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host \$host;
        proxy_set_header X-Forwarded-For \$remote_addr;
        proxy_set_header X-Forwarded-Proto \$scheme;
        proxy_connect_timeout 2s;
    }
}
EOF
}

# shellcheck disable=SC2086 # names of containers, one word each
if [ -n "$APPS" ]; then write $APPS >"$new"; fi
if [ -e "$new" ] && [ -e "$file" ] && cmp -s "$new" "$loaded"; then
    rm "$new"
    exit 0
fi
if [ ! -e "$new" ] && [ ! -e "$file" ] && [ ! -e "$loaded" ]; then exit 0; fi

rm -f "$old"
if [ -e "$file" ]; then mv "$file" "$old"; fi
if [ -e "$new" ]; then mv "$new" "$file"; fi
if ! said=$(nginx -t 2>&1); then
    rm -f "$file"
    if [ -e "$old" ]; then mv "$old" "$file"; fi
    echo "$said"
    echo "the proxy does not take the site: its configuration is as it was"
    exit 1
fi
rm -f "$loaded"
nginx -s reload
rm -f "$old"
if [ -e "$file" ]; then cp "$file" "$loaded"; fi
