package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cloudship/cloudship/lab/image"
	"github.com/cloudship/cloudship/lab/machine"
)

// newHost makes what keeps the servers.
func newHost(ctx context.Context, o Options, s saved) (machine.Host, error) {
	switch o.Servers {
	case Paper:
		paper := machine.NewPaper(s.Paper...)
		paper.Insert(s.Disks)
		return paper, nil
	case Containers:
		if o.Dir == "" {
			return nil, errors.New("servers in containers need a data folder, by which they are found again")
		}
		return machine.OpenContainers(ctx, o.Dir, o.Log)
	}
	return nil, fmt.Errorf("servers %q: want %s or %s", o.Servers, Paper, Containers)
}

// slugs are the images that servers can start from; nil means all.
func slugs(o Options) []string {
	if o.Servers == Containers {
		return image.Slugs()
	}
	return nil
}

// destroyHost removes every server of a lab that has ended.
func destroyHost(ctx context.Context, o Options) error {
	if o.Servers != Containers {
		return nil // they went with the folder
	}
	host, err := machine.OpenContainers(ctx, o.Dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(host.RemoveAll(ctx), host.Close())
}
