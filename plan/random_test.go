package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// life is a random life of a stack: its file changes, things break, programs are killed, answers
// are lost. After each command that was not killed the second plan must be empty.
type life struct {
	d   *desk
	r   *rand.Rand
	did []string
}

func (l *life) chance(n int) bool { return l.r.IntN(n) == 0 }

func (l *life) note(format string, args ...any) { l.did = append(l.did, fmt.Sprintf(format, args...)) }

// change edits the stack file.
func (l *life) change() {
	f := &l.d.file
	switch l.r.IntN(9) {
	case 7:
		if live := l.d.stored.Intent.Live["www"]; len(f.groups) == 1 {
			f.groups = []string{"blue", "green"}
		} else if live != "" && len(l.d.stored.Intent.Switch) == 0 {
			f.groups = []string{live}
		}
	case 8:
		if l.chance(3) {
			f.balancer = !f.balancer
			l.d.sim.served = false
		}
	case 0, 1:
		f.release = fmt.Sprintf("v%d", 1+l.r.IntN(6))
	case 2:
		f.servers = 1 + l.r.IntN(3)
	case 3:
		f.size = []string{"small", "large"}[l.r.IntN(2)]
	case 4:
		f.listeners = 80 + l.r.IntN(3)
	case 5:
		f.keys = [][]string{nil, {"ssh-ed25519 BBBB"}}[l.r.IntN(2)]
	case 6:
		if l.chance(2) {
			f.network = []string{"lan", "wan"}[l.r.IntN(2)]
		}
	}
	l.note("file: groups %v, balancer %v, release %s, servers %d, size %s, port %d, keys %v, network %s", f.groups, f.balancer, f.release, f.servers, f.size, f.listeners, f.keys, f.network)
}

// harm changes the world behind our back.
func (l *life) harm() {
	s := l.d.sim
	group := l.d.file.groups[l.r.IntN(len(l.d.file.groups))]
	servers := s.of(resource.Server(group, l.r.IntN(2)))
	if len(servers) == 0 {
		return
	}
	t := servers[0]
	l.note("harm to %s", t.found.Mark)
	s.served = false
	switch h := s.hosts[t.found.ID]; l.r.IntN(4) {
	case 0:
		s.byHand(t.found.Mark.Address)
	case 1:
		t.found.Broken = "powered off"
	case 2:
		t.found.Problem = "errored"
	case 3:
		if h != nil && h.release != nil {
			h.release.Broken = "web-1 is exited"
		}
	}
}

// wish picks a command.
func (l *life) wish() wish {
	if len(l.d.file.groups) == 1 || !l.d.file.balancer {
		return applyWish
	}
	switch l.r.IntN(6) {
	case 0, 1:
		return switchWish
	case 2:
		return wish{command: "rollback", flags: Flags{Rollback: map[string]string{"www": ""}}}
	case 3:
		return wish{command: "switch", flags: Flags{Move: map[string]bool{"www": true}, Again: true}}
	}
	return applyWish
}

// run gives the command, perhaps killed on the way, perhaps with lost answers; then apply until it
// ends well.
func (l *life) run(t *testing.T) {
	s := l.d.sim
	w := l.wish()
	if l.chance(2) {
		s.calls, s.cut, s.cutAfter = 0, 1+l.r.IntN(40), l.chance(2)
	}
	if l.chance(4) {
		s.lose = 0.1
	}
	clear(s.badPhase)
	if l.chance(5) {
		s.badPhase[l.d.file.release] = forward[l.r.IntN(len(forward))]
		l.note("bad at %s", s.badPhase[l.d.file.release])
	}
	l.note("%s, killed at %d (after: %v), lost answers %v", w.command, s.cut, s.cutAfter, s.lose)
	p, r, err := l.d.apply(t.Context(), w)
	killed := s.dead
	s.dead, s.cut, s.lose = false, 0, 0
	var bad *BadRelease
	if errors.As(err, &bad) || err != nil && strings.Contains(resource.HintOf(err), "cloudship") {
		l.note("refused: %v", err)
		w = applyWish
		err = nil
		killed = true
	}
	if err != nil && !killed {
		t.Fatal(err)
	}
	if len(r.Failed) > 0 && !killed && len(s.badPhase) == 0 {
		t.Errorf("failed: %v", r.Failed)
	}
	clear(s.badPhase)
	if killed || w.command != "apply" || len(r.Failed) > 0 {
		s.log = append(s.log, "---- again")
		if p, r, err = l.d.apply(t.Context(), applyWish); err != nil || len(r.Failed) > 0 {
			t.Errorf("the apply after it: %v %v", r.Failed, err)
		}
	}
	if p != nil && len(p.Deferred) > 0 { // what waited for a group that is idle by now
		must(t, l.d, applyWish)
	}
}

// live lives a whole life.
func live(t *testing.T, seed uint64, commands int) {
	synctest.Test(t, func(t *testing.T) {
		l := &life{d: &desk{sim: newSim(), file: pairFile()}, r: newRandom(seed)}
		if l.chance(3) {
			l.d.file.groups = []string{"blue"}
		}
		l.d.sim.lag = time.Duration(l.r.IntN(3)) * time.Second
		for range commands {
			for range l.r.IntN(3) {
				l.change()
			}
			if l.chance(4) {
				l.harm()
			}
			l.d.sim.log = nil
			l.run(t)
			<-time.After(5 * time.Second) // of the bubble: lists catch up
			l.d.settled(t, applyWish)
			for _, w := range l.d.sim.wrong {
				t.Error(w)
			}
			if t.Failed() {
				t.Fatalf("seed %d\n%s\n\ncalls of the last command:\n%s", seed, strings.Join(l.did, "\n"), strings.Join(l.d.sim.log, "\n"))
			}
		}
	})
}

func TestRandomLives(t *testing.T) {
	for seed := range uint64(30) {
		live(t, seed, 8)
		if t.Failed() {
			return
		}
	}
}

func FuzzLives(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(1000 + seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { live(t, seed, 6) })
}
