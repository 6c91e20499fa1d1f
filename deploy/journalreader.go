package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// journalReader reads a stack's lines from one server's journal, and knows from where to go on when
// the connection was lost.
type journalReader struct {
	stack   resource.StackID
	server  resource.Address
	options LogOptions
	emit    func(LogLine)

	begun  bool            // what there was before was given out
	tailed map[string]bool // the cursors of that, with Tail: some may be behind safe
	left   pieces          // lines of that whose ends are behind safe; nil as soon as all have come
	safe   string          // the cursor from which to go on: no line is in pieces there
	had    map[string]bool // cursors behind that whose lines were given out
	pieces pieces
}

func newJournalReader(stack resource.StackID, server resource.Address, o LogOptions, emit func(LogLine)) *journalReader {
	return &journalReader{stack: stack, server: server, options: o, emit: emit, had: map[string]bool{}, tailed: map[string]bool{}, pieces: pieces{}}
}

// host is what a journal is read through.
type host interface {
	Exec(ctx context.Context, c remote.Command, stdin io.Reader, stdout, stderr io.Writer) error
}

// run reads until all is read, or, with Follow, until ctx ends or the connection is lost. It may be
// called again, and goes on where it was.
func (r *journalReader) run(ctx context.Context, h host) error {
	if !r.options.Follow {
		return r.history(ctx, h)
	}
	if !r.begun {
		if err := r.first(ctx, h); err != nil {
			return err
		}
		r.begun = true
	}
	r.pieces = pieces{} // they come again, but for those that began before safe
	for from, one := range r.left {
		if !r.had[one.cursors[0]] {
			r.pieces[from] = &piece{one.LogLine, slices.Clone(one.cursors)}
		}
	}
	if err := r.exec(ctx, h, r.follow(), r.entry); err != nil {
		return err
	}
	<-ctx.Done() // there is no journal
	return nil
}

// history gives out what there is, and the cursors of that.
func (r *journalReader) history(ctx context.Context, h host) error {
	r.pieces = pieces{}
	var lines []LogLine
	var cursors []string
	err := r.exec(ctx, h, r.past(), func(e journalEntry) {
		if l, of, whole := r.pieces.add(e); whole {
			lines, cursors = append(lines, l), append(cursors, of...)
		}
	})
	if err != nil {
		return err
	}
	if r.options.Follow {
		for _, one := range r.pieces {
			cursors = append(cursors, one.cursors...)
		}
		r.left = r.pieces
	} else {
		r.pieces.rest(func(l LogLine) { lines = append(lines, l) })
	}
	slices.SortStableFunc(lines, func(a, b LogLine) int { return a.At.Compare(b.At) })
	for _, l := range lines {
		r.pass(l)
	}
	for _, cursor := range cursors {
		r.tailed[cursor] = r.options.Follow
	}
	return nil
}

// first finds the end of the journal, from which to follow, and gives out what is wanted of what was
// there before. Without Tail all of that comes with what follows.
func (r *journalReader) first(ctx context.Context, h host) error {
	if r.options.Tail == 0 {
		return nil
	}
	if err := r.exec(ctx, h, remote.Script(journalEnd).AsRoot(), func(e journalEntry) { r.safe = e.cursor }); err != nil {
		return err
	}
	return r.history(ctx, h)
}

// mostHad is how many lines may be given out behind one that is in pieces before that is given out
// as it is.
const mostHad = 10000

// entry takes what is followed.
func (r *journalReader) entry(e journalEntry) {
	if r.had[e.cursor] || r.tailed[e.cursor] {
		return // a line that it is of may not end here
	}
	if l, cursors, whole := r.pieces.add(e); whole {
		r.pass(l)
		for _, cursor := range cursors {
			r.had[cursor] = true
		}
	}
	if len(r.had) > mostHad {
		r.pieces.rest(r.pass)
	}
	if len(r.pieces) == 0 {
		r.safe, r.left = e.cursor, nil
		clear(r.had)
	}
}

// pass gives a line out, unless it is older or younger than what is wanted.
func (r *journalReader) pass(l LogLine) {
	if l.At.Before(r.options.Since) || !r.options.Until.IsZero() && l.At.After(r.options.Until) {
		return
	}
	l.Server = r.server
	r.emit(l)
}

