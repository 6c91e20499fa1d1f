package plan

import (
	"sync"

	"github.com/cloudship/cloudship/resource"
)

// A Ledger is a stack's memory while it is being worked on. It may be used by several goroutines.
type Ledger struct {
	mu     sync.Mutex
	memory resource.Memory
}
