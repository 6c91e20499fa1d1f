package rackspace

import (
	"encoding/json"
	"maps"
	"net/http"
)

func (a *API) actionRoutes() {
	a.handle(compute, "POST /servers/{server}/action", a.actOnServer)
}

// actOnServer does one of the actions that the lab has: a reboot, off and on.
func (a *API) actOnServer(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	var r map[string]json.RawMessage
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	status, _ := a.status(c.now, s)
	wrong := func(action string) error {
		return fail(http.StatusConflict, "Cannot '%s' instance %s while it is in vm_state %s", action, s.ID, status)
	}
	for action := range r {
		switch action {
		case "reboot":
			if status != "ACTIVE" {
				return reply{}, wrong(action)
			}
			s.Rebooting = c.now.Add(durationOf(c.timing.ServerAction))
			a.Servers.Reboot(s.machine())
		case "os-start":
			if status != "SHUTOFF" {
				return reply{}, wrong(action)
			}
			s.Off = false
			a.Servers.SetPower(s.machine(), true)
		case "os-stop":
			if status != "ACTIVE" {
				return reply{}, wrong(action)
			}
			s.Off = true
			a.Servers.SetPower(s.machine(), false)
		default:
			return reply{}, fail(http.StatusBadRequest, "There is no such action: %s", action)
		}
		s.Updated = c.now
	}
	return accepted, nil
}

func (a *API) metadataRoutes() {
	a.handle(compute, "GET /servers/{server}/metadata", a.getMetadata)
	a.handle(compute, "PUT /servers/{server}/metadata", a.putMetadata(true))
	a.handle(compute, "POST /servers/{server}/metadata", a.putMetadata(false))
	a.handle(compute, "PUT /servers/{server}/metadata/{key}", a.putMeta)
	a.handle(compute, "DELETE /servers/{server}/metadata/{key}", a.deleteMeta)
}

func (a *API) getMetadata(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"metadata": s.Metadata}}, nil
}

// putMetadata replaces all metadata, or only what the body names.
func (a *API) putMetadata(all bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		s, err := a.shownServer(c)
		if err != nil {
			return reply{}, err
		}
		var r struct {
			Metadata map[string]json.RawMessage `json:"metadata"`
		}
		if err := c.decode(&r); err != nil {
			return reply{}, err
		}
		wanted, err := texts(r.Metadata)
		if err != nil {
			return reply{}, err
		}
		merged := map[string]string{}
		if !all {
			maps.Copy(merged, s.Metadata)
		}
		maps.Copy(merged, wanted)
		if err := checkMetadata(merged); err != nil {
			return reply{}, err
		}
		s.Metadata, s.Updated = merged, c.now
		return reply{status: http.StatusOK, body: map[string]any{"metadata": s.Metadata}}, nil
	}
}

func (a *API) putMeta(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	var r struct {
		Meta map[string]json.RawMessage `json:"meta"`
	}
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	wanted, err := texts(r.Meta)
	if err != nil {
		return reply{}, err
	}
	value, ok := wanted[c.PathValue("key")]
	if !ok || len(wanted) != 1 {
		return reply{}, fail(http.StatusBadRequest, "Request body and URI mismatch")
	}
	merged := maps.Clone(s.Metadata)
	merged[c.PathValue("key")] = value
	if err := checkMetadata(merged); err != nil {
		return reply{}, err
	}
	s.Metadata, s.Updated = merged, c.now
	return reply{status: http.StatusOK, body: map[string]any{"meta": wanted}}, nil
}

func (a *API) deleteMeta(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	if _, ok := s.Metadata[c.PathValue("key")]; !ok {
		return reply{}, fail(http.StatusNotFound, "Metadata item was not found")
	}
	merged := maps.Clone(s.Metadata)
	delete(merged, c.PathValue("key"))
	s.Metadata, s.Updated = merged, c.now
	return none, nil
}
