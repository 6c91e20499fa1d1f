package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// tape is a journal that grows while it is read, behind a connection that breaks.
type tape struct {
	chance *rand.Rand
	lines  []string // entries as journalctl prints them; the cursor is the index
	shown  int      // so many are written by now
	cuts   int      // how often the connection breaks yet
	done   func()   // all was followed
}

var errCut = errors.New("the connection is cut")

func (j *tape) write(out io.Writer, index int) error {
	line := j.lines[index] + "\n"
	if j.cuts > 0 && j.chance.IntN(6) == 0 {
		j.cuts--
		_, _ = out.Write([]byte(line[:j.chance.IntN(len(line)+1)]))
		return errCut
	}
	_, _ = out.Write([]byte(line))
	return nil
}

func (j *tape) Exec(ctx context.Context, c remote.Command, _ io.Reader, stdout, _ io.Writer) error {
	switch c.Script {
	case journalEnd:
		err := j.write(stdout, j.shown-1)
		j.shown = min(len(j.lines), j.shown+j.chance.IntN(4)) // meanwhile
		return err
	case tailJournal:
		n, _ := strconv.Atoi(c.Argv[0])
		for i := max(0, j.shown-n); i < j.shown; i++ {
			if err := j.write(stdout, i); err != nil {
				return err
			}
		}
		return nil
	case followJournal:
		from := 0
		for _, arg := range c.Argv {
			if cursor, ok := strings.CutPrefix(arg, "--after-cursor="); ok {
				n, _ := strconv.Atoi(cursor)
				from = n + 1
			}
		}
		for i := from; i < len(j.lines); i++ {
			j.shown = max(j.shown, i+1)
			if err := j.write(stdout, i); err != nil {
				return err
			}
		}
		j.done()
		<-ctx.Done()
		return ctx.Err()
	}
	return fmt.Errorf("unknown command %s", c)
}

// entries makes the lines of three containers, some of them in pieces, mixed.
func entriesOf(chance *rand.Rand, n int) (entries, texts []string) {
	type left struct {
		from  string
		parts []string
	}
	var open []left
	number := 0
	for number < n || len(open) > 0 {
		if number < n && len(open) < 3 && chance.IntN(2) == 0 {
			number++
			from := "c" + strconv.Itoa(number%3)
			if slices.ContainsFunc(open, func(l left) bool { return l.from == from }) {
				number--
			} else {
				text := fmt.Sprintf("line %d", number)
				var parts []string
				for range chance.IntN(3) {
					at := chance.IntN(len(text))
					parts, text = append(parts, text[:at]), text[at:]
				}
				open = append(open, left{from, append(parts, text)})
			}
		}
		if len(open) == 0 {
			continue
		}
		i := chance.IntN(len(open))
		fields := map[string]string{
			"__CURSOR": strconv.Itoa(len(entries)), "__REALTIME_TIMESTAMP": strconv.Itoa(1795841749000000 + len(entries)),
			"MESSAGE": open[i].parts[0], "CONTAINER_ID_FULL": open[i].from,
		}
		if len(open[i].parts) > 1 {
			fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
		}
		b, _ := json.Marshal(fields)
		entries = append(entries, string(b))
		if open[i].parts = open[i].parts[1:]; len(open[i].parts) == 0 {
			open = slices.Delete(open, i, i+1)
		}
	}
	for i := range n {
		texts = append(texts, fmt.Sprintf("line %d", i+1))
	}
	slices.Sort(texts)
	return entries, texts
}

func TestF21FollowLosesAndDoublesNothingWhenTheConnectionBreaks(t *testing.T) {
	for seed := range uint64(300) {
		chance := rand.New(rand.NewPCG(seed, 1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		entries, texts := entriesOf(chance, 40)
		j := &tape{chance: chance, lines: entries, shown: 1 + chance.IntN(20), cuts: 15, done: cancel}
		var got []string
		o := LogOptions{Follow: true, Tail: []int{0, 1000}[seed%2]} // all that there is, in both ways
		r := newJournalReader("shop-x7k2", resource.Server("blue", 0), o, func(l LogLine) { got = append(got, l.Text) })
		for ctx.Err() == nil {
			if err := r.run(ctx, j); err != nil && !errors.Is(err, errCut) && ctx.Err() == nil {
				t.Fatal(err)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, texts) {
			t.Fatalf("seed %d: %d lines, want %d: %q", seed, len(got), len(texts), got)
		}
	}
}

func TestCommandsThatReadAJournal(t *testing.T) {
	o := LogOptions{Services: []string{"app", "proxy"}, Since: time.Unix(1795841749, 5e8), Until: time.Unix(1795841800, 1), Tail: 20}
	r := newJournalReader("shop-x7k2", resource.Server("blue", 0), o, nil)
	common := "_UID=0 CLOUDSHIP_STACK=shop-x7k2 CLOUDSHIP_GROUP=blue"
	has := func(c remote.Command, script string, texts ...string) {
		t.Helper()
		args := strings.Join(c.Argv, " ")
		if c.Script != script || !c.Root {
			t.Errorf("another script, or not as root: %s", c)
		}
		for _, text := range texts {
			if !strings.Contains(args, text) {
				t.Errorf("no %q in %q", text, args)
			}
		}
	}
	has(r.past(), tailJournal, "20 COM_DOCKER_COMPOSE_SERVICE app\nproxy --output-fields=", common, "--since=@1795841749", "--until=@1795841801")
	r.options.Tail = 0
	has(r.past(), readJournal, common, "COM_DOCKER_COMPOSE_SERVICE=app COM_DOCKER_COMPOSE_SERVICE=proxy")
	r.safe = "s=1;i=f5"
	has(r.follow(), followJournal, common, "COM_DOCKER_COMPOSE_SERVICE=app", "--after-cursor=s=1;i=f5")
}
