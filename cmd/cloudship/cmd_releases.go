package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/resource"
)

func newReleasesCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var history bool
	cmd := &cobra.Command{
		Use:   "releases",
		Short: "List the releases that are known: when, who, which commit and images, and where they run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.session(cmd.Context(), t, g, "releases")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			memory := s.Memory()
			switch {
			case t.json:
				t.object("releases", "releases", map[string]any{"releases": memory.Releases, "intent": memory.Intent})
			case history:
				t.table(func(row func(string, ...any)) { printHistory(row, memory.Intent.History) })
			default:
				t.table(func(row func(string, ...any)) { printReleases(row, memory) })
			}
			return nil
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&history, "history", false, "print what happened to releases and routes instead")
	return cmd
}

func printReleases(row func(format string, args ...any), m resource.Memory) {
	list := slices.SortedFunc(maps.Values(m.Releases), func(a, b resource.ReleaseEntry) int { return b.Made.Compare(a.Made) })
	for _, r := range list {
		words := []string{r.ID, r.Template, r.Made.Local().Format(time.DateTime), r.Actor}
		if r.Commit != "" {
			words = append(words, "commit "+r.Commit)
		}
		if len(r.Tags) > 0 {
			words = append(words, "tags "+strings.Join(r.Tags, ", "))
		}
		if groups := where(m, r.ID); len(groups) > 0 {
			words = append(words, strings.Join(groups, ", "))
		}
		row("%s", strings.Join(words, "  "))
		for _, service := range slices.Sorted(maps.Keys(r.Images)) {
			row("  %s: %s", service, r.Images[service])
		}
	}
}

// where says which groups run a release, and whether it went bad.
func where(m resource.Memory, id string) []string {
	var words []string
	live := map[string]bool{}
	for _, group := range m.Intent.Live {
		live[group] = true
	}
	for _, group := range slices.Sorted(maps.Keys(m.Intent.Releases)) {
		if m.Intent.Releases[group] != id {
			continue
		}
		if live[group] {
			group += " (live)"
		}
		words = append(words, group)
	}
	for _, list := range m.Intent.Bad {
		if slices.Contains(list, id) {
			words = append(words, "went bad")
		}
	}
	return words
}

func printHistory(row func(format string, args ...any), events []resource.Event) {
	for _, e := range events {
		row("%s\t%s\t%s\t%s\t%s\t%s\t%s", e.At.Local().Format(time.DateTime), e.Actor, e.What, e.Balancer, e.Group, e.Release, e.Note)
	}
}
