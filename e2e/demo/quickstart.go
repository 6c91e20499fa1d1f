package main

import (
	"context"
	"fmt"
)

// quickstart is the main job: a first release on bare servers, a second one on the idle group, the
// switch, the way back, and the switch again.
func quickstart(ctx context.Context, d *demonstration) error {
	title("a lab: the cloud's API on loopback, servers in containers")
	if err := d.Up(ctx, "containers"); err != nil {
		return err
	}
	title("the first release, v1, on bare servers")
	if err := d.ship(ctx, "apply", "-y", "--new-key", "--var", "version=v1"); err != nil {
		return err
	}
	if err := d.underLoad(ctx); err != nil {
		return err
	}
	if err := d.sees(ctx, "v1"); err != nil {
		return err
	}
	d.vars = []string{"--var", "version=v2"}
	title("v2 goes to the idle group; v1 stays live")
	if err := d.ship(ctx, "apply", "-y"); err != nil {
		return err
	}
	if err := d.sees(ctx, "v1"); err != nil {
		return err
	}
	for _, s := range []struct {
		what, want string
		args       []string
	}{
		{"the switch to v2", "v2", []string{"switch", "-y"}},
		{"the way back to v1", "v1", []string{"rollback", "-y"}},
		{"and v2 again", "v2", []string{"switch", "-y", "--again"}},
	} {
		title("%s", s.what)
		if err := d.ship(ctx, s.args...); err != nil {
			return err
		}
		d.switches++
		if err := d.sees(ctx, s.want); err != nil {
			return err
		}
	}
	title("a second plan is empty")
	if out := d.Run(ctx, append([]string{"plan", "--detailed-exitcode"}, d.vars...)...); out.Code != 0 {
		return fmt.Errorf("the second plan is not empty: exit %d", out.Code)
	}
	d.load.Stop()
	if err := d.unfailed(); err != nil {
		return err
	}
	title("destroying everything")
	return d.ship(ctx, "destroy", "-y")
}
