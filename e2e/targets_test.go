//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// versitygw is an S3 server, built from the module proxy.
const versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// bucket serves a bucket of the name backups, lets the program know its credentials, and gives its
// endpoint.
func (v *voyage) bucket() (endpoint string) {
	v.t.Helper()
	bin, data := v.t.TempDir(), v.t.TempDir()
	install := exec.CommandContext(v.ctx, "go", "install", versitygw)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod")
	install.Dir = bin
	if out, err := install.CombinedOutput(); err != nil {
		v.t.Fatalf("build versitygw: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(data, "backups"), 0o755); err != nil { // it takes a folder for a bucket
		v.t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		v.t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	var said bytes.Buffer
	server := exec.CommandContext(v.ctx, filepath.Join(bin, "versitygw"), "--quiet", "--access", "tester", "--secret", "nothing-secret",
		"--port", address, "posix", "--sidecar", v.t.TempDir(), data)
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	v.eventually("the bucket is served", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	v.Env = append(v.Env, "AWS_ACCESS_KEY_ID=tester", "AWS_SECRET_ACCESS_KEY=nothing-secret")
	return "http://" + address
}

// box lets a user's key into the server, and gives the block of a target that is a folder there.
func (v *voyage) box(server, folder string) (block string) {
	v.t.Helper()
	public, private := userKey(v.t)
	v.on(server, "sh", "-c", "echo '"+public+"' >>/root/.ssh/authorized_keys")
	identity := filepath.Join(v.t.TempDir(), "id")
	if err := os.WriteFile(identity, []byte(private), 0o600); err != nil {
		v.t.Fatal(err)
	}
	var known struct {
		Address string `json:"address"`
		HostKey string `json:"host_key"`
	}
	for line := range strings.Lines(v.ship(0, "ssh", server, "--host-key", "--json").Stdout) {
		if strings.Contains(line, `"host_key"`) {
			if err := json.Unmarshal([]byte(line), &known); err != nil {
				v.t.Fatal(err)
			}
		}
	}
	return fmt.Sprintf("ssh \"box\" { address = %q, host_key = %q, path = %q, identity = %q }", known.Address, known.HostKey, folder, identity)
}
