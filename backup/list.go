package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Latest is what Find takes for the newest.
const Latest = "latest"

// A Backup is a record with its proof, if there is one that fits it.
type Backup struct {
	Record
	Proof *Proof
	Age   time.Duration // of its record, by the target's clock
}

// A Listing is what a target has of a stack.
type Listing struct {
	Backups []Backup // the newest first
	// Damaged are records that cannot be trusted (CorruptError), among them those whose object is
	// missing or has another size, and records of a newer format (NewerError).
	Damaged []error
}

// damagedName is the name and the age of what an error of a listing is about.
func damagedName(err error) (of, name string, age time.Duration) {
	switch e := err.(type) {
	case *CorruptError:
		return e.Of, e.Name, e.Age
	case *NewerError:
		return e.Of, e.Name, e.Age
	}
	return "", "", 0
}

// List reads the records of one backup block, or of all where of is "". It reads no object.
func (s *Store) List(ctx context.Context, of string) (Listing, error) {
	listing, err := s.list(ctx, of)
	if err == nil && len(listing.Damaged) > 0 {
		// A listing takes time: what was written meanwhile may be in it by half.
		listing, err = s.list(ctx, of)
	}
	if err != nil {
		return Listing{}, fmt.Errorf("list the backups in %s: %w", s.target, err)
	}
	return listing, nil
}

// entry is what a listing shows under one backup's name.
type entry struct {
	of, name string
	sizes    map[string]int64 // by kind
	ages     map[string]time.Duration
	record   Record
	proof    *Proof
	err      error
}

// entries groups the objects by backup.
func (s *Store) entries(ctx context.Context, of string) ([]*entry, error) {
	folder := s.stack
	if of != "" {
		if !validLabel(of) {
			return nil, fmt.Errorf("%q is no name of a backup block", of)
		}
		folder = s.folder(of)
	}
	objects, err := s.target.List(ctx, folder)
	if err != nil {
		return nil, err
	}
	byName := map[string]*entry{}
	var entries []*entry
	for _, o := range objects {
		of, name, kind, ok := s.parseObject(o.Name)
		if !ok {
			continue
		}
		e := byName[of+"/"+name]
		if e == nil {
			e = &entry{of: of, name: name, sizes: map[string]int64{}, ages: map[string]time.Duration{}}
			byName[of+"/"+name] = e
			entries = append(entries, e)
		}
		e.sizes[kind], e.ages[kind] = o.Size, o.Age
	}
	return entries, nil
}

func (e *entry) has(kind string) bool { _, ok := e.sizes[kind]; return ok }

// readers is how many records are read at a time: a few, since over SSH each is a command.
const readers = 4

func (s *Store) list(ctx context.Context, of string) (Listing, error) {
	entries, err := s.entries(ctx, of)
	if err != nil {
		return Listing{}, err
	}
	entries = slices.DeleteFunc(entries, func(e *entry) bool { return !e.has(recordKind) })
	if err := s.readAll(ctx, entries); err != nil {
		return Listing{}, err
	}
	var listing Listing
	for _, e := range entries {
		switch {
		case e.err == nil:
			listing.Backups = append(listing.Backups, Backup{e.record, e.proof, e.ages[recordKind]})
		case errors.Is(e.err, ErrAbsent): // deleted meanwhile
		case errors.Is(e.err, ErrCorrupted) && e.record.sum == "" && !e.has(sealedKind): // somebody else's file
		default:
			listing.Damaged = append(listing.Damaged, e.err)
		}
	}
	slices.SortFunc(listing.Backups, func(a, b Backup) int { return newest(a.Record, b.Record) })
	return listing, nil
}

