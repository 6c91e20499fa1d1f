package digitalocean

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// keys keeps SSH keys. DigitalOcean takes each public key once for an account.
type keys struct{ *Provider }

// list gives the account's keys. DigitalOcean allows ten lists of keys in a minute, for everybody
// who uses the account; so a list serves for a minute, with what this process has changed in it.
func (k keys) list(ctx context.Context) ([]godo.Key, error) {
	return k.known.get(func() ([]godo.Key, error) {
		return all(ctx, "SSH keys", func(k godo.Key) int { return k.ID }, k.api.Keys.List)
	})
}

// keyring is the account's keys as they were last listed. It is safe for concurrent use.
type keyring struct {
	mu   sync.Mutex
	list []godo.Key
	at   time.Time // zero: not known
	odd  time.Time // until then a list may lack what was made, and serves once only
}

// keyringAge is how long a list of keys serves.
const keyringAge = time.Minute

func (r *keyring) get(fetch func() ([]godo.Key, error)) ([]godo.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < keyringAge {
		return slices.Clone(r.list), nil
	}
	at := time.Now()
	list, err := fetch()
	if err == nil && at.After(r.odd) {
		r.list, r.at = list, at
	}
	return slices.Clone(list), err
}

// forget lets everybody ask the API anew, for as long as its lists may lag: what a call has done
// is not known.
func (r *keyring) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.odd = time.Time{}, time.Now().Add(lag())
}

// add and drop note what was made and deleted.
func (r *keyring) add(key godo.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(slices.DeleteFunc(slices.Clone(r.list), func(k godo.Key) bool { return k.ID == key.ID }), key)
}

func (r *keyring) drop(id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(slices.Clone(r.list), func(k godo.Key) bool { return k.ID == id })
}

func (k keys) found(m resource.Mark, key godo.Key) resource.Found {
	return resource.Found{
		Mark: m, Provider: k.alias, ID: strconv.Itoa(key.ID), Ready: true,
		Spec: &resource.SSHKeySpec{PublicKey: material(key.PublicKey)}, Observed: []string{"public_key"},
		Facts: resource.Facts{Extra: map[string]string{"fingerprint": key.Fingerprint}},
	}
}

// material is a public key without its comment.
func material(line string) string {
	words := strings.Fields(line)
	return strings.Join(words[:min(len(words), 2)], " ")
}

func (k keys) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.SSHKeySpec)
		if !ok {
			return nil, wrongSpec(item)
		}
		key, _, err := k.api.Keys.Create(ctx, &godo.KeyCreateRequest{Name: item.Mark.Encode(), PublicKey: spec.PublicKey})
		if err == nil {
			k.known.add(*key)
			found := k.found(item.Mark, *key)
			return &found, nil
		}
		k.known.forget()
		err = fault("create SSH key", item.Mark.Address, err, once)
		if resource.KindOf(err) == resource.Conflict {
			return k.taken(ctx, item, spec, err)
		}
		return nil, err
	})
}

// taken answers for a public key that the account has already: it is ours when it has our mark.
func (k keys) taken(ctx context.Context, item resource.Item, spec *resource.SSHKeySpec, conflict error) (*resource.Found, error) {
	list, err := k.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range list {
		if material(key.PublicKey) != material(spec.PublicKey) {
			continue
		}
		if key.Name == item.Mark.Encode() {
			found := k.found(item.Mark, key)
			return &found, nil
		}
		return nil, resource.WithHint(conflict, fmt.Sprintf("the account has this key as %q (id %d): delete it there, or take ssh_key %q out of the stack file",
			key.Name, key.ID, item.Mark.Address.Name))
	}
	return nil, conflict
}

// update has nothing to do: a key that differs is replaced.
func (k keys) update(ctx context.Context, c resource.Call) []resource.Result {
	return unchanged(c)
}

func (k keys) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return nil, err
		}
		_, err = k.api.Keys.DeleteByID(ctx, id)
		if err = deleted("delete SSH key", item, err); err != nil {
			k.known.forget()
			return nil, err
		}
		k.known.drop(id)
		return nil, nil
	})
}

func (k keys) read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	id, err := strconv.Atoi(have.ID)
	if err != nil {
		return have, noID(have.Mark)
	}
	key, _, err := k.api.Keys.GetByID(ctx, id)
	if err != nil {
		return have, absent("read SSH key", have, err)
	}
	return k.found(have.Mark, *key), nil
}
