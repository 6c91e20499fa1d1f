package shipper

import (
	"fmt"
	neturl "net/url"
	"path"
)

// The version of syslog-ng's language that the configuration is written in: newer programs read it.
const header = `@version: 3.35
# Written by cloudship.
options {
  keep-hostname(yes);
  log-msg-size(262144);
  frac-digits(%d);
  stats-freq(0);
  time-reopen(2);
};
source s_journal {
  # What was not sent yet is read again: at most so many lines are on their way.
  systemd-journal(prefix(".journal.") read-old-records(yes) log-iw-size(1000) log-fetch-limit(250));
};
`

// own prints what the shipper says itself, without the sink's URL: it may have a password in it, and
// what is printed here is kept on the server.
const own = `source s_own {
  internal();
};
rewrite r_own {
  subst("%s", "***", value("MESSAGE"), type("string") flags("substring", "global"));
};
destination d_own {
  file("/dev/stdout" template('${LEVEL} ${MESSAGE}
'));
};
log { source(s_own); rewrite(r_own); destination(d_own); };
`

// filter lets the stack's lines through. What the shipper says itself stays here: that it cannot
// send is nothing to be sent.
const filter = `filter f_stack {
  "${.journal.CLOUDSHIP_STACK}" eq %s and "${.journal._UID}" eq "0" and not "${.journal.COM_DOCKER_COMPOSE_SERVICE}" eq %s;
};
rewrite r_names {
  set("stdout" value(".journal.STREAM"));
  set("stderr" value(".journal.STREAM") condition("${.journal.PRIORITY}" eq "3"));
  set("${.journal.COM_DOCKER_COMPOSE_SERVICE}" value("PROGRAM"));
  set("${.journal.COM_DOCKER_COMPOSE_CONTAINER_NUMBER}" value("PID"));
  set("${.journal._HOSTNAME}" value("HOST"));
};
`

// A line as JSON, with the words of 'cloudship logs --json'.
const jsonLine = `$(format-json --scope none at="${S_ISODATE}" host="${HOST}" group="${.journal.CLOUDSHIP_GROUP}" service="${PROGRAM}"` +
	` number=int64(${PID}) container="${.journal.CONTAINER_NAME}" release="${.journal.CLOUDSHIP_RELEASE}" stream="${.journal.STREAM}"` +
	` partial="${.journal.CONTAINER_PARTIAL_ID}" text="${MESSAGE}")`

// What Loki wants: names that select a stream, and time in nanoseconds with the line. A JSON text
// alone is cut out of an object.
const lokiLine = `{"stream":$(format-json --scope none stack="%s" host="${HOST}" group="${.journal.CLOUDSHIP_GROUP}" service="${PROGRAM}"` +
	` container="${.journal.CONTAINER_NAME}" stream="${.journal.STREAM}"),` +
	`"values":[["${S_UNIXTIME}${S_USEC}000",$(substr "${.journal.JSON}" 5 -1)]]}`

// What is done with answers: what may be another time is tried again for as long as it takes, and
// what the sink will never take is dropped.
const answers = `    retries(2000000000) time-reopen(2) timeout(30) workers(1)
    response-action(
      400 => drop 413 => drop 415 => drop 422 => drop
      401 => disconnect 403 => disconnect 404 => disconnect 405 => disconnect 408 => disconnect 409 => disconnect 429 => disconnect
      500 => disconnect 501 => disconnect 502 => disconnect 503 => disconnect 504 => disconnect
    )
`

const httpSink = `destination d_sink {
  http(
    url("%s")
    method("POST")
    headers("Content-Type: application/x-ndjson")
    user-agent("cloudship-logs")
    body('` + jsonLine + `')
    delimiter("\n") body-suffix("\n")
    batch-lines(250) batch-bytes(262144) batch-timeout(500)
` + answers + `  );
};
`

const lokiSink = `rewrite r_json {
  set('$(format-json --scope none v="${MESSAGE}")' value(".journal.JSON"));
};
destination d_sink {
  http(
    url("%s")
    method("POST")
    headers("Content-Type: application/json")
    user-agent("cloudship-logs")
    body-prefix("{\"streams\":[") delimiter(",") body-suffix("]}")
    body('` + lokiLine + `')
    batch-lines(250) batch-bytes(262144) batch-timeout(500)
` + answers + `  );
};
`

const syslogSink = `destination d_sink {
  syslog("%s" port(%s) transport("%s")%s);
};
`

const fileSink = `destination d_sink {
  file("/sink/%s" template('` + jsonLine + `
') perm(0640) flush-lines(1));
};
`

// config is the whole configuration; url is as it is to be written.
func (s Sink) config(j Journal, url string) (string, error) {
	sink, through, digits := "", "", 6
	switch s.Kind {
	case "http":
		sink = fmt.Sprintf(httpSink, url)
	case "loki":
		sink, through = fmt.Sprintf(lokiSink, url, j.Stack), " rewrite(r_json);"
		digits = 0 // a time in whole seconds, with its fraction behind it
	case "file":
		sink = fmt.Sprintf(fileSink, path.Base(s.Path))
	case "syslog":
		u, err := neturl.Parse(s.URL)
		if err != nil || u.Hostname() == "" || u.Port() == "" {
			return "", fmt.Errorf("the sink's url names no host and port")
		}
		tls := ""
		if u.Scheme == "tls" {
			tls = ` tls(peer-verify(required-trusted) ca-dir("/etc/ssl/certs"))`
		}
		sink = fmt.Sprintf(syslogSink, u.Hostname(), u.Port(), u.Scheme, tls)
	default:
		return "", errKind
	}
	if url == "" {
		url = s.Path
	}
	return fmt.Sprintf(header, digits) + fmt.Sprintf(own, url) + fmt.Sprintf(filter, quoted(j.Stack), quoted(Name)) + sink +
		"log { source(s_journal); filter(f_stack); rewrite(r_names);" + through + " destination(d_sink); flags(flow-control); };\n", nil
}
