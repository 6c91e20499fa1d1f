package machine

import (
	"testing"
)

func TestPaperKeepsServersAndAddresses(t *testing.T) {
	ctx := t.Context()
	p := NewPaper()
	a, err := p.Create(ctx, Spec{ID: "a", Name: "web-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Create(ctx, Spec{ID: "a"}); err == nil {
		t.Error("a second server a was made")
	}
	if a.PublicIP != "127.128.0.1" || a.PrivateIP != "127.192.0.1" || !a.Running {
		t.Errorf("server a is %+v", a)
	}
	if err := p.SetPower(ctx, "a", false); err != nil || p.Running("a") {
		t.Errorf("a runs after it was switched off (%v)", err)
	}

	known, _ := p.List(ctx)
	q := NewPaper(known...)
	b, err := q.Create(ctx, Spec{ID: "b"})
	if err != nil || b.PublicIP != "127.128.0.2" {
		t.Errorf("after a restart server b is %+v, %v", b, err)
	}
	for range 2 { // deleting what is gone is no error
		if err := q.Delete(ctx, "a"); err != nil {
			t.Error(err)
		}
	}
	if all, _ := q.List(ctx); len(all) != 1 || all[0].ID != "b" {
		t.Errorf("list: %+v", all)
	}
}
