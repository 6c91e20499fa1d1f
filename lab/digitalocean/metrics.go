package digitalocean

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (a *API) metricRoutes() {
	a.handle("GET /v2/monitoring/metrics/load_balancer/droplets_health_checks", a.getHealthChecks)
	for _, name := range []string{
		"frontend_connections_current", "frontend_http_responses", "droplets_queue_size",
		"droplets_http_responses", "droplets_connections", "droplets_downtime",
	} {
		a.handle("GET /v2/monitoring/metrics/load_balancer/"+name, a.getEmptyMetric)
	}
}

// series is the values of one thing over time.
type series struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"` // Unix time and the value as text
}

func matrix(all []series) reply {
	return reply{http.StatusOK, map[string]any{
		"status": "success",
		"data":   map[string]any{"resultType": "matrix", "result": some(all)},
	}}
}

// measured reads which balancer is asked for, and from when to when.
func (a *API) measured(c *call) (lb *loadBalancer, from, to time.Time, err error) {
	query := c.URL.Query()
	for name, t := range map[string]*time.Time{"start": &from, "end": &to} {
		n, err := strconv.ParseFloat(query.Get(name), 64)
		if err != nil {
			return nil, from, to, fail(http.StatusBadRequest, "%s must be a Unix time in seconds", name)
		}
		*t = time.Unix(int64(n), 0)
	}
	lb, ok := a.state.Balancers.Get(query.Get("lb_id"))
	if !ok {
		return nil, from, to, notFound()
	}
	return lb, from, to, nil
}

// getHealthChecks tells what the balancer's own checks said of each member, as
// it was sampled, and only after a while.
func (a *API) getHealthChecks(c *call) (reply, error) {
	lb, from, to, err := a.measured(c)
	if err != nil {
		return reply{}, err
	}
	if newest := c.now.Add(-durationOf(c.timing.MetricDelay)); to.After(newest) {
		to = newest
	}
	byDroplet := map[string]*series{}
	var order []string
	for _, s := range lb.samples {
		if s.at.Before(from) || s.at.After(to) {
			continue
		}
		for server, healthy := range s.health {
			m := byDroplet[server]
			if m == nil {
				var id int
				fmt.Sscanf(server, "do-%d", &id)
				m = &series{Metric: map[string]string{"lb_id": lb.ID, "droplet_id": strconv.Itoa(id)}}
				byDroplet[server] = m
				order = append(order, server)
			}
			value := "0"
			if healthy {
				value = "1"
			}
			m.Values = append(m.Values, [2]any{s.at.Unix(), value})
		}
	}
	slices.Sort(order)
	var all []series
	for _, server := range order {
		all = append(all, *byDroplet[server])
	}
	return matrix(all), nil
}

// getEmptyMetric serves the metrics that the lab does not measure.
func (a *API) getEmptyMetric(c *call) (reply, error) {
	if _, _, _, err := a.measured(c); err != nil {
		return reply{}, err
	}
	return matrix(nil), nil
}