// readAll reads the records of entries. It returns what keeps a record from being read; what is wrong
// with one is its entry's error.
func (s *Store) readAll(ctx context.Context, entries []*entry) error {
	var group sync.WaitGroup
	slots := make(chan struct{}, readers)
	failed := make([]error, len(entries))
	for i, e := range entries {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			e.err = s.readEntry(ctx, e)
			if e.err != nil && !errors.Is(e.err, ErrCorrupted) && !errors.Is(e.err, ErrNewer) && !errors.Is(e.err, ErrAbsent) {
				failed[i] = e.err
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

// readEntry reads a record and its proof, and compares them with what is listed.
func (s *Store) readEntry(ctx context.Context, e *entry) error {
	data, err := s.getSmall(ctx, s.object(e.of, e.name, recordKind))
	if err != nil {
		return err
	}
	e.record, err = DecodeRecord(data)
	if err != nil {
		return placed(err, e)
	}
	reason := ""
	size, there := e.sizes[sealedKind]
	switch r := e.record; {
	case r.Stack != s.stack || r.Of != e.of || r.Name != e.name:
		reason = fmt.Sprintf("its record is that of %s/%s/%s", r.Stack, r.Of, r.Name)
	case !there:
		reason = "its object is missing"
	case size != r.Stored.Size:
		reason = differs("object", Sum{Size: size}, r.Stored)
	}
	if reason != "" {
		return placed(&CorruptError{Reason: reason}, e)
	}
	if e.has(proofKind) {
		return s.readProof(ctx, e)
	}
	return nil
}

// readProof reads the proof. One that is damaged, or of another record, proves nothing.
func (s *Store) readProof(ctx context.Context, e *entry) error {
	data, err := s.getSmall(ctx, s.object(e.of, e.name, proofKind))
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	if p, err := DecodeProof(data); err == nil && p.Record == e.record.sum {
		e.proof = &p
	}
	return nil
}

// placed gives a record's error the name under which it was found.
func placed(err error, e *entry) error {
	switch bad := err.(type) {
	case *CorruptError:
		bad.Of, bad.Name, bad.Age = e.of, e.name, e.ages[recordKind]
	case *NewerError:
		bad.Of, bad.Name, bad.Age = e.of, e.name, e.ages[recordKind]
	}
	return err
}

// Find returns the one backup that name means: a full name, the beginning of one, or "latest"; of ""
// looks in all blocks, and OF/NAME may be said too. What fits none or several is a FindError, and a
// damaged one its CorruptError: it is never passed over for an older one.
func (s *Store) Find(ctx context.Context, of, name string) (Backup, error) {
	if before, after, ok := strings.Cut(name, "/"); ok && (of == "" || of == before) {
		of, name = before, after
	}
	listing, err := s.List(ctx, of)
	if err != nil {
		return Backup{}, err
	}
	if name == Latest {
		return listing.latest(of)
	}
	return listing.find(of, name)
}

// latest is the newest backup. A damaged one may have been newer: that is told.
func (l Listing) latest(of string) (Backup, error) {
	if len(l.Backups) == 0 && len(l.Damaged) > 0 {
		return Backup{}, l.Damaged[0]
	}
	if len(l.Backups) == 0 {
		return Backup{}, &FindError{Of: of, Name: Latest}
	}
	newest := l.Backups[0]
	for _, damage := range l.Damaged {
		if o, name, age := damagedName(damage); o == newest.Of && mayBeNewer(name, age, newest) {
			return Backup{}, fmt.Errorf("the newest backup cannot be used: %w", damage)
		}
	}
	return newest, nil
}

// mayBeNewer goes by names that begin with the time, else by the age of the records.
func mayBeNewer(name string, age time.Duration, than Backup) bool {
	if strings.HasPrefix(than.Name, than.Created.Format("2006")) {
		return name > than.Name
	}
	return age <= than.Age
}

// find looks for a full name first, then for the beginning of one.
func (l Listing) find(of, name string) (Backup, error) {
	for _, fits := range []func(string) bool{
		func(have string) bool { return have == name },
		func(have string) bool { return name != "" && strings.HasPrefix(have, name) },
	} {
		var good []Backup
		var several []string
		var damage error
		for _, b := range l.Backups {
			if fits(b.Name) {
				good, several = append(good, b), append(several, b.String())
			}
		}
		for _, err := range l.Damaged {
			if o, n, _ := damagedName(err); fits(n) {
				damage, several = err, append(several, o+"/"+n)
			}
		}
		switch {
		case len(several) > 1:
			return Backup{}, &FindError{Of: of, Name: name, Several: several}
		case len(good) == 1:
			return good[0], nil
		case damage != nil:
			return Backup{}, damage
		}
	}
	return Backup{}, &FindError{Of: of, Name: name}
}
