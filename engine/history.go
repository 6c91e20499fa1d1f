package engine

import (
	"context"
	"sync"
	"time"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/resource"
)

// StatsHistory gives what all servers that are named have kept of their last time. One that cannot
// be asked, or keeps nothing, says why.
func (s *Session) StatsHistory(ctx context.Context, which string, last time.Duration) ([]deploy.ServerHistory, error) {
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return nil, err
	}
	all := make([]deploy.ServerHistory, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			one, err := s.driver().History(ctx, server.Found, server.Enrolled, last)
			one.Server = server.Mark.Address
			if err != nil {
				one.Problem = err.Error()
				if hint := resource.HintOf(err); hint != "" {
					one.Problem += ": " + hint
				}
			}
			all[i] = one
		})
	}
	wg.Wait()
	return all, ctx.Err()
}
