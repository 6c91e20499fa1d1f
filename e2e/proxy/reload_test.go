//go:build e2e

package proxy

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/e2e/load"
)

// TestF6KeptConnectionsSurviveAReload goes from one application to another and back, with nginx reloaded
// each time as the template has it, under clients that keep their connections and never send a
// request twice: none of them loses one.
func TestF6KeptConnectionsSurviveAReload(t *testing.T) {
	s := begin(t, nginx)
	s.swaps(6)
	t.Run("ARefusedConfigurationChangesNothing", func(t *testing.T) {
		if err := os.WriteFile(s.file, []byte("nonsense;\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := s.reload(); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("a configuration that nginx does not take is answered with %v", err)
		}
		s.app(0, "v1")
		if status := tell(t, s.address, "GET / HTTP/1.1\r\nHost: "+site+"\r\n\r\n"); status != http.StatusOK {
			t.Errorf("after a refused configuration it answers with %d", status)
		}
	})
}

// swaps goes back and forth between the places under load; it ends at the first.
func (s *stand) swaps(times int) {
	s.Helper()
	versions := [2]string{"v1", "v2"}
	old := s.app(0, versions[0])
	l := load.StartKept(s.address, 100, 20, func(n int) (*http.Request, error) {
		method := http.MethodGet
		if n%5 == 0 {
			method = http.MethodPost // which nobody may send again
		}
		return http.NewRequest(method, "http://"+site+"/", nil)
	}, nil)
	defer l.Stop()
	s.eventually("the first serves", func() bool { return l.Version() == versions[0] })
	for i := range times {
		to := (i + 1) % 2
		fresh := s.app(to, versions[to])
		s.configure(to)
		if err := s.reload(); err != nil {
			s.Fatal(err)
		}
		old.end(s.T)
		old = fresh
		s.eventually(versions[to]+" serves", func() bool { return l.Version() == versions[to] })
	}
	l.Stop()
	old.end(s.T)
	sent, failed, failures := l.Count()
	s.Logf("%d requests over %d connections, %d failed, %d cut, %d reloads", sent, l.Dialed(), failed, l.Cut(), times)
	if n := l.Cut(); n > 0 {
		s.Errorf("%d connections were cut while they were idle", n)
	}
	if failed > 0 || sent < 100 {
		s.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}
}

// TestF16 puts Caddy in nginx's place, by another Compose file alone, and asks the same of it.
func TestF16AnotherProxyDoesTheSame(t *testing.T) {
	t.Run("F16CaddyRefusesWhatIsMalformed", func(t *testing.T) { begin(t, caddy).refuses(caddy.mends) })
	t.Run("F16CaddyKeepsConnectionsOverAReload", func(t *testing.T) { begin(t, caddy).swaps(2) })
}
