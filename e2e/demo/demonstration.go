package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/e2e/rig"
)

// demonstration is one telling of a story.
type demonstration struct {
	*rig.Rig
	rate     int
	begun    time.Time
	vars     []string // flags that every command gets
	services *rig.Services
	url      string // what the load asks for
	load     witness
	switches int
}

// witness is a load that counts what fails.
type witness interface {
	Count() (sent, failed int, failures []string)
	Version() string
	Stop()
	Pause()
	Resume()
}

// end takes everything away, whatever happened, and says the last line.
func (d *demonstration) end(ctx context.Context, err error) error {
	title("taking the lab down")
	if d.load != nil {
		d.load.Stop()
	}
	if d.services != nil {
		d.services.Stop()
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer cancel()
	if down := d.Down(clean); err == nil {
		err = down
	}
	if err != nil || d.load == nil {
		return err
	}
	sent, failed, _ := d.load.Count()
	fmt.Printf("demo: %d requests, %d failed, %d switches, %.0f s\n", sent, failed, d.switches, time.Since(d.begun).Seconds())
	return nil
}

func title(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "\ndemo: == "+format+"\n", args...)
}

// ship runs the program and wants it to succeed, with no request failed until then.
func (d *demonstration) ship(ctx context.Context, args ...string) error {
	return d.shipTo(ctx, 0, args...)
}

// shipTo runs the program and wants it to end with a code, with no request failed until then.
func (d *demonstration) shipTo(ctx context.Context, code int, args ...string) error {
	fmt.Fprintf(os.Stderr, "demo: $ cloudship %s\n", strings.Join(args, " "))
	out := d.Run(ctx, append(args, d.vars...)...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if out.Code != code {
		return fmt.Errorf("cloudship %s: exit %d, want %d\n%s", strings.Join(args, " "), out.Code, code, out.Stderr)
	}
	return d.unfailed()
}

// unfailed is an error as soon as one request has failed.
func (d *demonstration) unfailed() error {
	if d.load == nil {
		return nil
	}
	if sent, failed, failures := d.load.Count(); failed > 0 {
		return fmt.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}
	return nil
}

// underLoad waits until the balancer answers, and sends requests from then on.
func (d *demonstration) underLoad(ctx context.Context) error {
	out := d.Run(ctx, append([]string{"output", "address"}, d.vars...)...)
	if out.Err != nil {
		return out.Err
	}
	url := "http://" + strings.TrimSpace(out.Stdout) + "/"
	if err := answers(ctx, url); err != nil {
		return err
	}
	d.url, d.load = url, load.Start(url, d.rate)
	return nil
}

// answers waits for the first good answer: a balancer's health checks take their time.
func answers(ctx context.Context, url string) error {
	return await(ctx, 2*time.Minute, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, answer.Status)
		}
		return nil
	})
}

// sees waits until the load is answered by a version.
func (d *demonstration) sees(ctx context.Context, version string) error {
	return await(ctx, time.Minute, func() error {
		if now := d.load.Version(); now != version {
			return fmt.Errorf("want answers of %s, the newest is of %q", version, now)
		}
		return nil
	})
}

// await asks until there is no error, for a while. An interrupt is told as what it is.
func await(ctx context.Context, patience time.Duration, ask func() error) error {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if whole.Err() != nil {
				return context.Cause(whole)
			}
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
