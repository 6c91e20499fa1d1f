package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// live is what a terminal shows of what runs: a line each, with its elapsed time, that is wiped
// when it ends. Other lines are written above. The terminal's lock guards it.
type live struct {
	screen *mpb.Progress
	lines  map[string]*liveLine
}

// liveLine is the line of one thing that runs.
type liveLine struct {
	bar   *mpb.Bar
	since time.Time

	mu   sync.Mutex
	text string
}

func newLive(out *os.File) *live {
	return &live{
		screen: mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(150*time.Millisecond)),
		lines:  map[string]*liveLine{},
	}
}

func (l *live) add(name string, since time.Time) {
	if l.lines[name] != nil {
		return
	}
	line := &liveLine{since: since}
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	show := func(s decor.Statistics) string {
		line.mu.Lock()
		text := line.text
		line.mu.Unlock()
		elapsed := time.Since(line.since)
		whole := fmt.Sprintf("%c %5s  %s", frames[int(elapsed/(150*time.Millisecond))%len(frames)], elapsed.Round(time.Second), name)
		if text != "" {
			whole += ": " + text
		}
		if runes := []rune(whole); s.AvailableWidth > 1 && len(runes) >= s.AvailableWidth {
			whole = string(runes[:s.AvailableWidth-2]) + "…"
		}
		return whole
	}
	line.bar = l.screen.New(0, mpb.NopStyle(), mpb.PrependDecorators(decor.Any(show)))
	l.lines[name] = line
}

func (l *live) remove(name string) {
	if line := l.lines[name]; line != nil {
		line.bar.Abort(true)
		delete(l.lines, name)
	}
}

func (l *live) set(name, text string) {
	if line := l.lines[name]; line != nil {
		line.mu.Lock()
		line.text = strings.TrimSpace(strings.ReplaceAll(text, "\t", " "))
		line.mu.Unlock()
	}
}

// end wipes all lines and waits until the screen is at rest.
func (l *live) end() {
	for name := range l.lines {
		l.remove(name)
	}
	l.screen.Wait()
}

// show gives something that runs its live line, where the terminal can.
func (t *terminal) show(name string, since time.Time) {
	if !t.liveErr {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = newLive(t.screen)
	}
	t.live.add(t.secrets.String(name), since)
}

func (t *terminal) hide(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live != nil {
		t.live.remove(t.secrets.String(name))
	}
}

func (t *terminal) update(name, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live != nil {
		t.live.set(t.secrets.String(name), t.secrets.String(text))
	}
}

// wipe ends the live lines, for what is written beside them. The lock must be held.
func (t *terminal) wipe() {
	if t.live != nil {
		t.live.end()
		t.live = nil
	}
}
