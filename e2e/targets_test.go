//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloudship/cloudship/e2e/bucket"
)

// bucket serves a bucket of the name backups, lets the program know its credentials, and gives its
// endpoint.
func (v *voyage) bucket() (endpoint string) {
	v.t.Helper()
	gateway := bucket.New(v.ctx, v.t)
	if err := os.Mkdir(filepath.Join(gateway.Data, "backups"), 0o755); err != nil { // it takes a folder for a bucket
		v.t.Fatal(err)
	}
	gateway.Start(v.t)
	v.Env = append(v.Env, "AWS_ACCESS_KEY_ID="+bucket.AccessKey, "AWS_SECRET_ACCESS_KEY="+bucket.SecretKey)
	return gateway.Endpoint()
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
