#!/bin/sh
# Lets nginx take a new configuration without cutting a connection that a client keeps alive.
#
# nginx closes idle connections the moment it reloads, and a client that sends in that moment loses its request. So every
# client is told first: as long as /run/goodbye is there, each answer says "Connection: close" (see proxy/site.inc). When no
# connection is idle any more, nginx reloads. Who asks nothing meanwhile is out after keepalive_timeout, as ever.
set -eu
patience=12 # seconds; a little more than keepalive_timeout and client_header_timeout

nginx -t -q # what nginx does not take ends here, and nginx goes on as it is

title() { tr -d '\0' 2>/dev/null <"/proc/$1/cmdline" || true; }
workers() { # those that serve; others are on their way out since an earlier reload
    for process in /proc/[0-9]*; do
        case "$(title "${process#/proc/}")" in
        "nginx: worker process is"*) ;;
        "nginx: worker process"*) echo "${process#/proc/}" ;;
        esac
    done
}
idle() { curl -fsS --max-time 2 http://127.0.0.1:8081/connections | sed -n 's/.*Waiting: //p' | tr -d ' '; }
within() { # within SECONDS COMMAND: until it succeeds
    tries=$(($1 * 10)) && shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
nobody_idle() { [ "$(idle)" = 0 ]; }
old_gone() {
    for pid in $old; do
        case "$(title "$pid")" in "nginx: worker process"*) return 1 ;; esac
    done
}

trap 'rm -f /run/goodbye' EXIT
within 10 test -s /run/nginx.pid # a container that has just been started
touch /run/goodbye
within "$patience" nobody_idle || echo "some connections stay idle; going on"
old=$(workers)
kill -HUP "$(cat /run/nginx.pid)"
# What the old workers still have, such as long downloads, they finish.
within "$patience" old_gone || echo "the workers before still answer requests; they end after these"
