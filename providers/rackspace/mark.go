package rackspace

import (
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// markKey is the metadata that says whose a server or a load balancer is.
const markKey = "cloudship"

// ours reads a mark that the query asks for, of a kind: from metadata, or from the name where
// there is none.
func ours(metadata, name string, q resource.Query, kind resource.Kind) (resource.Mark, bool) {
	m, ok := resource.DecodeMark(metadata)
	if metadata == "" {
		m, ok = resource.DecodeMark(name)
	}
	return m, ok && q.Wants(m) && m.Address.Kind() == kind
}

// A key pair's name may have no dots, and no word of a mark has an underscore.
func keyName(m resource.Mark) string { return strings.ReplaceAll(m.Encode(), ".", "_") }
func markOfKey(name string) string   { return strings.ReplaceAll(name, "_", ".") }
