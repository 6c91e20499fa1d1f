package state

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Memory returns a store that lasts as long as the program. It keeps the whole
// contract and needs no clean-up.
func Memory() Store { return &memory{snapshots: map[Serial][]byte{}} }

type memory struct {
	mu        sync.Mutex
	snapshots map[Serial][]byte
	lease     Record
	swapped   time.Time
	swaps     int
}

func (m *memory) Name() string { return "memory" }
func (m *memory) Close() error { return nil }

func (m *memory) Put(ctx context.Context, serial Serial, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := m.snapshots[serial]; ok {
		return ErrExists
	}
	m.snapshots[serial] = bytes.Clone(data)
	return nil
}

func (m *memory) Get(ctx context.Context, serial Serial) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := m.snapshots[serial]
	if !ok {
		return nil, ErrAbsent
	}
	return bytes.Clone(data), nil
}

func (m *memory) List(ctx context.Context, after Serial) ([]Serial, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	serials := slices.Sorted(maps.Keys(m.snapshots))
	return slices.DeleteFunc(serials, func(s Serial) bool { return s <= after }), nil
}

func (m *memory) Delete(ctx context.Context, serial Serial) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(m.snapshots, serial)
	return nil
}

func (m *memory) Lease(ctx context.Context) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	record := m.lease
	if record.Version != "" {
		record.Data = bytes.Clone(record.Data)
		record.Age = time.Since(m.swapped)
	}
	return record, nil
}

func (m *memory) SwapLease(ctx context.Context, version string, data []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if version != m.lease.Version {
		return "", ErrMoved
	}
	m.swaps++
	m.lease = Record{Data: bytes.Clone(data), Version: strconv.Itoa(m.swaps)}
	m.swapped = time.Now()
	return m.lease.Version, nil
}
