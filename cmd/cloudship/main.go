// Command cloudship plans and applies a stack: servers, load balancers, Docker, releases and the
// switch of traffic between groups, as one plan.
//
// One file per command: cmd_NAME.go has its flags and its run function. What several share is in
// the files named for it: flags.go, exit.go, terminal.go, progress.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/providers/digitalocean"
	"github.com/cloudship/cloudship/providers/hosts"
	"github.com/cloudship/cloudship/providers/rackspace"
)

// builtIn are the providers that this program serves itself, each in a process of its own.
var builtIn = plugins.BuiltIn{
	"digitalocean": digitalocean.New,
	"hosts":        hosts.New,
	"rackspace":    rackspace.New,
}

func main() { os.Exit(run()) }

func run() int {
	builtIn.ServeIfAsked()
	t := newTerminal(os.Stdin, os.Stdout, os.Stderr)
	ctx, stop := signals(t)
	defer stop()
	if saysJSON(os.Args[1:]) {
		t.streams() // also for what is wrong with the command line itself
	}
	root := newRoot(t)
	root.SetArgs(os.Args[1:])
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && cmd == root {
		err = &usageError{err} // it does nothing itself: an unknown command
	}
	t.close()
	return t.exit(ctx, err)
}

// saysJSON reports whether a stream of objects is wanted, before the command line is understood.
func saysJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json":
			return true
		}
	}
	return false
}

// signals gives a context that ends at the first interrupt. A second one ends the process at once:
// nothing is lost by that, the next apply finds what was made.
func signals(t *terminal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		s, ok := <-c
		if !ok {
			return
		}
		cancel(&interruptedError{s})
		if t.walking.Load() {
			t.say("interrupted: nothing new is begun; what runs is ended and saved (once more to stop at once)")
		}
		if s, ok := <-c; ok {
			os.Exit((&interruptedError{s}).code())
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(c)
		cancel(nil)
	}
}
