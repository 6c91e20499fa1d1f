// Package engine has one function per verb: it loads the stack, takes the lock, asks the world,
// makes the plan, walks it and commits. Events go out through Options; it knows no terminal.
//
//	s, err := engine.Open(ctx, engine.Options{Dir: ".", BuiltIn: providers})
//	defer s.Close()
//	p, err := s.Plan(ctx, engine.Request{})
//	result, err := s.Apply(ctx, p)
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/redact"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
)

// Options say which stack, and how to work on it.
type Options struct {
	Dir      string // the stack's folder
	Vars     map[string]string
	VarFiles []string
	Environ  []string                   // as os.Environ
	Values   map[string]json.RawMessage // of variables, as a saved plan has them; they win over all

	Looking bool // nothing is planned: variables that nobody gave are no error

	BuiltIn    plugins.BuiltIn // providers that this program serves itself
	PluginPath []string        // where executables of other providers lie

	Command  string        // what the user asked for, for the lock and the history
	MakeKey  bool          // a sealing key may be made for a stack that exists nowhere yet
	LockWait time.Duration // how long to wait for somebody else's lock
	Parallel int           // calls in flight at most; 0: 10
	Pace     plan.Pace     // zero: plan.DefaultPace
	NoBuild  bool          // take the images of the last build
	NoProbe  bool          // switch without probes
	Keep     int           // releases that a server keeps; 0: five

	WithOthers bool // servers may be deleted although other stacks live on them

	Redactor *redact.Redactor      // is told of every secret; never nil after Open
	Event    func(plan.Event)      // what goes on with resources; may be nil
	Say      func(string)          // what else goes on, a line at a time; may be nil
	Detail   func(of, line string) // what something that Busy has named says by the dozen; may be nil
	Busy     func(string) func()   // told of what takes time and is no step; what it gives is called at its end; may be nil
	Warn     func(string)          // what the user should know; may be nil
	Stderr   io.Writer             // what plugins say; may be nil
}

// Session is one stack opened: its file understood, its state read. Providers and servers are
// connected when they are first needed.
type Session struct {
	options Options
	stack   *stack.Stack
	store   state.Store
	head    state.Head
	key     *state.Key
	memory  resource.Memory  // as read, until Apply; see Memory
	have    plan.Have        // what the last Plan or Adopt found
	ledger  *plan.Ledger     // during and after Apply
	id      resource.StackID // empty for a stack that exists nowhere yet, until it is planned

	mu        sync.Mutex
	clouds    map[string]*cloud // by alias
	hosts     hostDriver
	logins    map[string]*remote.UserLogin // by alias of a provider whose servers existed before
	local     *client.Client
	lease     *state.Session
	secrets   map[string]string // values by digest, for calls
	sensitive map[string]bool   // digests whose values may be in no output
	built     map[string]built  // by build block, once they were made
}

// Load reads a stack file alone.
func Load(o Options) (*stack.Stack, error) {
	s, diags := stack.Load(o.Dir, stack.Options{Vars: o.Vars, VarFiles: o.VarFiles, Environ: o.Environ, Values: o.Values, Looking: o.Looking})
	if o.Redactor != nil {
		o.Redactor.Add(s.Secrets()...)
	}
	if diags.HasErrors() {
		return s, newDiagnosticsError(s, diags)
	}
	return s, nil
}

// Missing lists the variables that have no default and that nobody gave a value.
func Missing(o Options) []stack.Variable {
	s, _ := stack.Load(o.Dir, stack.Options{Vars: o.Vars, VarFiles: o.VarFiles, Environ: o.Environ, Values: o.Values, Looking: o.Looking})
	var list []stack.Variable
	for _, v := range s.Variables {
		if v.Missing {
			list = append(list, v)
		}
	}
	return list
}

// Open reads the stack file and the newest state. Nothing is asked of any cloud, no lock is taken,
// nothing is written.
func Open(ctx context.Context, o Options) (*Session, error) {
	if o.Redactor == nil {
		o.Redactor = redact.New()
	}
	if o.Pace == (plan.Pace{}) {
		o.Pace = plan.DefaultPace
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open stack: %w", err)
	}
	o.Dir = dir
	s := &Session{options: o, clouds: map[string]*cloud{}, secrets: map[string]string{}, sensitive: map[string]bool{}}
	if s.stack, err = Load(o); err != nil {
		return nil, err
	}
	if err := s.openState(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends plugins and connections, and gives the lock back.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.lease != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		errs = append(errs, s.lease.Close(ctx))
		s.lease = nil
	}
	for _, c := range s.clouds {
		errs = append(errs, c.client.Close())
	}
	s.clouds = map[string]*cloud{}
	if s.hosts != nil {
		s.hosts.Close()
		s.hosts = nil
	}
	for _, l := range s.logins {
		errs = append(errs, l.Close())
	}
	s.logins = nil
	if s.local != nil {
		errs = append(errs, s.local.Close())
		s.local = nil
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
		s.store = nil
	}
	return errors.Join(errs...)
}

// Stack is the stack file as it was understood.
func (s *Session) Stack() *stack.Stack { return s.stack }

// ID is the stack's id, empty while it exists nowhere.
func (s *Session) ID() resource.StackID { return s.id }

// Memory is what the stack remembers now.
func (s *Session) Memory() resource.Memory {
	if s.ledger != nil {
		return s.ledger.Memory()
	}
	return s.memory
}

// Redactor knows all secrets that were met so far.
func (s *Session) Redactor() *redact.Redactor { return s.options.Redactor }

func (s *Session) say(format string, args ...any) {
	if s.options.Say != nil {
		s.options.Say(fmt.Sprintf(format, args...))
	}
}

// detail passes on what something busy says by the dozen.
func (s *Session) detail(of, line string) {
	if s.options.Detail != nil {
		s.options.Detail(of, line)
	}
}

// busy notes that something takes time; the caller calls what it gives at the end.
func (s *Session) busy(what string) func() {
	if s.options.Busy != nil {
		return s.options.Busy(what)
	}
	return func() {}
}

func (s *Session) warn(format string, args ...any) {
	if s.options.Warn != nil {
		s.options.Warn(fmt.Sprintf(format, args...))
	}
}

// lookupEnv reads one variable of the environment that the session was given.
func (s *Session) lookupEnv(name string) (string, bool) { return lookup(s.options.Environ, name) }

func lookup(environ []string, name string) (string, bool) {
	prefix := name + "="
	for i := len(environ) - 1; i >= 0; i-- {
		if len(environ[i]) >= len(prefix) && environ[i][:len(prefix)] == prefix {
			return environ[i][len(prefix):], true
		}
	}
	return "", false
}

// cache is the user's folder for what can be made again.
func cache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "cloudship")
}
