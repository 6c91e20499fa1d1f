package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/resource"
)

func newImagesCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images of the releases that can be brought back: digest, tags, commit",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.session(cmd.Context(), t, g, "images")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			releases := s.Memory().Releases
			if t.json {
				for _, r := range newestFirst(releases) {
					t.object("image", r.ID, map[string]any{"release": r.ID, "images": r.Images, "tags": r.Tags, "commit": r.Commit, "made": r.Made})
				}
				return nil
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			for _, r := range newestFirst(releases) {
				for _, service := range slices.Sorted(maps.Keys(r.Images)) {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, service, r.Images[service], strings.Join(r.Tags, ","), r.Commit, r.Made.Local().Format(time.DateTime))
				}
			}
			return w.Flush()
		},
	}
	f.addVars(cmd.Flags())
	return cmd
}

func newestFirst(releases map[string]resource.ReleaseEntry) []resource.ReleaseEntry {
	return slices.SortedFunc(maps.Values(releases), func(a, b resource.ReleaseEntry) int { return b.Made.Compare(a.Made) })
}