const journalEnd = `command -v journalctl >/dev/null || exit 0
exec journalctl --quiet --no-pager --output=json --output-fields=PRIORITY --lines=1`

// readJournal runs journalctl with arguments, where there is one.
const readJournal = `command -v journalctl >/dev/null || exit 0
exec journalctl --quiet --no-pager --all --output=json "$@"`

// followJournal does the same, and fails when it ends.
const followJournal = `command -v journalctl >/dev/null || exit 0
journalctl --quiet --no-pager --all --output=json --follow --no-tail "$@" || true
echo "the journal is not followed any more" >&2
exit 4`

// tailJournal does the same for the last $1 lines of each service in $3, one a line, or of every one
// that the field $2 knows.
const tailJournal = `command -v journalctl >/dev/null || exit 0
lines=$1 field=$2 services=$3
shift 3
[ -n "$services" ] || services=$(journalctl --quiet --no-pager --field="$field")
printf '%s\n' "$services" | while read -r service; do
	journalctl --quiet --no-pager --all --output=json --lines="$lines" "$@" "$field=$service"
done`

// past is the command that gives what there is.
func (r *journalReader) past() remote.Command {
	args := r.matches()
	if !r.options.Since.IsZero() {
		args = append(args, "--since=@"+strconv.FormatInt(r.options.Since.Unix(), 10))
	}
	if !r.options.Until.IsZero() {
		args = append(args, "--until=@"+strconv.FormatInt(r.options.Until.Unix()+1, 10))
	}
	if r.options.Tail > 0 {
		tail := []string{strconv.Itoa(r.options.Tail), fieldOf(composeService), strings.Join(r.options.Services, "\n")}
		return remote.Script(tailJournal, append(tail, args...)...).AsRoot()
	}
	return remote.Script(readJournal, append(args, r.services()...)...).AsRoot()
}

// follow is the command that gives what comes, from where the last one was left.
func (r *journalReader) follow() remote.Command {
	args := append(r.matches(), r.services()...)
	switch {
	case r.safe != "":
		args = append(args, "--after-cursor="+r.safe)
	case !r.options.Since.IsZero():
		args = append(args, "--since=@"+strconv.FormatInt(r.options.Since.Unix(), 10))
	}
	return remote.Script(followJournal, args...).AsRoot()
}

// matches selects the lines of the stack's containers. Only root's are believed: anybody on the
// server may write entries with any fields, but for those whose names begin with _.
func (r *journalReader) matches() []string {
	return []string{"--output-fields=" + strings.Join(journalFields, ","), "_UID=0", fieldOf(labelStack) + "=" + string(r.stack), fieldOf(labelGroup) + "=" + r.server.Name}
}

// services selects the services that are wanted.
func (r *journalReader) services() []string {
	var args []string
	for _, service := range r.options.Services {
		args = append(args, fieldOf(composeService)+"="+service)
	}
	return args
}

// exec runs a command and gives the entries that it prints.
func (r *journalReader) exec(ctx context.Context, h host, c remote.Command, entry func(journalEntry)) error {
	out := &entryWriter{entry: entry}
	if err := h.Exec(ctx, c, strings.NewReader(""), out, io.Discard); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return nil
}

// longestEntry is the longest entry that is read, in bytes: a piece of a line with every byte
// written as a number.
const longestEntry = 4 << 20

// entryWriter parts a stream into entries. What is none is left out, as is one without end: it comes
// again.
type entryWriter struct {
	entry   func(journalEntry)
	partial []byte
	skip    bool // until the end of one that is too long
}

func (w *entryWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		head, rest, found := bytes.Cut(b, []byte("\n"))
		if !w.skip {
			w.partial = append(w.partial, head...)
		}
		if len(w.partial) > longestEntry {
			w.partial, w.skip = w.partial[:0], true
		}
		if !found {
			return n, nil
		}
		if e, err := parseEntry(w.partial); err == nil {
			w.entry(e)
		}
		w.partial, w.skip = w.partial[:0], false
		b = rest
	}
}
