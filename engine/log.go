package engine

import (
	"context"
	"fmt"
	"maps"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/deploy/shipper"
	"github.com/cloudship/cloudship/template"
)

// addLog gives a release what the stack file's log block wants: its containers log to the journal,
// and the shipper is a service of it. That makes another release of it.
func (s *Session) addLog(ctx context.Context, rendered *template.Rendered) error {
	l := s.stack.Log
	if l == nil {
		return nil
	}
	r := rendered.Release
	if l.Ship != nil {
		name := or(l.Ship.Image, shipper.Image)
		image, err := s.images()(ctx, template.ImageRequest{Services: []string{shipper.Name}, Name: name})
		if err != nil {
			return fmt.Errorf("image %s of the log block's shipper: %w", name, err)
		}
		sink := shipper.Sink{Kind: l.Ship.Sink, URL: l.Ship.URL.Text, Secret: l.Ship.URL.Sensitive, Path: l.Ship.Path, Memory: l.Ship.Memory}
		secrets, err := shipper.Add(r, image, shipper.Journal{Stack: string(s.id)}, sink, func(value string) string { return s.key.Digest("release", value) })
		if err != nil {
			return fmt.Errorf("%s: %w", l.Ship.Place, err)
		}
		maps.Copy(rendered.Secrets, secrets)
		for digest := range secrets {
			rendered.Sensitive = append(rendered.Sensitive, digest)
		}
		rendered.Images[shipper.Name] = image.Reference()
	}
	deploy.LogToJournal(r)
	var err error
	rendered.ID, err = r.ID()
	return err
}
