package remote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// UserData is the cloud-init user data of a new server: the host key that it
// wears until it is enrolled, and who may log in as root. Nothing else, so
// that it boots quickly. It holds the private bootstrap key, so it is secret;
// the same arguments give the same bytes. A users' key that is not one line of
// authorized_keys is an error.
func UserData(bootstrap, login Key, users []string) (string, error) {
	authorized := []string{login.AuthorizedKey()}
	for _, line := range users {
		key, err := authorizedLine(line)
		if err != nil {
			return "", err
		}
		if !slices.Contains(authorized, key) {
			authorized = append(authorized, key)
		}
	}
	var text strings.Builder
	text.WriteString("#cloud-config\n")
	text.WriteString("disable_root: false\n")
	text.WriteString("package_update: false\npackage_upgrade: false\n")
	text.WriteString("ssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n")
	for line := range strings.Lines(string(bootstrap.PEM())) {
		text.WriteString("    " + line)
	}
	text.WriteString("  ed25519_public: " + yamlString(bootstrap.AuthorizedKey()) + "\n")
	text.WriteString("ssh_authorized_keys:\n")
	for _, key := range authorized {
		text.WriteString("  - " + yamlString(key) + "\n")
	}
	return text.String(), nil
}

// authorizedLine checks and trims a user's public key.
func authorizedLine(line string) (string, error) {
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("public key %s: more than one line", strconv.Quote(line))
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil {
		return "", fmt.Errorf("public key %s: want one line as in authorized_keys: %w", strconv.Quote(line), err)
	}
	return line, nil
}

// yamlString is a single-quoted YAML scalar, which escapes nothing but quotes.
func yamlString(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
