package digitalocean

import (
	"context"
	"strconv"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// health is what the balancers' own checks are said to have found, by balancer and droplet.
type health map[string]map[string]resource.Member

const (
	// metricPatience is how long the metric may take: it is for the reader only.
	metricPatience = 3 * time.Second
	// metricAge is from when on a sample is too old to tell anything.
	metricAge = 3 * time.Minute
)

// measure reads the metric of DigitalOcean's health checks, as far as it can be read. It is sampled
// and late and its labels are not documented, so that nothing is decided by it: it is shown. What
// it does not tell is unknown.
func (b balancers) measure(ctx context.Context, list []godo.LoadBalancer) health {
	ctx, cancel := context.WithTimeout(ctx, metricPatience)
	defer cancel()
	h := health{}
	now := time.Now()
	for _, lb := range list {
		if len(lb.DropletIDs) == 0 {
			continue
		}
		metric, _, err := b.api.Monitoring.GetLoadBalancerDropletsHealthChecks(ctx, &godo.LoadBalancerMetricsRequest{
			LoadBalancerID: lb.ID, Start: now.Add(-metricAge), End: now})
		if err != nil {
			continue
		}
		h[lb.ID] = samples(metric, now)
	}
	return h
}

// samples reads the last sample of each droplet.
func samples(metric *godo.MetricsResponse, now time.Time) map[string]resource.Member {
	last := map[string]resource.Member{}
	for _, series := range metric.Data.Result {
		droplet := string(series.Metric["droplet_id"])
		if _, err := strconv.Atoi(droplet); err != nil || len(series.Values) == 0 {
			continue
		}
		sample := series.Values[len(series.Values)-1]
		at := time.Unix(sample.Timestamp.Unix(), 0).UTC()
		if now.Sub(at) > metricAge {
			continue
		}
		member := resource.Member{Health: resource.Unhealthy, Evidence: "DigitalOcean's metric", Since: at}
		if sample.Value == 1 {
			member.Health = resource.Healthy
		}
		last[droplet] = member
	}
	return last
}
