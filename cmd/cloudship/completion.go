package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/resource"
)

// completes has a command's arguments completed by the shell from the stack file and what is
// remembered. Nothing is asked of any cloud, and whatever goes wrong completes nothing.
func completes(cmd *cobra.Command, t *terminal, g *global, f *stackFlags, at int, names func(*engine.Session) []string) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if at >= 0 && len(args) != at {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s, err := f.session(cmd.Context(), t, g, "completion")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = s.Close() }()
		list := names(s)
		slices.Sort(list)
		return slices.Compact(list), cobra.ShellCompDirectiveNoFileComp
	}
}

// balancerNames are those with two groups.
func balancerNames(s *engine.Session) []string {
	var list []string
	for _, b := range s.Stack().LoadBalancers {
		if len(b.Groups) == 2 {
			list = append(list, b.Name)
		}
	}
	return list
}

func serviceNames(s *engine.Session) []string {
	var list []string
	for _, r := range s.Memory().Records {
		for _, c := range r.Facts.Containers {
			list = append(list, c.Service)
		}
	}
	return list
}

func serverNames(s *engine.Session) []string {
	var list []string
	for a := range s.Memory().Records {
		if a.Kind() == resource.KindServer {
			list = append(list, fmt.Sprintf("%s[%d]", a.Name, a.Index))
		}
	}
	return list
}

func addressNames(s *engine.Session) []string {
	var list []string
	for a := range maps.Keys(s.Memory().Records) {
		list = append(list, a.String())
	}
	return list
}
