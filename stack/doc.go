// Package stack reads cloudship.hcl: what a user wants, as typed blocks with places, and turns it
// together with an intent into the wanted resources. It reads the user's files and nothing else:
// it asks no cloud and writes nothing.
//
//	s, diags := stack.Load(".", stack.Options{Vars: map[string]string{"tag": "v2"}, Environ: os.Environ()})
//	if diags.HasErrors() {
//		stack.Print(os.Stderr, diags, s.Sources(), false)
//		return
//	}
//	wanted, err := stack.Wants(s, stack.Selection{Releases: map[string]string{"blue": release.ID}})
//
// The language is HCL. language.go is its grammar as a table; what a block means is in the file of
// its name. Values are evaluated when they are asked for, so blocks may refer to each other in any
// order. Two marks travel with values: sensitive ones are let into few places only, and late ones
// (facts that are found only when things run) into outputs and template inputs.
package stack
