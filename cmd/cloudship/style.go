package main

import "github.com/cloudship/cloudship/plan"

// style paints the printed plan. Without colour it is left as it is.
func style(color bool) plan.Style {
	if !color {
		return nil
	}
	codes := map[plan.Ink]string{
		plan.Added: "32", plan.Changed: "33", plan.Removed: "31", plan.Moved: "36", plan.Faint: "2", plan.Strong: "1",
	}
	return func(ink plan.Ink, text string) string {
		code, ok := codes[ink]
		if !ok || text == "" {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
}
