package stack

import (
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
)

// written says where the fields of specs are written that have another name in the stack file.
var written = map[string]string{
	"need": "size", "image_id": "image", "listeners": "listener", "max_members": "groups", "servers": "servers",
	"probes": "switch", "test": "switch", "watch": "switch", "release": "template", "package": "docker",
}

// Where is the place of a resource's block, or of what a field of its spec was made from:
// "size", "need", "options.backups". An address that is not in the file has a Start.Line of 0.
func (s *Stack) Where(a resource.Address, field string) hcl.Range {
	n := s.scope.root.find(a.Block, a.Name)
	if n == nil {
		return outside(File)
	}
	name, rest, _ := strings.Cut(field, ".")
	if other, ok := written[name]; ok {
		name = other
	}
	inner := n.only(name)
	switch {
	case inner == nil:
		return n.where(name)
	case rest == "":
		return inner.at
	}
	return inner.where(rest)
}

// Explain puts a driver's error beside the line of the stack file that it is about, so that it can
// be printed as a mistake in the file. It gives nil for an error that is about no block.
func (s *Stack) Explain(e *resource.Error) *hcl.Diagnostic {
	at := s.Where(e.Address, e.Field)
	if at.Start.Line == 0 {
		return nil
	}
	bare := *e
	bare.Field = ""
	return fault(at, bare.Error(), "", e.Hint)
}
