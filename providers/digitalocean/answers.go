package digitalocean

import (
	"fmt"
	"strconv"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// unchanged answers an update of a kind in which nothing can be changed: as it was found.
func unchanged(c resource.Call) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		results[i] = resource.Result{Address: item.Mark.Address, Found: item.Have}
	}
	return results
}

// deleted is the error of a delete; what was gone already is none.
func deleted(op string, item resource.Item, err error) error {
	if err = fault(op, item.Mark.Address, err, repeatable); resource.IsGone(err) {
		return nil
	}
	return err
}

// absent is the error of a read. What was created so lately that DigitalOcean may not show it yet
// is not gone.
func absent(op string, have resource.Found, err error) error {
	err = fault(op, have.Mark.Address, err, reading)
	if !resource.IsGone(err) || have.Created.IsZero() {
		return err
	}
	if age := time.Since(have.Created); age < lag() {
		return &resource.Error{Kind: resource.Busy, Op: op, Address: have.Mark.Address, Cause: err,
			Message: fmt.Sprintf("it was created %s ago and is not shown yet", max(age, 0).Round(time.Second))}
	}
	return err
}

// id is the cloud's id of what an item has.
func id(item resource.Item) (string, error) {
	if item.Have == nil || item.Have.ID == "" {
		return "", noID(item.Mark)
	}
	return item.Have.ID, nil
}

// number is an id that is a number.
func number(item resource.Item) (int, error) {
	s, err := id(item)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, noID(item.Mark)
	}
	return n, nil
}

func noID(m resource.Mark) error {
	return &resource.Error{Kind: resource.Invalid, Address: m.Address, Message: fmt.Sprintf("no id of DigitalOcean is known for %s", m.Address)}
}

func wrongSpec(item resource.Item) error {
	return &resource.Error{Kind: resource.Invalid, Address: item.Mark.Address, Message: fmt.Sprintf("%s has a spec of another kind, or none", item.Mark.Address)}
}
