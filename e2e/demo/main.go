// Command demo runs cloudship's main job in the lab, under load: a first release on bare servers, a
// second one on the idle group, the switch, the way back, and the switch again. It fails if one
// request failed, and leaves nothing behind.
//
//	go run ./e2e/demo
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/e2e/rig"
)

func main() {
	example := flag.String("example", "examples/quickstart", "the stack that is released")
	program := flag.String("cloudship", "bin/cloudship", "the program")
	rate := flag.Int("rate", 20, "requests a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *program, *example, *rate); err != nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

// demonstration is one run of it.
type demonstration struct {
	*rig.Rig
	load     *load.Load
	switches int
}

func demo(ctx context.Context, program, example string, rate int) (err error) {
	begun := time.Now()
	program, err = filepath.Abs(program)
	if err != nil {
		return err
	}
	r, err := rig.New(program, example, os.Stderr)
	if err != nil {
		return err
	}
	d := &demonstration{Rig: r}
	defer func() {
		title("taking the lab down")
		// Also after an interrupt: what was made is taken away.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer cancel()
		if d.load != nil {
			d.load.Stop()
		}
		if down := r.Down(clean); down != nil && err == nil {
			err = down
		}
		if err == nil && d.load != nil {
			sent, failed, _ := d.load.Count()
			fmt.Printf("demo: %d requests, %d failed, %d switches, %.0f s\n", sent, failed, d.switches, time.Since(begun).Seconds())
		}
	}()
	return d.run(ctx, rate)
}

func (d *demonstration) run(ctx context.Context, rate int) error {
	title("a lab: DigitalOcean's API on loopback, servers in containers")
	if err := d.Up(ctx, "containers"); err != nil {
		return err
	}
	title("the first release, v1, on bare servers")
	if err := d.ship(ctx, "apply", "-y", "--new-key", "--var", "version=v1"); err != nil {
		return err
	}
	url, err := d.address(ctx)
	if err != nil {
		return err
	}
	if err := answers(ctx, url); err != nil {
		return err
	}
	d.load = load.Start(url, rate)
	if err := d.sees(ctx, "v1"); err != nil {
		return err
	}
	title("v2 goes to the idle group; v1 stays live")
	if err := d.ship(ctx, "apply", "-y", "--var", "version=v2"); err != nil {
		return err
	}
	if err := d.sees(ctx, "v1"); err != nil {
		return err
	}
	for _, s := range []struct {
		what, want string
		args       []string
	}{
		{"the switch to v2", "v2", []string{"switch", "-y", "--var", "version=v2"}},
		{"the way back to v1", "v1", []string{"rollback", "-y", "--var", "version=v2"}},
		{"and v2 again", "v2", []string{"switch", "-y", "--again", "--var", "version=v2"}},
	} {
		title(s.what)
		if err := d.ship(ctx, s.args...); err != nil {
			return err
		}
		d.switches++
		if err := d.sees(ctx, s.want); err != nil {
			return err
		}
	}
	title("a second plan is empty")
	if out := d.Run(ctx, "plan", "--detailed-exitcode", "--var", "version=v2"); out.Code != 0 {
		return fmt.Errorf("the second plan is not empty: exit %d", out.Code)
	}
	d.load.Stop()
	if sent, failed, failures := d.load.Count(); failed > 0 {
		return fmt.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}
	title("destroying everything")
	return d.ship(ctx, "destroy", "-y", "--var", "version=v2")
}

func title(text string) { fmt.Fprintf(os.Stderr, "\ndemo: == %s\n", text) }

// ship runs the program and wants it to succeed.
func (d *demonstration) ship(ctx context.Context, args ...string) error {
	fmt.Fprintf(os.Stderr, "demo: $ cloudship %s\n", strings.Join(args, " "))
	if out := d.Run(ctx, args...); out.Err != nil {
		return out.Err
	}
	if d.load == nil {
		return ctx.Err()
	}
	if sent, failed, failures := d.load.Count(); failed > 0 {
		return fmt.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}
	return ctx.Err()
}

// address is where the load balancer answers, by the stack's own output.
func (d *demonstration) address(ctx context.Context) (string, error) {
	out := d.Run(ctx, "output", "address")
	if out.Err != nil {
		return "", out.Err
	}
	return "http://" + strings.Trim(strings.TrimSpace(out.Stdout), `"`) + "/", nil
}

// answers waits for the first good answer: a balancer's health checks take their time.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s", answer.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", url, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sees waits until the load is answered by a version.
func (d *demonstration) sees(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for d.load.Version() != version {
		select {
		case <-ctx.Done():
			return fmt.Errorf("want answers of %s, the newest is of %q", version, d.load.Version())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
