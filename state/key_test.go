package state

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testSecret is a key that seals nothing.
const testSecret = "AGE-SECRET-KEY-" + "1E8D78JCYMH8ZKN26HYGKYX393DKW4ZVM0T7HJN48WNPTARNY7QRSDXUWMN"

func TestKeyNeverPrintsItself(t *testing.T) {
	key := newKey(t)
	secret := strings.ToLower(strings.TrimPrefix(key.Secret(), "AGE-SECRET-KEY-1"))
	for _, text := range []string{
		fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s %q", key, key, key, key, key),
		fmt.Sprintf("%v %+v", struct{ K *Key }{key}, []*Key{key}), fmt.Sprintf("%v", key.For("shop")),
	} {
		if strings.Contains(strings.ToLower(text), secret) {
			t.Errorf("%s", text)
		}
	}
	if data, err := json.Marshal(map[string]any{"key": key}); err == nil {
		t.Errorf("became %s", data)
	}
}

// TestDerivedValuesNeverChange: servers know keys that are derived, and
// releases are named by digests. A change here locks everybody out.
func TestDerivedValuesNeverChange(t *testing.T) {
	key, err := ParseKey(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	have := []string{
		hex.EncodeToString(key.Derive("ssh login shop-x7", 32)),
		key.Digest("release", "hunter22"),
		key.ID(),
	}
	golden := []string{
		"ac919fd5482aa10da28bc4f6293b4fd2f5e9be9823a1f8df9e9991f37b35e1de",
		"8c79c00f94d417ee36b8d0e55c328606589972945695a81d1ae70279b6416fea",
		"233fe31f8b8b",
	}
	for i := range have {
		if have[i] != golden[i] {
			t.Errorf("%d: have %s", i, have[i])
		}
	}
}

func TestDeriveAndDigestKeepApart(t *testing.T) {
	one, two := newKey(t), newKey(t)
	seen := map[string]string{}
	add := func(what, value string) {
		if other, ok := seen[value]; ok {
			t.Errorf("%s and %s are the same", what, other)
		}
		seen[value] = what
	}
	for name, key := range map[string]*Key{"one": one, "two": two} {
		for _, info := range []string{"", "a", "b", "digest"} {
			add(name+" derives "+info, hex.EncodeToString(key.Derive(info, 32)))
		}
		for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"abc", ""}} {
			add(name+" digests "+strings.Join(pair[:], "|"), key.Digest(pair[0], pair[1]))
		}
	}
	again, err := ParseKey(one.Secret())
	want(t, err, nil)
	if again.Digest("a", "b") != one.Digest("a", "b") || again.ID() != one.ID() || len(one.Derive("x", 100)) != 100 || one.Derive("x", 1<<20) != nil {
		t.Error("not as documented")
	}
}

func TestSealOpensOnlyForItsStackAndKey(t *testing.T) {
	key := newKey(t)
	secrets := map[string]string{"password": "hunter22"}
	sealed, err := key.For("shop-x7").Seal(secrets)
	want(t, err, nil)
	again, err := key.For("shop-x7").Seal(secrets)
	want(t, err, nil)
	if strings.Contains(sealed, "hunter22") || strings.ContainsAny(sealed, "\n\"") || sealed == again {
		t.Errorf("sealed is %s", sealed)
	}
	var have map[string]string
	want(t, key.For("shop-x7").Open(sealed, &have), nil)
	if have["password"] != "hunter22" {
		t.Errorf("have %v", have)
	}
	want(t, key.For("blog-y8").Open(sealed, &have), ErrOther)
	want(t, newKey(t).For("shop-x7").Open(sealed, &have), ErrWrongKey)
	want(t, Sealer{}.Open(sealed, &have), ErrNoKey)
	var number int
	if err := key.For("shop-x7").Open(sealed, &number); err == nil || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("the error is %v", err)
	}
	other := []byte(sealed)
	other[len(other)-20] ^= 1 // another letter or digit of base64, or none of it
	for _, bad := range []string{"", "x", sealedPrefix, sealed[:len(sealed)-8], sealed[1:], string(other)} {
		if err := key.For("shop-x7").Open(bad, &have); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKey) {
			t.Errorf("%.20s...: %v", bad, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := key.For("shop-x7").Seal("hunter22")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealedPrefix)
	f.Fuzz(func(t *testing.T, text string) {
		var have string
		if err := key.For("shop-x7").Open(text, &have); err == nil && text != sealed {
			t.Errorf("opened %q as %q", text, have)
		}
	})
}

