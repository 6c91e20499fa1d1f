// Command demo runs a whole story in the lab, under load, and fails if one request failed. It
// leaves nothing behind, also when it is interrupted.
//
//	go run ./e2e/demo                     the main job: release, switch, back, and again
//	go run ./e2e/demo -story proleads     a Ruby cluster behind Nginx, images from git, tests before each switch
//	go run ./e2e/demo -story fantasyreality -rate 50     one small droplet, updates in place, backup and restore
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
)

// stories are what can be demonstrated, each with the example that it is told with.
var stories = map[string]struct {
	example string
	tell    func(context.Context, *demonstration) error
}{
	"quickstart":     {"examples/quickstart", quickstart},
	"proleads":       {"examples/proleads", proleads},
	"fantasyreality": {"examples/fantasyreality", fantasyreality},
}

func main() {
	story := flag.String("story", "quickstart", "quickstart, proleads or fantasyreality")
	provider := flag.String("provider", "", "tell it with this provider instead of the one that the example names")
	program := flag.String("cloudship", "bin/cloudship", "the program")
	rate := flag.Int("rate", 20, "requests a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *story, *provider, *program, *rate); err != nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, name, provider, program string, rate int) (err error) {
	story, ok := stories[name]
	if !ok {
		return fmt.Errorf("there is no story %q", name)
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return err
	}
	r, err := rig.New(program, story.example, os.Stderr)
	if err != nil {
		return err
	}
	d := &demonstration{Rig: r, rate: rate, begun: time.Now()}
	if provider != "" {
		if err := d.move(provider); err != nil {
			return err
		}
	}
	err = story.tell(ctx, d)
	return d.end(ctx, err)
}

// providers are the words that name a cloud in an example, with a region of each.
var providers = map[string]string{"digitalocean": "fra1", "rackspace": "IAD"}

// move replaces the provider's word in the stack file, and its region.
func (d *demonstration) move(to string) error {
	region, ok := providers[to]
	if !ok {
		return fmt.Errorf("the lab has no provider %q", to)
	}
	path := filepath.Join(d.Dir, "cloudship.hcl")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var words []string
	for from, old := range providers {
		if from != to {
			words = append(words, `"`+from+`"`, `"`+to+`"`, `"`+old+`"`, `"`+region+`"`)
		}
	}
	words = slices.Clip(words)
	return os.WriteFile(path, []byte(strings.NewReplacer(words...).Replace(string(b))), 0o644)
}
