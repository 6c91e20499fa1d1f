package cloud

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
)

// What a rule can do to a call.
const (
	Delay      = "delay"       // wait Wait, then go on
	FailBefore = "fail_before" // answer Status, without an effect
	FailAfter  = "fail_after"  // take effect, then answer Status
	DropBefore = "drop_before" // close the connection, without an effect
	LoseAnswer = "lose_answer" // take effect, then close the connection
	HangBefore = "hang_before" // no effect and no answer until the client leaves
	HangAfter  = "hang_after"  // take effect, no answer until the client leaves
	Spoil      = "spoil"       // take effect, but what was made or changed goes wrong later
	Hold       = "hold"        // stop the world when the call is at Point, until released
)

// Where a Hold rule stops its call. When its client leaves, a call without an
// answer is released by itself; one that has its answer only by Release, for
// then its client may close the connection as it likes.
const (
	BeforeEffect = "before_effect" // the call is received
	AfterEffect  = "after_effect"  // the effect is there, the answer is not sent
	AfterAnswer  = "after_answer"  // the client has the answer
)

// Rule is a fault on demand: which calls it hits, and what it does to them.
// Every condition that is set must hold. Of several rules that hit a call all
// delays count, and else the first.
type Rule struct {
	Provider string `json:"provider,omitempty"` // "digitalocean"; empty: any
	Method   string `json:"method,omitempty"`   // "POST"; empty: any
	// Path is compared with the call's path segment by segment: * in a segment
	// stands for any text, a last ** for any rest. Empty means any path.
	Path string `json:"path,omitempty"`

	// Of the calls that match, numbered from 1:
	Nth    int     `json:"nth,omitempty"`    // this one only
	Every  int     `json:"every,omitempty"`  // those divisible by it
	Chance float64 `json:"chance,omitempty"` // this share of them, drawn by Seed
	Seed   uint64  `json:"seed,omitempty"`
	Count  int     `json:"count,omitempty"` // at most so many

	Do         string   `json:"do"`
	Wait       Duration `json:"wait,omitzero"`         // of Delay
	Status     int      `json:"status,omitempty"`      // of FailBefore, FailAfter; 500 if zero
	Message    string   `json:"message,omitempty"`     // its message; of Spoil: what is told to have gone wrong
	RetryAfter int      `json:"retry_after,omitempty"` // its Retry-After header in seconds
	Point      string   `json:"point,omitempty"`       // of Hold; BeforeEffect if empty
}

// Check tells what is wrong with a rule, nil if nothing.
func (r Rule) Check() error {
	switch r.Do {
	case Delay, FailBefore, FailAfter, DropBefore, LoseAnswer, HangBefore, HangAfter, Spoil:
	case Hold:
		switch r.Point {
		case "", BeforeEffect, AfterEffect, AfterAnswer:
		default:
			return fmt.Errorf("point %q: want %s, %s or %s", r.Point, BeforeEffect, AfterEffect, AfterAnswer)
		}
	default:
		return fmt.Errorf("do %q: want one of %s", r.Do, strings.Join([]string{
			Delay, FailBefore, FailAfter, DropBefore, LoseAnswer, HangBefore, HangAfter, Spoil, Hold}, ", "))
	}
	if r.Chance < 0 || r.Chance > 1 {
		return fmt.Errorf("chance %v: want 0 to 1", r.Chance)
	}
	if r.Status != 0 && (r.Status < 400 || r.Status > 599) {
		return fmt.Errorf("status %d: want 400 to 599", r.Status)
	}
	if _, err := path.Match(r.Path, ""); err != nil {
		return fmt.Errorf("path %q: %w", r.Path, err)
	}
	return nil
}

// armed is a rule in force, with its counters.
type armed struct {
	Rule
	random *rand.Rand
	seen   int // calls that matched
	done   int // calls that were hit
}

func arm(r Rule) *armed {
	return &armed{Rule: r, random: rand.New(rand.NewPCG(r.Seed, r.Seed))}
}

func (a *armed) hit(provider, method, path string) bool {
	if a.Provider != "" && a.Provider != provider ||
		a.Method != "" && !strings.EqualFold(a.Method, method) || !matchPath(a.Path, path) {
		return false
	}
	a.seen++
	switch {
	case a.Nth != 0 && a.seen != a.Nth,
		a.Every != 0 && a.seen%a.Every != 0,
		a.Chance != 0 && a.random.Float64() >= a.Chance,
		a.Count != 0 && a.done >= a.Count:
		return false
	}
	a.done++
	return true
}

// matchPath compares segment by segment; see Rule.Path.
func matchPath(pattern, p string) bool {
	if pattern == "" {
		return true
	}
	want := strings.Split(strings.Trim(pattern, "/"), "/")
	have := strings.Split(strings.Trim(p, "/"), "/")
	for i, w := range want {
		if w == "**" && i == len(want)-1 {
			return true
		}
		if i >= len(have) {
			return false
		}
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return len(have) == len(want)
}
