package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// inspection finds out whether what runs on a server is what its last rollout left.
type inspection struct {
	engine  *engine
	folder  folder
	current currentFile
	hostIP  string
}

// look gives the containers that there are, and what is out of order, or "".
func (i *inspection) look(ctx context.Context) ([]resource.Container, string, error) {
	cut, err := i.folder.rolling(ctx)
	if err != nil {
		return nil, "", err
	}
	containers, err := i.engine.containers(ctx)
	if err != nil {
		return nil, "", err
	}
	document, err := i.folder.release(ctx, i.current.Release)
	if err != nil {
		return nil, "", err
	}
	var list []resource.Container
	up := map[string]int{}
	for _, c := range containers {
		one := describe(c)
		if document != nil && one.State == "running" && one.Health != resource.Unhealthy {
			if i.failsProbe(ctx, document.Services[one.Service].Probe, c) {
				one.Health = resource.Unhealthy
			}
		}
		list = append(list, one)
		if one.State == "running" && one.Health != resource.Unhealthy || completed(c) {
			up[one.Service]++
		}
	}
	why := broken(i.current.Replicas, up)
	switch {
	case why != "":
	case cut != nil:
		why = "a rollout of release " + cut.Release + " was cut short"
	case document == nil:
		why = "release " + i.current.Release + " is not kept any more"
	default:
		why = i.outdated(document, list)
	}
	return list, why, nil
}

// failsProbe makes cloudship's own check of a container, as often as may fail in a row.
func (i *inspection) failsProbe(ctx context.Context, probe *template.Probe, c container.InspectResponse) bool {
	if probe == nil {
		return false
	}
	r := &rollout{engine: i.engine}
	for n := 1; ; n++ {
		if err := r.probe(ctx, probe, c); err == nil {
			return false
		}
		if n >= max(probe.Retries, 1) || pause(ctx, min(time.Duration(probe.Interval), time.Second)) != nil {
			return ctx.Err() == nil
		}
	}
}

// outdated names the services that were told something of others which is not true any more: an
// address or a port that changed when a container was started again.
func (i *inspection) outdated(document *template.Release, containers []resource.Container) string {
	var names []string
	for name, told := range i.current.Bound {
		bound, err := document.Bind(name, template.View{HostIP: i.hostIP, Containers: containers})
		if err != nil {
			continue // the container that it asks for is missing, which is said of that
		}
		if now, err := document.Hash(bound); err == nil && now != told {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return strings.Join(names, ", ") + " was told addresses or ports that have changed since"
}

// broken says what is missing of what should run.
func broken(want, have map[string]int) string {
	var missing []string
	for service, n := range want {
		switch {
		case have[service] < n && n == 1:
			missing = append(missing, service+" does not run")
		case have[service] < n:
			missing = append(missing, fmt.Sprintf("%d of %d containers of %s run", have[service], n, service))
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", ")
}

// digestOf is a digest of a value's JSON.
func digestOf(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
