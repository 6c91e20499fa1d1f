package rackspace

import (
	"context"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"

	"github.com/cloudship/cloudship/resource"
)

// keys keeps key pairs. They have no id but their name.
type keys struct{ *Provider }

// material is a public key without its comment.
func material(key string) string {
	words := strings.Fields(key)
	return strings.Join(words[:min(len(words), 2)], " ")
}

// list gives every key pair of the user in the region, in one answer.
func (k keys) list(ctx context.Context) ([]keypairs.KeyPair, error) {
	pages, err := keypairs.List(k.compute, nil).AllPages(ctx)
	if err != nil {
		return nil, fault("list key pairs", resource.Address{}, err, reading)
	}
	list, err := keypairs.ExtractKeyPairs(pages)
	if err != nil {
		return nil, fault("list key pairs", resource.Address{}, err, reading)
	}
	return list, nil
}

func (k keys) found(m resource.Mark, key keypairs.KeyPair) resource.Found {
	return resource.Found{
		Mark: m, Provider: k.alias, ID: key.Name, Ready: true,
		Spec: &resource.SSHKeySpec{PublicKey: material(key.PublicKey)}, Observed: []string{"public_key"},
	}
}

func (k keys) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.SSHKeySpec)
		if !ok {
			return nil, wrongSpec(item)
		}
		key, err := keypairs.Create(ctx, k.compute, keypairs.CreateOpts{Name: keyName(item.Mark), PublicKey: spec.PublicKey}).Extract()
		if err == nil {
			found := k.found(item.Mark, *key)
			return &found, nil
		}
		if err = fault("create key pair", item.Mark.Address, err, once); resource.KindOf(err) != resource.Conflict {
			return nil, err
		}
		return k.taken(ctx, item, spec, err)
	})
}

// taken answers for a name that the user has already: the key is ours if it is the same one.
func (k keys) taken(ctx context.Context, item resource.Item, spec *resource.SSHKeySpec, conflict error) (*resource.Found, error) {
	list, err := k.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range list {
		if key.Name == keyName(item.Mark) && material(key.PublicKey) == material(spec.PublicKey) {
			found := k.found(item.Mark, key)
			return &found, nil
		}
	}
	return nil, resource.WithHint(conflict, "delete the key pair "+keyName(item.Mark)+" in the control panel")
}

// update has nothing to do: a key that differs is replaced.
func (k keys) update(_ context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) { return item.Have, nil })
}

func (k keys) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		name, err := id(item)
		if err != nil {
			return nil, err
		}
		return nil, deleted("delete key pair", item, keypairs.Delete(ctx, k.compute, name, nil).ExtractErr())
	})
}

// read looks a key pair up in the list: Rackspace's documents know no other way.
func (k keys) read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	list, err := k.list(ctx)
	if err != nil {
		return have, err
	}
	for _, key := range list {
		if key.Name == have.ID {
			return k.found(have.Mark, key), nil
		}
	}
	return have, &resource.Error{Kind: resource.Gone, Op: "read key pair", Address: have.Mark.Address, Message: "there is no key pair " + have.ID}
}
