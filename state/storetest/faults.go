package storetest

import (
	"context"
	"errors"

	"github.com/cloudship/cloudship/state"
)

// ErrFault is what a Faulty store answers by itself.
var ErrFault = errors.New("connection reset by peer")

// Faulty is a store on which calls go wrong at will. It hides the guard of the
// store beneath, so that a session over it is like one on another machine.
type Faulty struct {
	state.Store

	// Before and After are called around every Put, SwapLease, Get, List,
	// Lease and Delete, with that name. An error is the answer: of Before, with
	// nothing done; of After, although it was done. nil functions do nothing.
	Before, After func(call string) error
}

func (f *Faulty) around(call string, run func() error) error {
	if f.Before != nil {
		if err := f.Before(call); err != nil {
			return err
		}
	}
	err := run()
	if f.After != nil {
		if err := f.After(call); err != nil {
			return err
		}
	}
	return err
}

// Put is Store's.
func (f *Faulty) Put(ctx context.Context, serial state.Serial, data []byte) error {
	return f.around("Put", func() error { return f.Store.Put(ctx, serial, data) })
}

// Get is Store's.
func (f *Faulty) Get(ctx context.Context, serial state.Serial) (data []byte, err error) {
	err = f.around("Get", func() error { data, err = f.Store.Get(ctx, serial); return err })
	return data, err
}

// List is Store's.
func (f *Faulty) List(ctx context.Context, after state.Serial) (serials []state.Serial, err error) {
	err = f.around("List", func() error { serials, err = f.Store.List(ctx, after); return err })
	return serials, err
}

// Delete is Store's.
func (f *Faulty) Delete(ctx context.Context, serial state.Serial) error {
	return f.around("Delete", func() error { return f.Store.Delete(ctx, serial) })
}

// Lease is Store's.
func (f *Faulty) Lease(ctx context.Context) (record state.Record, err error) {
	err = f.around("Lease", func() error { record, err = f.Store.Lease(ctx); return err })
	return record, err
}

// SwapLease is Store's.
func (f *Faulty) SwapLease(ctx context.Context, version string, data []byte) (next string, err error) {
	err = f.around("SwapLease", func() error { next, err = f.Store.SwapLease(ctx, version, data); return err })
	return next, err
}