func TestKeyring(t *testing.T) {
	base := t.TempDir()
	stack, keys := filepath.Join(base, "stack"), filepath.Join(base, "config", "keys")
	for _, folder := range []string{stack, keys} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path, text string, mode os.FileMode) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := newKey(t)
	text := "# a comment\n\n" + key.Secret() + "\n"
	elsewhere := file(filepath.Join(base, "ci.key"), text, 0o600)
	inside := file(filepath.Join(stack, "my.key"), text, 0o600)
	file(filepath.Join(keys, "shop-x7.key"), text, 0o600)
	file(filepath.Join(keys, "shop.key"), newKey(t).Secret(), 0o600)
	file(filepath.Join(keys, "open.key"), text, 0o644)
	file(filepath.Join(keys, "empty.key"), "# nothing\n", 0o600)
	file(filepath.Join(keys, "two.key"), text+text, 0o600)
	file(filepath.Join(keys, "broken.key"), strings.Replace(key.Secret(), "1", "1X", 1), 0o600)
	if err := os.Symlink(inside, filepath.Join(keys, "link.key")); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		env   string
		names []string
		fails string // part of the error; "" is key
		is    error
	}{
		"identity in the environment": {key.Secret(), nil, "", nil},
		"with a line end":             {key.Secret() + "\n", nil, "", nil},
		"path in the environment":     {elsewhere, []string{"shop"}, "", nil},
		"by id before name":           {"", []string{"shop-x7", "shop"}, "", nil},
		"second name":                 {"", []string{"none", "shop-x7"}, "", nil},
		"none":                        {"", []string{"none", "neither"}, "none.key or " + keys, ErrNoKey},
		"path to nothing":             {filepath.Join(base, "gone"), nil, "CLOUDSHIP_KEY", ErrNoKey},
		"under the stack":             {inside, nil, "lies under the stack's folder", nil},
		"linked from the stack":       {"", []string{"link"}, "lies under the stack's folder", nil},
		"spelled another way":         {filepath.Join(stack, "..", "stack", "my.key"), nil, "lies under the stack's folder", nil},
		"open to others":              {"", []string{"open"}, "may be read by others (mode 0644)", nil},
		"empty":                       {"", []string{"empty"}, "have 0", ErrWrongKey},
		"two":                         {"", []string{"two"}, "have 2", ErrWrongKey},
		"broken":                      {"", []string{"broken"}, "no age identity", ErrWrongKey},
		"broken in the environment":   {key.Secret() + "X", nil, "CLOUDSHIP_KEY: wrong sealing key", ErrWrongKey},
		"a name that is a path":       {"", []string{"../ci"}, "cannot be the name", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			have, err := Keyring{Env: tt.env, Keys: keys, Stack: stack}.Load(tt.names...)
			if tt.fails == "" {
				if err != nil || have.ID() != key.ID() {
					t.Fatalf("have %v, %v", have, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.fails) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("have %v, %v", have, err)
			}
			if strings.Contains(err.Error(), "AGE-SECRET-KEY-1X") || strings.Contains(err.Error(), key.Secret()) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestMakeKeepsAKeyOnce(t *testing.T) {
	base := t.TempDir()
	ring := Keyring{Keys: filepath.Join(base, "config", "keys"), Stack: base + "/stack"}
	if err := os.Mkdir(ring.Stack, 0o700); err != nil {
		t.Fatal(err)
	}
	key, path, err := ring.Make("shop-x7")
	want(t, err, nil)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept with mode %v, %v", info.Mode(), err)
	}
	have, err := ring.Load("shop-x7")
	if err != nil || have.ID() != key.ID() {
		t.Errorf("loaded %v, %v", have, err)
	}
	_, _, err = ring.Make("shop-x7")
	want(t, err, fs.ErrExist)
	left, err := os.ReadDir(ring.Keys)
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	inside := Keyring{Keys: filepath.Join(ring.Stack, "keys"), Stack: ring.Stack}
	if _, _, err := inside.Make("shop-x7"); err == nil {
		t.Error("made under the stack's folder")
	}
}
