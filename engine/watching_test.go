package engine

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/deploy"
)

func line(second int, text string) deploy.LogLine {
	return deploy.LogLine{At: time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC), Text: text}
}

func TestP17LinesOfSeveralServersComeInTheOrderOfTheirTime(t *testing.T) {
	lines := make(chan deploy.LogLine, 10)
	for _, l := range []deploy.LogLine{line(3, "c"), line(1, "a"), line(4, "d"), line(2, "b"), line(2, "b2")} {
		lines <- l
	}
	close(lines)
	var got []string
	inOrder(lines, 0, func(l deploy.LogLine) { got = append(got, l.Text) })
	if strings.Join(got, " ") != "a b b2 c d" {
		t.Errorf("got %q", got)
	}
}

func TestFollowedLinesAreHeldBackForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := make(chan deploy.LogLine)
		var mu sync.Mutex
		var got []string
		passed := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(got)
		}
		done := make(chan struct{})
		go func() {
			inOrder(lines, logWindow, func(l deploy.LogLine) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, l.Text)
			})
			close(done)
		}()
		lines <- line(2, "b")
		lines <- line(1, "a")
		<-time.After(logWindow / 8)
		synctest.Wait()
		if got := passed(); len(got) != 0 {
			t.Fatalf("passed on at once: %q", got)
		}
		<-time.After(2 * logWindow)
		synctest.Wait()
		if got := passed(); strings.Join(got, " ") != "a b" {
			t.Fatalf("got %q", got)
		}
		close(lines)
		<-done
	})
}
