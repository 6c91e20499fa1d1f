package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/deploy/sqlite"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// onHost runs a script as root on the server. Its error has what the script said.
func (h *Holding) onHost(ctx context.Context, script string, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if stdin == nil {
		stdin = bytes.NewReader(nil)
	}
	err := h.standing.engine.host.Exec(ctx, remote.Script(script, args...).AsRoot(), stdin, stdout, stderr)
	var ended *remote.ExitError
	if errors.As(err, &ended) && ended.Stderr != "" && ended.Code >= 0 {
		return fmt.Errorf("%s (exit %d on %s)", ended.Stderr, ended.Code, ended.Address)
	}
	return err
}

// filesScript writes the folder $1 as a tar archive, with owners and modes, without what a restore
// left in it. What changes while it is read is told on stderr.
const filesScript = `code=0
tar -C "$1" --numeric-owner --exclude='` + scratchPrefix + `*' --exclude='*` + beforeGlob + `' -cf - . || code=$?
[ "$code" -le 1 ] || exit "$code"`

func (h *Holding) saveFiles(ctx context.Context, to io.Writer) (map[string]string, error) {
	p, err := h.place(ctx)
	if err != nil {
		return nil, err
	}
	if p.is == "nothing" {
		return nil, fmt.Errorf("there is no folder %s on %s", p.path, h.standing.server)
	}
	var told bytes.Buffer
	err = h.onHost(ctx, filesScript, []string{p.path}, nil, to, &told)
	if err != nil {
		return nil, err
	}
	if text := strings.TrimSpace(told.String()); text != "" {
		lines := strings.Split(text, "\n")
		h.say(fmt.Sprintf("%d files changed while they were read, such as: %s", len(lines), lines[0]))
		return map[string]string{"changed_while_read": strconv.Itoa(len(lines))}, nil
	}
	return nil, nil
}

// longHold is how long writers may wait for a reader without being told of.
const longHold = 2 * time.Second

func (h *Holding) saveSQLite(ctx context.Context, to io.Writer) (map[string]string, error) {
	p, err := h.place(ctx)
	if err != nil {
		return nil, err
	}
	if p.is == "nothing" {
		return nil, resource.WithHint(fmt.Errorf("there is no file %s on %s", p.path, h.standing.server), "is path what the service has its database in?")
	}
	if err := h.needSQLite(ctx); err != nil {
		return nil, err
	}
	stage := ""
	if h.data.Stage {
		stage = path.Join(path.Dir(p.path), stagePrefix+path.Base(p.path))
	}
	begun := time.Now()
	found, err := h.snapshot(ctx, p.path, stage, to)
	if err != nil {
		return nil, err
	}
	if took := time.Since(begun); !found.Log && stage == "" && took > longHold {
		h.say(fmt.Sprintf("writers waited %s for the reader: set the database's journal_mode to WAL, or say stage = true", took.Round(time.Second)))
	}
	journal := "rollback"
	if found.Log {
		journal = "wal"
	}
	return map[string]string{"journal": journal, "frames_of_log": strconv.Itoa(found.Frames)}, nil
}

// needSQLite makes the program sqlite3 be there on the server.
func (h *Holding) needSQLite(ctx context.Context) error {
	out, err := h.standing.engine.host.Run(ctx, remote.Package("sqlite3", "sqlite3", "sqlite"))
	if err != nil {
		return resource.WithHint(fmt.Errorf("install sqlite3 on %s: %w", h.standing.server, err), "install it in the server's image")
	}
	if len(out.Stdout) > 0 {
		h.say("installed sqlite3 on the server: it is what reads a live database")
	}
	return nil
}

// maxTries is how often a database is read again whose log was begun anew meanwhile.
const maxTries = 30

// snapshot copies a live database.
func (h *Holding) snapshot(ctx context.Context, file, stage string, to io.Writer) (sqlite.Found, error) {
	for try := 1; ; try++ {
		found, err := h.readSnapshot(ctx, file, stage, to)
		if !errors.Is(err, sqlite.ErrMoved) || try == maxTries {
			return found, err
		}
	}
}

func (h *Holding) readSnapshot(ctx context.Context, file, stage string, to io.Writer) (sqlite.Found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// The end of the stream is the script's success, which the reader waits for.
		_ = in.CloseWithError(h.onHost(ctx, sqlite.Script, []string{file, stage}, nil, in, io.Discard))
	}()
	found, err := sqlite.ReadSnapshot(to, out)
	if err != nil {
		cancel()
		_ = out.CloseWithError(err)
	}
	<-ended
	return found, err
}
