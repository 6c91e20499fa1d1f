package state_test

import (
	"path/filepath"
	"testing"

	"github.com/cloudship/cloudship/state"
	"github.com/cloudship/cloudship/state/storetest"
)

func TestMain(m *testing.M) {
	if !state.DieAt() {
		storetest.Main(m)
	}
}

func TestLocalStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		return storetest.URL(t, filepath.Join(t.TempDir(), "stack [1]", "cloudship.state"))
	})
}

func TestMemoryStore(t *testing.T) {
	storetest.Quick(t, func(*testing.T) storetest.Place {
		store := state.Memory()
		return storetest.Place{Open: func() state.Store { return store }}
	})
}
