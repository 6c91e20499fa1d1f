package lab

import (
	"context"
	"fmt"

	"github.com/cloudship/cloudship/lab/machine"
)

// newHost makes what keeps the servers.
func newHost(ctx context.Context, o Options, s saved) (machine.Host, error) {
	switch o.Servers {
	case Paper:
		return machine.NewPaper(s.Paper...), nil
	}
	return nil, fmt.Errorf("servers %q: want %s or %s", o.Servers, Paper, Containers)
}

// destroyHost removes every server of a lab that has ended.
func destroyHost(ctx context.Context, o Options) error {
	if o.Servers == Paper {
		return nil // they went with the folder
	}
	return nil
}
