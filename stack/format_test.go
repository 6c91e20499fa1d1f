package stack

import (
	"bytes"
	"testing"
)

func TestFormatIsSettled(t *testing.T) {
	once := Format([]byte("stack \"shop\" {}\nlocals {\n a=1\n   long = 2\n}\n\n\n"))
	want := "stack \"shop\" {}\nlocals {\n  a    = 1\n  long = 2\n}\n"
	if string(once) != want {
		t.Errorf("formatted\n%s\nwant\n%s", once, want)
	}
	if twice := Format(once); !bytes.Equal(once, twice) {
		t.Errorf("a second time it becomes\n%s", twice)
	}
}

func TestTheStarterLoadsAndIsFormatted(t *testing.T) {
	for _, f := range InitFiles("shop", "digitalocean") {
		if f.Name != File {
			continue
		}
		if got := Format([]byte(f.Content)); string(got) != f.Content {
			t.Errorf("formatted it is\n%s", got)
		}
		s := read(t, f.Content, Options{})
		wanted, err := Wants(s, Selection{})
		if err != nil || len(wanted) != 7 {
			t.Errorf("wanted %d resources, %v", len(wanted), err)
		}
	}
}
